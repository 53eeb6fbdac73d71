"""The recogniser's pipeline at toy size, through the script that people run."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from test_recipes_run import environment
from tiny import RATE, voice

from speechvq.audio import write
from speechvq.corpus import Utterance, write_data_dir

SCRIPT = Path(__file__).parent.parent / "recipes" / "recognise.sh"


@pytest.mark.slow
def test_every_input_is_made_and_recognised(tiny_exp, tmp_path):
    for part, count in (("train", 6), ("test", 3)):
        utterances = []
        for number in range(count):
            utt = f"ann-{part}{number}"
            write(tmp_path / "wav" / f"{utt}.wav", voice(number, 1.0, 100.0 + 20 * number), RATE)
            utterances.append(Utterance(utt, "ann", tmp_path / "wav" / f"{utt}.wav", ("one", "two")[number % 2]))
        write_data_dir(tmp_path / "data" / part, utterances)
    done = subprocess.run(
        ["bash", str(SCRIPT), "--prepare", "fsdd", "--model", str(tiny_exp / "best"), "--epochs", "1", "--seeds", "1"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    made = tmp_path / "exp" / "recognise"
    inputs = {"units", "kmeans", "units-dedup", "kmeans-dedup", "kmeans-normalised", "mfcc", "random"}
    assert {path.name for path in (made / "inputs").iterdir()} == inputs
    assert all(name in (made / "results.md").read_text() for name in inputs)
    assert json.loads((made / "results.json").read_text())
