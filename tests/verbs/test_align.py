"""`speechvq align` on real speech, against Montreal Forced Aligner times, and on what cannot be aligned."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechvq.alignment import fold_phone, read_ctm, read_textgrid
from speechvq.audio import read
from speechvq.corpus import Utterance, write_data_dir
from speechvq.errors import AlignmentError, CorpusError
from speechvq.sphinx.align import Aligner
from speechvq.verbs import align

pytest.importorskip("pocketsphinx")
CORPORA = os.environ.get("SPEECHVQ_CORPORA")
needs_corpora = pytest.mark.skipif(not CORPORA, reason="set SPEECHVQ_CORPORA to the folder of real speech")


def run(*words):
    parser = argparse.ArgumentParser()
    align.add_arguments(parser)
    return align.run(parser.parse_args([str(word) for word in words]))


@pytest.fixture
def vctk():
    folder = Path(CORPORA) / "VCTK-Corpus"
    grid = folder / "alignments/p225/p225_003.TextGrid"
    return folder / "wav48/p225/p225_003.wav", (folder / "txt/p225/p225_003.txt").read_text(), read_textgrid(grid)


@needs_corpora
def test_phone_times_agree_with_another_aligner(vctk):
    path, text, truth = vctk
    samples = read(path)
    frames = len(samples) // 160
    labels = [
        np.array([fold_phone(str(label)) for label in times.frame_labels(frames, 160, 16000)])
        for times in (Aligner().align(samples, text), truth)
    ]
    assert np.mean(labels[0] == labels[1]) > 0.75


@needs_corpora
def test_a_data_directory_with_faults(vctk, tmp_path, capsys):
    path, text, _ = vctk
    soundfile.write(tmp_path / "short.wav", np.zeros(1600, np.float32), 16000)
    write_data_dir(
        tmp_path / "data",
        [
            Utterance("s-good", "s", path, text),
            Utterance("s-bare", "s", path),
            Utterance("s-number", "s", path, "Room 25"),
            Utterance("s-short", "s", tmp_path / "short.wav", text),
        ],
    )
    assert run(tmp_path / "data", "--nj", 1) == 1
    printed = capsys.readouterr()
    assert "1 of 4 utterances aligned" in printed.out
    assert "s-bare: no transcript" in printed.err
    assert "s-number: '25' is in no dictionary" in printed.err
    assert "s-short: the audio does not fit" in printed.err
    assert list(read_ctm(tmp_path / "data" / "phones.ctm")) == ["s-good"]
    with pytest.raises(CorpusError, match="already there"):
        run(tmp_path / "data")


def test_transcripts_are_needed(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(1600, np.float32), 16000)
    write_data_dir(tmp_path / "data", [Utterance("s-a", "s", tmp_path / "a.wav")])
    with pytest.raises(CorpusError, match="no transcripts"):
        run(tmp_path / "data")


def test_words_outside_the_dictionary_are_guessed_or_refused():
    aligner = Aligner()
    with pytest.raises(AlignmentError, match="no words"):
        aligner.align(np.zeros(16000), "...")
    with pytest.raises(AlignmentError, match="'25'"):
        aligner.align(np.zeros(16000), "doesnt zyblick 25")
    assert aligner.guessed == {"doesnt": "D AH Z AH N T", "zyblick": "Z IY B L IH K"}
