"""speechvq validate on the command line: what it prints and its exit code."""

import argparse
import json

import numpy as np
import pytest

from speechvq import audio
from speechvq.corpus import Utterance, write_data_dir
from speechvq.verbs import validate


@pytest.fixture
def directory(tmp_path):
    audio.write(tmp_path / "a.wav", np.full(1600, 0.1), 16000)
    write_data_dir(tmp_path / "data", [Utterance("s-1", "s", tmp_path / "a.wav"), Utterance("s-2", "s", tmp_path / "a.wav")])
    return tmp_path / "data"


def run(*arguments):
    parser = argparse.ArgumentParser()
    validate.add_arguments(parser)
    return validate.run(parser.parse_args([str(a) for a in arguments]))


def test_a_valid_directory(directory, capsys):
    assert run(directory) == 0
    assert capsys.readouterr().out == f"{directory}: valid\n"


def test_faults_are_printed_and_left_alone(directory, capsys):
    (directory / "spk2utt").write_text("s s-1")
    assert run(directory, directory.parent / "none") == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{directory}: spk2utt does not end with a newline",
        f"{directory}: spk2utt and utt2spk do not agree",
        f"{directory.parent / 'none'}: no such directory",
    ]
    assert (directory / "spk2utt").read_text() == "s s-1"


def test_fix_mends(directory, capsys):
    (directory / "spk2utt").write_text("s s-1")
    assert run(directory, "--fix") == 0
    assert capsys.readouterr().out == f"{directory}: mended spk2utt: 1 changed\n{directory}: valid\n"
    assert (directory / "spk2utt").read_text() == "s s-1 s-2\n"


def test_fix_says_what_is_left(directory, capsys):
    (directory / "text").write_text("s-1 <s> hello\ns-2\n")
    (directory / "spk2utt").write_text("s s-1")
    assert run(directory, "--fix") == 1
    assert "text: s-1 has a word that Kaldi reserves" in capsys.readouterr().out


def test_one_that_cannot_be_mended_does_not_stop_the_others(directory, tmp_path, capsys):
    (tmp_path / "hopeless").mkdir()
    for name in ("wav.scp", "utt2spk"):
        (tmp_path / "hopeless" / name).write_text("")
    assert run(tmp_path / "hopeless", directory, "--fix") == 1
    said = capsys.readouterr().out
    assert "nothing was changed" in said and f"{directory}: valid" in said


def test_json(directory, capsys):
    (directory / "utt2dur").unlink()
    (directory / "spk2utt").unlink()
    assert run(directory, "--json") == 1
    assert json.loads(capsys.readouterr().out) == [{"path": str(directory), "mended": [], "faults": ["spk2utt is missing"]}]
