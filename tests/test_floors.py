"""Imports point down the floors that docs/architecture.md draws."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "speechvq"

# Each floor may import from those below it; "siblings" of a floor never import one another.
FLOORS = [
    {"version", "errors", "files", "config", "config_tree", "truncation", "audio", "corpus_files", "corpus_validate", "corpus_mend", "corpus"}
    | {"alignment", "units_index", "units", "report", "progress"},
    {"nn", "engine", "metrics", "formats", "inputs", "batch", "postfilter", "listening"},
    {"model", "checkpoint", "data", "validation", "optimizer", "training", "trainer", "codec", "options", "unit_crops", "prior", "prior_trainer", "evaluate", "sphinx", "enroll", "bench"},
    {"verbs", "demo"},
    {"cli", "__main__", "__init__"},
]
SIBLINGS = ("nn", "engine", "metrics", "formats")
WITHOUT_TORCH = ("engine", "metrics", "formats")
# The verb that opens the page is the one thing of floor 3 that reaches across: the page is its whole body.
ACROSS = {("verbs", "demo")}
MODULES = sorted(PACKAGE.rglob("*.py"))


def room(name: str) -> str:
    """The part of a dotted module name that the floors speak of."""
    return name.split(".")[1] if "." in name else "__init__"


def floor(name: str) -> int:
    found = [number for number, rooms in enumerate(FLOORS) if name in rooms]
    assert found, f"speechvq/{name} is on no floor: put it in tests/test_floors.py and docs/architecture.md"
    return found[0]


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names if (PACKAGE.parent / node.module.replace(".", "/")).is_dir()}
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path):
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    for name in imports(path):
        if name.split(".")[0] != "speechvq" or name == "speechvq" or own == "__init__":
            continue
        other = room(name)
        if other == own or other not in {one for rooms in FLOORS for one in rooms} or (own, other) in ACROSS:
            continue
        assert floor(other) <= floor(own), f"{path.name} (floor {floor(own)}) imports {name} (floor {floor(other)})"
        assert not (own in SIBLINGS and other in SIBLINGS), f"{own} and {other} are siblings: the border between them is numpy"


def test_the_table_in_the_docs_is_this_one():
    lines = (PACKAGE.parent / "docs" / "architecture.md").read_text().splitlines()
    rooms = [line.split("|")[2] for line in lines if re.match(r"\| \d \|", line)]
    assert [set(re.findall(r"`(\w+)/?`", row)) for row in rooms] == FLOORS


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_torch_stays_out_of_the_lower_rooms(path: Path):
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    if own in WITHOUT_TORCH or floor(own) == 0:
        assert not {"torch", "torchaudio"} & {name.split(".")[0] for name in imports(path)}


def test_verbs_do_not_import_one_another():
    for path in (PACKAGE / "verbs").glob("*.py"):
        assert not [name for name in imports(path) if name.startswith("speechvq.verbs")], path.name


def test_the_package_starts_without_torch():
    code = "import sys, speechvq, speechvq.cli; speechvq.cli.build_parser(); sys.exit('torch' in sys.modules or 'numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_model_that_ships_loads_without_librosa():
    # librosa brings scipy.signal, and together they would double the time until the first sample is heard.
    code = "import speechvq, sys; speechvq.load(); sys.exit('scipy.signal' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
