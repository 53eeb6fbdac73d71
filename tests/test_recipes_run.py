"""The whole pipeline at toy size, through the script that people run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechvq.corpus import DataDir

ROOT = Path(__file__).parent.parent
STEPS = {"steps": 14, "quantize_from": 4, "decoder_from": 10, "validate_every": 7, "crop_samples": 2048, "dev_crops": 4, "log_every": 2}


def environment() -> dict[str, str]:
    """The environment that runs the tests, active, so that the set-up script uses it."""
    return os.environ | {"VIRTUAL_ENV": sys.prefix, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def run(folder: Path, *options: str) -> subprocess.CompletedProcess:
    command = ["bash", str(ROOT / "recipes" / "run.sh"), *options]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_every_stage(tmp_path):
    pytest.importorskip("espeakng_loader")
    changes = " ".join(f"--set train.{key}={value}" for key, value in STEPS.items())
    done = run(
        tmp_path, "--prepare", "synthetic", "--prepare-options", "--voices 3 --minutes 1", "--config", "mini64",
        "--name", "toy", "--conversions", "2", "--train-options", changes,
        "--prior", "prior", "--prior-options", "--set train.steps=3 --set train.crop_units=64 --set layers=2",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    exp = tmp_path / "exp" / "toy"
    assert len(list((exp / "converted").glob("*.wav"))) == 2
    assert json.loads((exp / "units.json").read_text())
    assert json.loads((exp / "conversion.json").read_text())["conversions"]["files"] == 2
    assert (exp / "export" / "test" / "units.txt").stat().st_size
    assert json.loads((exp / "prior.json").read_text())["nats_per_unit"] > 0
    assert len(list((exp / "generated").glob("*.wav"))) == 4
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/png") >= 3
    assert page.count("data:audio/wav") >= 4
    again = run(tmp_path, "--prepare", "synthetic", "--config", "mini64", "--name", "toy", "--stage", "5", "--stop-stage", "5")
    assert again.returncode == 0
    assert "stage 5" in again.stdout
    assert "stage 6" not in again.stdout


def test_phone_times_from_a_path_with_blanks(tmp_path):
    recordings = tmp_path / "my corpus" / "tom"
    recordings.mkdir(parents=True)
    for name in "abcdefgh":
        soundfile.write(recordings / f"{name}.wav", np.sin(np.arange(8000) / 9) / 2, 16000)
    times = tmp_path / "my times.ctm"
    times.write_text("tom-a 1 0.0 0.1 AA\n")
    done = run(tmp_path, "--prepare", "folder", "--corpus", str(recordings.parent), "--alignments", str(times), "--stop-stage", "1")
    assert done.returncode == 0, done.stderr[-2000:]
    assert set(DataDir(tmp_path / "data" / "all").alignments) == {"tom-a"}


@pytest.mark.parametrize(("options", "named"), [(["--bogus", "1"], "no option --bogus"), ([], "--prepare NAME is missing"), (["--stage"], "needs a value")])
def test_wrong_options_are_one_line(tmp_path, options, named):
    done = run(tmp_path, *options)
    assert done.returncode == 2
    assert named in done.stderr


@pytest.mark.parametrize("script", sorted(ROOT.glob("egs/*/run.sh")), ids=lambda path: path.parent.name)
def test_each_example_explains_itself(script, tmp_path):
    folder = shutil.copytree(ROOT / "egs" / script.parent.name, tmp_path / "egs" / script.parent.name, ignore=shutil.ignore_patterns("exp", "data"))
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    done = subprocess.run(["bash", str(folder / "run.sh"), "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "--corpus PATH" in done.stdout
