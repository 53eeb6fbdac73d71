"""What must never be committed: recordings, packed corpora, training states."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LARGEST_KIB = 400
SHIPPED = "speechvq/models/default/"


def tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout: nothing says what is committed")
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_only_the_model_that_ships_is_large():
    large = [name for name in tracked() if (ROOT / name).stat().st_size > LARGEST_KIB * 1024]
    assert [name for name in large if not name.startswith(SHIPPED)] == []


def test_experiments_hold_no_data():
    kinds = (".wav", ".flac", ".s16", ".npy", ".pt", ".safetensors")
    assert [name for name in tracked() if name.startswith("egs/") and name.endswith(kinds)] == []


@pytest.mark.parametrize("folder", ["data", "exp", "exp_old"])
def test_what_recipes_make_is_ignored(folder):
    tracked()
    done = subprocess.run(["git", "check-ignore", "-q", f"egs/arctic/{folder}/x"], cwd=ROOT, check=False)
    assert done.returncode == 0
