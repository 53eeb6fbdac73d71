"""The post-filter: drawn speech takes the spectrum that was expected of it, and the voice's in the long run."""

import librosa
import numpy as np
import pytest
import torch

from speechvq.nn.features import LogMel, mel_centres
from speechvq.postfilter import DB_PER_LOG_MEL, MOST_DB, PostFilter, long_term_spectrum

RATE, BANDS, HOP = 16000, 40, 64
CENTRES = mel_centres(RATE, BANDS)
LOG_MEL = LogMel(RATE, HOP, BANDS)
UNMEASURED = np.full(BANDS, np.nan)


def measure(samples: np.ndarray) -> np.ndarray:
    return LOG_MEL(torch.from_numpy(samples)[None])[0].numpy()


def noise(num_samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(num_samples).astype(np.float32) * 0.05


def post_filter(spectrum: np.ndarray = UNMEASURED) -> PostFilter:
    return PostFilter(spectrum, CENTRES, RATE, HOP, measure)


def filtered(made: PostFilter, samples: np.ndarray, *sizes: int) -> np.ndarray:
    pieces = np.split(samples, np.cumsum(sizes)[:-1])
    return np.concatenate([*(made.filter(piece) for piece in pieces), made.rest()])


def gain_in_db(before: np.ndarray, after: np.ndarray, low: float, high: float) -> float:
    """Of a band, in the middle of a signal."""
    powers = [np.abs(np.fft.rfft(signal[1000:-1000])) ** 2 for signal in (before, after)]
    low, high = (round(hertz / (RATE / 2) * (len(powers[0]) - 1)) for hertz in (low, high))
    return 10 * np.log10(powers[1][low:high].sum() / powers[0][low:high].sum())


def test_the_centres_are_librosas():
    np.testing.assert_allclose(CENTRES, librosa.mel_frequencies(BANDS + 2, fmin=50.0, fmax=RATE / 2)[1:-1])


def test_log_mel_says_how_many_decibels():
    wav = noise(16000)
    quiet, loud = (long_term_spectrum(measure(wav * np.float32(gain))) for gain in (1.0, 10.0))
    np.testing.assert_allclose(DB_PER_LOG_MEL * (loud - quiet), 20.0, atol=0.1)


def test_pauses_do_not_count():
    frames = np.where(np.arange(1000) < 250, -3.0, 1.0)[None].repeat(BANDS, 0)
    np.testing.assert_allclose(long_term_spectrum(frames), 1.0)


def test_what_was_expected_is_what_comes_out():
    wav = noise(16000)
    made = post_filter()
    made.expect(measure(wav))
    np.testing.assert_allclose(filtered(made, wav, 16000), wav, atol=1e-6)


def test_a_band_that_came_out_weak_is_made_stronger():
    wav = noise(32000)
    made = post_filter()
    made.expect(measure(wav) + np.where(CENTRES > 3000, 12 / DB_PER_LOG_MEL, 0.0)[:, None])
    after = filtered(made, wav, 32000)
    assert gain_in_db(wav, after, 500, 2500) == pytest.approx(0.0, abs=0.3)
    assert gain_in_db(wav, after, 3500, 7500) == pytest.approx(12.0, abs=0.3)


def test_a_flicker_is_evened_out():
    steady = noise(32000)
    flicker = steady * (1 + 0.7 * np.sign(np.sin(2 * np.pi * 10 * np.arange(32000) / RATE))).astype(np.float32)
    made = post_filter()
    made.expect(measure(steady))
    after = filtered(made, flicker, 32000)

    def rms(signal):
        return np.sqrt((signal[1600:-1600].reshape(-1, 400) ** 2).mean(1))

    assert np.abs(np.log(rms(flicker) / rms(steady))).mean() > 0.8
    assert np.abs(np.log(rms(after) / rms(steady))).mean() < 0.3


def test_valleys_between_harmonics_stay_valleys():
    time = np.arange(32000) / RATE
    hum = (noise(32000) * 0.05 + 0.05 * sum(np.cos(2 * np.pi * 240 * k * time) for k in range(1, 30))).astype(np.float32)
    made = post_filter()
    made.expect(np.full((BANDS, 500), measure(hum).mean()))  # a guess that knows no pitch
    after = filtered(made, hum, 32000)
    for harmonic in (1, 2, 3):
        peak, valley = (gain_in_db(hum, after, at - 25, at + 25) for at in (240 * harmonic, 240 * (harmonic + 0.5)))
        assert valley - peak < 5, f"the noise above harmonic {harmonic} grew by {valley - peak:.1f} dB"


def test_nothing_is_overdone():
    wav = noise(16000)
    made = post_filter()
    made.expect(measure(wav) + 10.0)
    assert gain_in_db(wav, filtered(made, wav, 16000), 200, 7500) == pytest.approx(MOST_DB, abs=0.1)


def test_speech_takes_the_spectrum_of_the_voice_as_it_becomes_known():
    second = noise(RATE)
    guess = measure(second)
    own = long_term_spectrum(guess)
    made = post_filter(own + 6 / DB_PER_LOG_MEL)
    made.expect(guess[:, :125])
    made.expect(guess[:, 125:])
    after = filtered(made, second, RATE)
    speech = 0.7 * RATE / HOP / 2  # frames that are no pauses, in half of it
    first, then = (6 * frames / (frames + 75) for frames in (speech, 2 * speech))  # 75 frames are 0.3 s
    assert gain_in_db(second[:8000], after[:8000], 200, 7500) == pytest.approx(first, abs=0.4)
    assert gain_in_db(second[8000:], after[8000:], 200, 7500) == pytest.approx(then, abs=0.4)


def test_pieces_of_any_length_give_the_whole_in_its_place():
    wav, guess = noise(12800, 1), measure(noise(12800, 2))
    results = []
    for sizes in ((12800,), (64, 64, 512, 12160), (6400, 6400), (HOP,) * 200):
        made = post_filter(np.linspace(1, -1, BANDS))
        made.expect(guess)
        results.append(filtered(made, wav, *sizes))
    for other in results[1:]:
        np.testing.assert_allclose(other, results[0], atol=1e-6)
    assert results[0].dtype == np.float32
    assert len(results[0]) == len(wav)
    assert np.correlate(results[0], wav, "same").argmax() == len(wav) // 2


def test_one_frame_is_enough():
    made = post_filter()
    made.expect(np.zeros((BANDS, 1)))
    assert filtered(made, noise(HOP), HOP).shape == (HOP,)


@pytest.mark.parametrize("spectrum", [np.zeros(BANDS), UNMEASURED])
def test_hours_are_filtered_in_constant_memory(spectrum):
    made, sizes = post_filter(spectrum), []
    for _ in range(5):
        made.expect(np.zeros((BANDS, 100)))
        made.filter(np.zeros(100 * HOP, np.float32))
        sizes.append(sum(value.size for value in vars(made).values() if isinstance(value, np.ndarray)))
    assert len(set(sizes[1:])) == 1
