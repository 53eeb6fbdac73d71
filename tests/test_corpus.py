"""Kaldi data directories: written, read back, cut up, and held to Kaldi's own validator."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from speechvq import audio
from speechvq.alignment import Alignment
from speechvq.corpus import DataDir, Utterance, refuse_held_out, subset, write_data_dir
from speechvq.corpus_validate import faults
from speechvq.errors import AudioError, CorpusError


def sound(path, seconds=0.5, rate=16000):
    samples = np.random.default_rng(len(path.stem)).uniform(-0.1, 0.1, round(seconds * rate))
    audio.write(path, samples, rate)
    return path


def whole_files(tmp_path):
    phones = Alignment([(0, 0.2, "AA"), (0.2, 0.5, "T")])
    return [
        Utterance("s2-b", "s2", sound(tmp_path / "b.wav"), "hello  there", alignment=phones, gender="f"),
        Utterance("s10-a", "s10", sound(tmp_path / "a.flac", rate=8000), None, gender="m"),
        Utterance("s2-B", "s2", sound(tmp_path / "c.wav", 1.0), "bye", gender="f"),
    ]


def pieces(tmp_path):
    long = sound(tmp_path / "long.wav", 2.0)
    return [Utterance(f"s1-{k}", "s1", long, f"piece {k}", k * 0.5, k * 0.5 + 0.25) for k in range(3)]


def test_there_and_back(tmp_path):
    write_data_dir(tmp_path / "data", whole_files(tmp_path))
    data = DataDir(tmp_path / "data")
    assert data.utterances == ["s10-a", "s2-B", "s2-b"]  # as LC_ALL=C sorts
    assert data.speakers == ["s10", "s2"]
    assert data.utt2spk["s2-b"] == "s2" and data.genders == {"s10": "m", "s2": "f"}
    assert data.text == {"s2-b": "hello there", "s2-B": "bye"}
    assert data.duration("s2-B") == 1.0 and len(data) == 3 and "s2-b" in data and "x" not in data
    assert [i.label for i in data.alignment("s2-b")] == ["AA", "T"] and data.alignment("s2-B") is None
    np.testing.assert_array_equal(data.audio("s2-b"), audio.read(tmp_path / "b.wav"))
    assert len(data.audio("s10-a")) == 8000 and len(data.audio("s10-a", 8000)) == 4000


def test_files_are_plain_kaldi(tmp_path):
    write_data_dir(tmp_path / "data", whole_files(tmp_path), held_out=["s2-b"])
    written = {p.name: p.read_text() for p in (tmp_path / "data").iterdir()}
    assert written["utt2spk"] == "s10-a s10\ns2-B s2\ns2-b s2\n"
    assert written["spk2utt"] == "s10 s10-a\ns2 s2-B s2-b\n"
    assert written["text"] == "s10-a\ns2-B bye\ns2-b hello there\n"
    assert written["utt2dur"] == "s10-a 0.5000\ns2-B 1.0000\ns2-b 0.5000\n"
    assert written["spk2gender"] == "s10 m\ns2 f\n"
    assert written["wav.scp"].splitlines()[0] == f"s10-a {tmp_path / 'a.flac'}"
    assert written["held_out"] == "s2-b\n"
    assert written["phones.ctm"] == "s2-b 1 0.0000 0.2000 AA\ns2-b 1 0.2000 0.3000 T\n"


def test_segments(tmp_path):
    write_data_dir(tmp_path / "data", pieces(tmp_path))
    data = DataDir(tmp_path / "data")
    assert faults(tmp_path / "data") == []
    assert len((tmp_path / "data" / "wav.scp").read_text().splitlines()) == 1
    assert data.duration("s1-1") == 0.25
    np.testing.assert_array_equal(data.audio("s1-1"), audio.read(tmp_path / "long.wav")[8000:12000])


def test_a_subset_keeps_everything(tmp_path):
    write_data_dir(tmp_path / "whole", whole_files(tmp_path), held_out=["s10-a"])
    subset(DataDir(tmp_path / "whole"), tmp_path / "part", ["s2-b", "s10-a"])
    part = DataDir(tmp_path / "part")
    assert part.utterances == ["s10-a", "s2-b"] and part.text == {"s2-b": "hello there"} and part.genders == {"s10": "m", "s2": "f"}
    assert len(part.alignment("s2-b")) == 2 and part.held_out == {"s10-a"}
    write_data_dir(tmp_path / "cut", pieces(tmp_path))
    subset(DataDir(tmp_path / "cut"), tmp_path / "cut2", ["s1-2"])
    np.testing.assert_array_equal(DataDir(tmp_path / "cut2").audio("s1-2"), DataDir(tmp_path / "cut").audio("s1-2"))


def test_unknown_genders_leave_no_file(tmp_path):
    write_data_dir(tmp_path / "data", [*whole_files(tmp_path), Utterance("t-1", "t", tmp_path / "b.wav")])
    assert not (tmp_path / "data" / "spk2gender").exists()
    assert DataDir(tmp_path / "data").genders == {}


def test_durations_are_measured_without_utt2dur(tmp_path):
    for name, utterances in (("whole", whole_files(tmp_path)), ("cut", pieces(tmp_path))):
        write_data_dir(tmp_path / name, utterances)
        (tmp_path / name / "utt2dur").unlink()
        data = DataDir(tmp_path / name)
        assert {u: data.duration(u) for u in data.utterances} == pytest.approx({"s10-a": 0.5, "s2-B": 1.0, "s2-b": 0.5} if name == "whole" else dict.fromkeys(data.utterances, 0.25))


def test_training_refuses_held_out_utterances(tmp_path):
    utterances = whole_files(tmp_path)
    write_data_dir(tmp_path / "train", utterances[:2], held_out=["s2-B"])
    refuse_held_out(DataDir(tmp_path / "train"))
    write_data_dir(tmp_path / "all", utterances, held_out=["s2-B"])
    with pytest.raises(CorpusError, match="holds 1 evaluation utterances .such as s2-B."):
        refuse_held_out(DataDir(tmp_path / "all"))


def test_pipes_run_only_when_allowed(tmp_path):
    source = sound(tmp_path / "a.wav")
    write_data_dir(tmp_path / "data", [Utterance("s-1", "s", f"cat {source} |", duration=0.5)])
    with pytest.raises(CorpusError, match="shell command; allow pipes"):
        DataDir(tmp_path / "data").audio("s-1")
    np.testing.assert_array_equal(DataDir(tmp_path / "data", allow_pipes=True).audio("s-1"), audio.read(source))
    (tmp_path / "data" / "wav.scp").write_text("s-1 cat /no/such/file |\n")
    with pytest.raises(CorpusError, match="command of s-1 failed .*No such file"):
        DataDir(tmp_path / "data", allow_pipes=True).audio("s-1")
    (tmp_path / "data" / "wav.scp").write_text("s-1 echo hello |\n")
    with pytest.raises(AudioError, match="s-1: not an audio file"):
        DataDir(tmp_path / "data", allow_pipes=True).audio("s-1")


def test_a_faulty_directory_does_not_open(tmp_path):
    with pytest.raises(CorpusError, match="no such directory"):
        DataDir(tmp_path / "nothing")
    write_data_dir(tmp_path / "data", whole_files(tmp_path))
    (tmp_path / "data" / "text").write_text("x y\n")
    with pytest.raises(CorpusError, match="text lacks s10-a, s2-B, s2-b .and 1 more faults.: run 'speechvq validate"):
        DataDir(tmp_path / "data")
    with pytest.raises(CorpusError, match="no utterance 'q'"):
        write_data_dir(tmp_path / "data", whole_files(tmp_path))
        DataDir(tmp_path / "data").audio("q")


@pytest.mark.parametrize(
    "change, reason",
    [
        (lambda u: [], "no utterances"),
        (lambda u: [*u, u[0]], "two utterances are called 's2-b'"),
        (lambda u: [Utterance("b", "s2", u[0].path)], "must begin with their speaker"),
        (lambda u: [Utterance("s 1", "s", u[0].path)], "wav.scp|utt2spk"),
        (lambda u: [Utterance("a-z", "a", u[0].path), Utterance("a+b-a", "a+b", u[0].path)], "not sorted by speaker"),
        (lambda u: [Utterance("s-1", "s", "make |")], "give the duration"),
    ],
)
def test_what_kaldi_would_refuse_is_not_written(tmp_path, change, reason):
    utterances = whole_files(tmp_path)
    write_data_dir(tmp_path / "data", utterances)
    with pytest.raises(CorpusError, match=reason):
        write_data_dir(tmp_path / "data", change(utterances))
    assert len(DataDir(tmp_path / "data")) == 3


@pytest.mark.parametrize("make", [whole_files, pieces])
def test_kaldi_accepts_what_is_written(tmp_path, make):
    write_data_dir(tmp_path / "data", make(tmp_path), held_out=["s2-b"])
    assert "Successfully validated" in kaldi_says(tmp_path / "data")


def kaldi_says(directory):
    root = os.environ.get("KALDI_ROOT")
    if not root:
        pytest.skip("KALDI_ROOT is not set: Kaldi's validate_data_dir.sh is not at hand")
    recipe = Path(root) / "egs" / "wsj" / "s5"
    command = ["bash", "utils/validate_data_dir.sh", "--no-feats", str(directory)]
    result = subprocess.run(command, cwd=recipe, capture_output=True, text=True)
    return result.stdout + result.stderr
