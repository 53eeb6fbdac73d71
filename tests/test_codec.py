"""A model at work: blocks equal the whole, loudness and length come back, faults are named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import RATE, voice

import speechvq
from speechvq import codec as codec_module
from speechvq import postfilter
from speechvq.audio import gain_db, mu_law_decode, read, write
from speechvq.batch import torch_threads
from speechvq.codec import Codec, Sampling
from speechvq.errors import InputError, UnitsError
from speechvq.model import SPECTRAL_BANDS
from speechvq.postfilter import DB_PER_LOG_MEL, long_term_spectrum
from speechvq.units import Units


@pytest.fixture(scope="module")
def codec(tiny_exp):
    return Codec(tiny_exp / "best", backend="cpu", precision="float32")


def test_three_lines_of_python(tiny_exp):
    model = speechvq.load(tiny_exp / "best")
    wav = voice(5, 0.5, 150.0)
    units = model.encode(wav, RATE)
    assert (len(units), units.hop_length, units.sample_rate) == (125, 64, RATE)
    assert len(model.convert(wav, RATE, speaker="low")) == len(wav)


@pytest.mark.parametrize("num_samples", [1, 63, 64, 65, 8000, 40001])
def test_blocks_encode_as_the_whole(codec, num_samples, monkeypatch):
    wav = voice(1, 3.0, 120.0)[:num_samples]
    whole = codec.encode(wav, RATE).ids
    assert len(whole) == -(-num_samples // codec.hop_length)
    monkeypatch.setattr(codec_module, "BLOCK_SECONDS", 0.1)
    blocks = np.concatenate(list(codec.encode_blocks(np.array_split(wav * np.float32(10 ** (gain_db(wav, RATE) / 20)), 7))))
    assert np.array_equal(whole, blocks)


@pytest.mark.parametrize("num_units", [1, 5, 61])
def test_blocks_decode_as_the_whole(codec, num_units, monkeypatch):
    units = codec.units(np.random.default_rng(0).integers(0, 16, num_units))
    # The post-filter learns a voice's balance block by block, so what it does depends on their length.
    plain = replace(codec.model.voice("low"), spectrum=np.full(SPECTRAL_BANDS, np.nan, np.float32))
    for speaker in ("low", plain):
        whole = codec.decode(units, speaker, Sampling(seed=3))
        assert len(whole) == num_units * codec.hop_length
        if speaker is plain:
            monkeypatch.setattr(codec_module, "BLOCK_SECONDS", 0.02)
        blocks = np.concatenate(list(codec.decode_blocks(np.array_split(units.ids, 3), speaker, Sampling(seed=3))))
        np.testing.assert_allclose(blocks, whole, atol=1e-6)  # sums in another order, of the same drawn samples


def test_a_voice_speaks_with_its_own_spectrum(codec, monkeypatch):
    monkeypatch.setattr(postfilter, "MOST_DB", 80.0)  # what this model draws is far from what it expects
    units = codec.units(np.random.default_rng(0).integers(0, 16, 2000))
    voice = codec.model.voice("low")
    assert np.isfinite(voice.spectrum).all()
    guess = codec.model.condition_and_guess(torch.from_numpy(units.ids.astype(np.int64))[None], torch.from_numpy(voice.vector)[None])[1]
    expected = long_term_spectrum(guess[0].flatten(0, 1).T.numpy())
    soft, loud = (codec.decode(units, replace(voice, spectrum=expected + more)) for more in (0.0, 0.5))
    known = 1400 / (1400 + 75)  # units that are no pauses; those of 0.3 s
    assert 20 * np.log10(loud.std() / soft.std()) == pytest.approx(known * 0.5 * DB_PER_LOG_MEL, abs=0.3)


def test_a_model_that_never_learnt_to_guess_is_not_filtered(codec, monkeypatch):
    units, levels = codec.units(np.arange(16)), mu_law_decode(np.arange(256, dtype=np.uint8))
    assert not np.isin(codec.decode(units, "low"), levels).all()
    config = codec.model.config
    monkeypatch.setattr(codec.model, "config", replace(config, train=replace(config.train, spectral_weight=0.0, decoder_from=0)))
    assert np.isin(codec.decode(units, "low"), levels).all()


def test_decoding_leaves_the_cores_to_the_engine(codec, monkeypatch):
    """torch's threads would spin on after each call, where the engine's second thread should run."""
    seen = set()

    def watch(owner: type, name: str) -> None:
        function = getattr(owner, name)

        def watched(*arguments):
            seen.add((name, torch.get_num_threads()))
            return function(*arguments)

        monkeypatch.setattr(owner, name, watched)

    watch(type(codec.model), "condition_and_guess")
    watch(type(codec.model.log_mel), "forward")
    with torch_threads(2):
        codec.decode(codec.units(np.arange(8)), codec.speakers[0])
        assert seen == {("condition_and_guess", 1), ("forward", 1)} and torch.get_num_threads() == 2


def test_the_seed_decides(codec):
    units = codec.units(np.arange(16))
    one, same, other = (codec.decode(units, "low", Sampling(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_file_converts_as_its_samples_do(codec, tmp_path):
    wav = voice(2, 0.7, 130.0)
    write(tmp_path / "in.wav", wav, RATE)
    from_file = np.concatenate(list(codec.convert_file(tmp_path / "in.wav", "high")))
    assert np.array_equal(from_file, codec.convert(read(tmp_path / "in.wav", RATE), RATE, "high"))


def test_loudness_comes_back(codec):
    wav = voice(3, 0.5, 130.0)
    loud, quiet = codec.convert(wav, RATE, "low"), codec.convert(wav * np.float32(0.01), RATE, "low")
    np.testing.assert_allclose(quiet, loud * 0.01, rtol=1e-3, atol=1e-6)


def test_other_rates_are_resampled(codec):
    wav = voice(3, 0.5, 130.0)
    assert len(codec.convert(np.repeat(wav, 3), 3 * RATE, "low")) == len(wav)


def test_silence_converts(codec):
    assert np.isfinite(codec.convert(np.zeros(1000, np.float32), RATE, "low")).all()


def test_foreign_units_are_refused(codec):
    with pytest.raises(UnitsError, match="codebook 99"):
        codec.decode(Units(np.arange(3), 99, 64, RATE), "low")


def test_an_unknown_voice_lists_the_known(codec):
    with pytest.raises(InputError, match="high, low"):
        codec.decode(codec.units(np.arange(3)), "nobody")
