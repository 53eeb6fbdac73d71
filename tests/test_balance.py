"""The balance of highs and lows: the filter does what the spectra ask for, and nothing where they are not known."""

import librosa
import numpy as np
import pytest

from speechvq.balance import DB_PER_LOG_MEL, MOST_DB, Balance, long_term_spectrum
from speechvq.nn.features import LogMel, mel_centres

RATE, BANDS = 16000, 40
CENTRES = mel_centres(RATE, BANDS)


HOP = 64


def balance(spectrum: np.ndarray, drawn: float = 0.0) -> Balance:
    """One whose samples come out with that log-mel in all bands, whatever they are."""
    return Balance(spectrum, CENTRES, RATE, HOP, lambda samples: np.full((BANDS, len(samples) // HOP), drawn))


def gain_in_db(made: Balance, hertz: float) -> float:
    tone = np.sin(2 * np.pi * hertz / RATE * np.arange(4032)).astype(np.float32)
    return 20 * np.log10(made.filter(tone)[1000:3000].std() / tone[1000:3000].std())


def test_the_centres_are_librosas():
    np.testing.assert_allclose(CENTRES, librosa.mel_frequencies(BANDS + 2, fmin=50.0, fmax=RATE / 2)[1:-1])


def test_log_mel_says_how_many_decibels():
    wav = np.random.default_rng(0).standard_normal((1, 16000)).astype(np.float32) * 0.1
    mel = LogMel(RATE, 64, BANDS)
    quiet, loud = (long_term_spectrum(mel(mel.window.new_tensor(wav * gain))[0].numpy()) for gain in (1.0, 10.0))
    np.testing.assert_allclose(DB_PER_LOG_MEL * (loud - quiet), 20.0, atol=0.1)


def test_what_is_missing_is_added_where_it_is_missing():
    voice = np.where(CENTRES > 3000, 12 / DB_PER_LOG_MEL, 0.0)
    made = balance(voice)
    made.expect(np.zeros((BANDS, 250 * 60)))
    assert gain_in_db(made, 1000) == pytest.approx(0.0, abs=0.3)
    assert gain_in_db(made, 6000) == pytest.approx(12.0, abs=0.3)


def test_a_little_speech_says_little_and_nothing_is_overdone():
    short, long = balance(np.full(BANDS, 1.0)), balance(np.full(BANDS, 10.0))
    short.expect(np.zeros((BANDS, 75)))  # 0.3 s: half, though only 63 frames are drawn below
    long.expect(np.zeros((BANDS, 250 * 60)))
    assert gain_in_db(short, 2000) == pytest.approx(DB_PER_LOG_MEL / 2, abs=0.1)
    assert gain_in_db(long, 2000) == pytest.approx(MOST_DB, abs=0.1)


def test_what_was_drawn_takes_the_place_of_what_was_guessed():
    made = balance(np.zeros(BANDS), drawn=-1.0)
    made.expect(np.zeros((BANDS, 6300)))
    assert gain_in_db(made, 2000) == pytest.approx(63 / 6300 * DB_PER_LOG_MEL, abs=0.05)
    made.filter(np.zeros(HOP * (6300 - 2 * 63), np.float32))
    assert gain_in_db(made, 2000) == pytest.approx(6300 / 6375 * DB_PER_LOG_MEL, abs=0.05)


def test_pauses_do_not_count():
    frames = np.where(np.arange(1000) < 250, -3.0, 1.0)[None].repeat(BANDS, 0)
    np.testing.assert_allclose(long_term_spectrum(frames), 1.0)


def test_pieces_of_any_length_give_the_whole_in_its_place():
    wav = np.random.default_rng(1).standard_normal(5120).astype(np.float32)
    voice = np.linspace(1, -1, BANDS)
    results = []
    for sizes in ((5120,), (64, 64, 512, 4480), (2560, 2560)):
        made = balance(voice)
        made.expect(np.zeros((BANDS, 80)))
        pieces = [made.filter(piece) for piece in np.split(wav, np.cumsum(sizes)[:-1])]
        results.append(np.concatenate([*pieces, made.rest()]))
    for other in results[1:]:
        np.testing.assert_allclose(other, results[0], atol=1e-5)
    assert len(results[0]) == len(wav)
    assert np.correlate(results[0], wav, "same").argmax() == len(wav) // 2


def test_a_voice_that_was_never_measured_passes_as_it_is():
    wav = np.random.default_rng(2).standard_normal(300).astype(np.float32)
    made = balance(np.full(BANDS, np.nan))
    made.expect(np.zeros((BANDS, 10)))
    np.testing.assert_array_equal(np.concatenate([made.filter(wav), made.rest()]), wav)


@pytest.mark.parametrize("spectrum", [np.zeros(BANDS), np.full(BANDS, np.nan)])
def test_hours_are_balanced_in_constant_memory(spectrum):
    made = balance(spectrum)
    for _ in range(5):
        made.expect(np.zeros((BANDS, 100)))
        made.filter(np.zeros(100 * HOP, np.float32))
    assert sum(value.size for value in vars(made).values() if isinstance(value, np.ndarray)) < 1000
