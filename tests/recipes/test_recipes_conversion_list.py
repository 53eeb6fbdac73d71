"""Which utterances are converted to which voices."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from speechvq.audio import write
from speechvq.corpus import DataDir, Utterance, write_data_dir
from speechvq.errors import InputError

sys.path.insert(0, str(Path(__file__).parents[2] / "recipes"))

from conversion_list import conversions

SCRIPT = Path(__file__).parents[2] / "recipes" / "conversion_list.py"
VOICES = [f"v{n}" for n in range(9)]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> DataDir:
    folder = tmp_path_factory.mktemp("data")
    write(folder / "one.wav", np.zeros(1600, np.float32), 16000)
    speakers = [*VOICES[:3], "other"]
    write_data_dir(folder / "test", [Utterance(f"{speaker}-{n}", speaker, folder / "one.wav") for speaker in speakers for n in range(11)])
    return DataDir(folder / "test")


@pytest.mark.parametrize("count", [2, 7, 8])
def test_the_targets_take_turns_and_nobody_becomes_themselves(data, tmp_path, count):
    rows = conversions(data, 40, VOICES, VOICES[:count], tmp_path)
    assert len(rows) == 40
    used = Counter(target for _, target, _ in rows)
    assert set(used) == set(VOICES[:count]) and max(used.values()) - min(used.values()) <= 1
    assert not any(Path(source).stem.startswith(f"{target}-") for source, target, _ in rows)
    assert all(Path(source).exists() for source, _, _ in rows)


def test_rebuilding_takes_each_ones_own_voice(data, tmp_path):
    rows = conversions(data, 6, VOICES, ["self"], tmp_path)
    assert rows and all(Path(source).stem.startswith(f"{target}-") for source, target, _ in rows)


def test_an_unknown_voice_is_refused(data, tmp_path):
    with pytest.raises(InputError, match="no voice 'nobody'"):
        conversions(data, 6, VOICES, ["nobody"], tmp_path)


def test_none_are_taken_where_none_are_asked_for(data, tmp_path):
    assert conversions(data, 0, VOICES, None, tmp_path) == []
    with pytest.raises(InputError, match="--count must be 0 or more, not -1"):
        conversions(data, -1, VOICES, None, tmp_path)


def test_a_model_without_voices_is_one_line(data, tmp_path):
    command = [sys.executable, SCRIPT, data.path, tmp_path / "list.csv", "--voices", tmp_path / "speakers.txt"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "speakers.txt" in done.stderr
