"""Packing a corpus, and crops that depend on seed and step alone."""

from __future__ import annotations

import numpy as np
import pytest

from speechvq.audio import gain_db, mu_law_encode, write
from speechvq.corpus import DataDir, Utterance, write_data_dir
from speechvq.data import Crops, mu_law_table, pack, speech_span
from speechvq.errors import CorpusError

RATE = 16000


@pytest.fixture
def packed(tiny_data, tmp_path):
    return pack(DataDir(tiny_data / "train"), tmp_path / "pack", RATE)[0]


def test_packed_speech_is_levelled(packed):
    for start, end in packed.spans.values():
        assert abs(gain_db(packed.samples[start:end].astype(np.float32) / 32768, RATE)) < 0.7


def test_an_equal_pack_is_taken_as_it_is(tiny_data, tmp_path, packed):
    before = (tmp_path / "pack" / "samples.s16").stat().st_mtime_ns
    pack(DataDir(tiny_data / "train"), tmp_path / "pack", RATE)
    assert (tmp_path / "pack" / "samples.s16").stat().st_mtime_ns == before
    pack(DataDir(tiny_data / "dev"), tmp_path / "pack", RATE)
    assert (tmp_path / "pack" / "samples.s16").stat().st_mtime_ns != before


def test_silence_at_the_ends_is_trimmed():
    speech = np.sin(np.arange(RATE) * 0.3).astype(np.float32) * 0.3
    padded = np.concatenate([np.zeros(RATE, np.float32), speech, np.zeros(2 * RATE, np.float32)])
    start, end = speech_span(padded, RATE)
    assert start == pytest.approx(0.9 * RATE, abs=0.02 * RATE)
    assert end == pytest.approx(2.1 * RATE, abs=0.02 * RATE)
    assert speech_span(np.zeros(800, np.float32), RATE) == (0, 800)


def test_a_bad_file_is_left_out_and_named(tiny_data, tmp_path):
    good = DataDir(tiny_data / "dev").utterance("low-dev0")
    bad = tmp_path / "bad.wav"
    write(bad, np.ones(RATE, np.float32) * 0.1, RATE)
    write_data_dir(tmp_path / "data", [good, Utterance("low-bad", "low", bad)])
    bad.write_bytes(b"not audio")
    packed, faults = pack(DataDir(tmp_path / "data"), tmp_path / "pack", RATE)
    assert packed.utterances == ["low-dev0"]
    assert len(faults) == 1
    assert "low-bad" in faults[0]


def test_a_corpus_of_bad_files_is_refused(tmp_path):
    bad = tmp_path / "bad.wav"
    write(bad, np.ones(RATE, np.float32) * 0.1, RATE)
    write_data_dir(tmp_path / "data", [Utterance("a-1", "a", bad)])
    bad.write_bytes(b"not audio")
    with pytest.raises(CorpusError, match="none of its 1"):
        pack(DataDir(tmp_path / "data"), tmp_path / "pack", RATE)


def test_crops_are_a_function_of_seed_and_step(packed):
    one, same, other = (Crops(packed, packed.speakers, 512, seed) for seed in (3, 3, 4))
    first = one.batch(5, 6)
    assert np.array_equal(first.pcm, same.batch(5, 6).pcm)
    assert not np.array_equal(first.pcm, one.batch(6, 6).pcm)
    assert not np.array_equal(first.pcm, other.batch(5, 6).pcm)


def test_a_crop_is_of_the_speaker_it_names(packed):
    crops = Crops(packed, ["high", "low"], 512)
    batch = crops.batch(0, 40)
    samples = np.asarray(packed.samples)
    windows = np.lib.stride_tricks.sliding_window_view(samples, 512)
    for pcm, speaker in zip(batch.pcm, batch.speaker, strict=True):
        start, end = packed.spans[["high", "low"][speaker]]
        assert any(np.array_equal(windows[at], pcm) for at in np.flatnonzero(windows[start : end - 511, 0] == pcm[0]) + start)


def test_balance_draws_speakers_evenly(packed):
    packed.spans["low"] = (packed.spans["low"][0], packed.spans["low"][0] + 2000)
    even = Crops(packed, packed.speakers, 512, balance=1.0).batch(0, 400).speaker
    by_time = Crops(packed, packed.speakers, 512, balance=0.0).batch(0, 400).speaker
    assert abs(even.mean() - 0.5) < 0.1
    assert by_time.mean() < 0.2


def test_a_speaker_shorter_than_a_crop_is_padded(packed):
    packed.spans["low"] = (packed.spans["low"][0], packed.spans["low"][0] + 100)
    pcm = Crops(packed, ["low"], 512).batch(0, 3).pcm
    assert (pcm[:, 100:] == 0).all()
    assert (pcm[:, :100] != 0).any()


def test_strangers_are_refused(packed):
    with pytest.raises(CorpusError, match="none of the model's speakers"):
        Crops(packed, ["nobody"], 512)


def test_the_mu_law_table_is_the_curve():
    table = mu_law_table()
    for sample in (-32768, -1, 0, 1, 12345, 32767):
        assert table[sample + 32768] == mu_law_encode(np.float32([sample / 32768]))[0]
