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

from speechvq.corpus import DataDir, Utterance, write_data_dir

ROOT = Path(__file__).parent.parent
STEPS = {"steps": 14, "quantize_from": 4, "decoder_from": 10, "validate_every": 7, "crop_samples": 2048, "dev_crops": 4, "log_every": 2}


def environment() -> dict[str, str]:
    """The environment that runs the tests, active, so that the set-up script uses it."""
    return os.environ | {"VIRTUAL_ENV": sys.prefix, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def run(folder: Path, *options: str, script: str = "run.sh", path: Path | None = None) -> subprocess.CompletedProcess:
    command = ["bash", str(ROOT / "recipes" / script), *options]
    env = environment()
    env["PATH"] = f"{path}{os.pathsep}{env['PATH']}" if path else env["PATH"]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def stand_in(folder: Path, code: int) -> Path:
    """A folder with a speechvq that notes its arguments in `called`, and can train but ends all else with a code."""
    (folder / "bin").mkdir()
    script = folder / "bin" / "speechvq"
    script.write_text(f'#!/bin/sh\necho "$@" >> "{folder}/called"\n[ "$1" = train ] || exit {code}\n')
    script.chmod(0o755)
    return folder / "bin"


def prepared(folder: Path, speakers: list[str]) -> None:
    """A test set of two utterances a speaker, and a model of these voices."""
    soundfile.write(folder / "one.wav", np.sin(np.arange(8000) / 9) / 2, 16000)
    write_data_dir(folder / "data" / "test", [Utterance(f"{name}-{n}", name, folder / "one.wav") for name in speakers for n in range(2)])
    (folder / "exp" / "toy" / "best").mkdir(parents=True)
    (folder / "exp" / "toy" / "best" / "speakers.txt").write_text("".join(f"{name}\n" for name in speakers))


def called(folder: Path) -> list[str]:
    return (folder / "called").read_text().splitlines()


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


def test_files_left_out_by_the_prepare_script_do_not_stop_it(tmp_path):
    (tmp_path / "corpus" / "tom").mkdir(parents=True)
    soundfile.write(tmp_path / "corpus" / "tom" / "a.wav", np.sin(np.arange(8000) / 9) / 2, 16000)
    (tmp_path / "corpus" / "tom" / "b.wav").write_bytes(b"RIFF")
    done = run(tmp_path, "--prepare", "folder", "--corpus", "corpus", "--stop-stage", "1")
    assert done.returncode == 0, done.stderr
    assert "left out: " in done.stderr and "run.sh: goes on" in done.stderr
    assert run(tmp_path, "--prepare", "folder", "--corpus", "absent", "--stop-stage", "1").returncode == 2


@pytest.mark.parametrize(("code", "returned", "calls"), [(0, 0, 13), (1, 0, 13), (2, 2, 1), (137, 137, 1)])
def test_only_files_left_out_are_tolerated(tmp_path, code, returned, calls):
    prepared(tmp_path, ["ann", "bob"])
    done = run(
        tmp_path, "--prepare", "none", "--name", "toy", "--align", "true", "--prior", "prior", "--stage", "3", "--stop-stage", "9",
        path=stand_in(tmp_path, code),
    )  # fmt: skip
    assert done.returncode == returned, done.stderr
    verbs = [line.split()[0] for line in called(tmp_path)]
    wanted = ["align"] * 3 + ["train"] + ["encode"] * 2 + ["convert"] * 2 + ["evaluate", "encode", "train", "score", "generate"]
    assert verbs == wanted[:calls]
    assert done.stderr.count("run.sh: goes on") == (11 if code == 1 else 0)


@pytest.mark.parametrize(("code", "returned", "calls"), [(1, 0, 2), (2, 2, 1)])
def test_the_recogniser_tolerates_files_left_out(tmp_path, code, returned, calls):
    options = ("--prepare", "fsdd", "--stage", "2", "--stop-stage", "2")
    assert run(tmp_path, *options, script="recognise.sh", path=stand_in(tmp_path, code)).returncode == returned
    assert len(called(tmp_path)) == calls


@pytest.mark.parametrize(("speakers", "options"), [(["ann"], ()), (["ann", "bob"], ("--conversions", "0"))])
def test_where_nothing_is_converted_nothing_is_judged(tmp_path, speakers, options):
    prepared(tmp_path, speakers)
    done = run(tmp_path, "--prepare", "none", "--name", "toy", "--stage", "7", "--stop-stage", "8", *options, path=stand_in(tmp_path, 0))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("skipped") == 2
    assert [line.split()[:4] for line in called(tmp_path)] == [["convert", "--model", "exp/toy/best", "exp/toy/reconstructions.csv"]]


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
