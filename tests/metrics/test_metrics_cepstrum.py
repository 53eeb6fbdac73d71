"""Mel-cepstra against the all-pass filter itself, and distortion against hand values."""

from __future__ import annotations

import numpy as np
import pytest

from speechvq.metrics.cepstrum import (
    aligned_frames,
    mel_cepstral_distortion,
    mel_cepstrum,
    speech_frames,
    warping_matrix,
)


def test_warping_bends_the_frequency_axis_as_the_all_pass_filter_does():
    rng = np.random.default_rng(0)
    cepstrum = rng.normal(size=12) * 0.6 ** np.arange(12)
    alpha = 0.42
    warped = warping_matrix(12, 400, alpha) @ cepstrum
    for omega in (0.1, 0.7, 1.5, 2.9):
        z = np.exp(-1j * omega)
        bent = -np.angle((z - alpha) / (1 - alpha * z))
        straight = (cepstrum * np.exp(-1j * omega * np.arange(12))).sum()
        assert (warped * np.exp(-1j * bent * np.arange(400))).sum() == pytest.approx(straight, abs=1e-9)


def test_the_cepstrum_is_that_of_the_log_spectrum():
    # A pure delay line of one echo, x[t] = d[t] + 0.5 d[t - 3]: the cepstrum is 0.5 at 3, -0.125 at 6, and so on.
    impulse = np.zeros(400)
    impulse[200], impulse[203] = 1.0, 0.5
    window = np.blackman(400)
    found = mel_cepstrum(impulse)[2]
    frame = np.pad(impulse, 200)[160:560] * window
    expected = np.zeros(513)
    ratio = frame[243] / frame[240]
    for n in range(1, 60):
        expected[3 * n] = -((-ratio) ** n) / n
    assert found[1:] == pytest.approx((warping_matrix(513, 25, 0.42) @ expected)[1:], abs=2e-2)


def test_distortion_by_hand():
    a, b = np.zeros((3, 25)), np.zeros((3, 25))
    b[:, 0] = 7.0  # loudness is not heard
    b[0, 1], b[1, 2], b[2, 3] = 1.0, 2.0, 0.0
    pairs = np.array([[0, 0], [1, 1], [2, 2]])
    assert mel_cepstral_distortion(a, b, pairs) == pytest.approx(10 / np.log(10) * np.sqrt(2) * (1 + 2 + 0) / 3)


def test_warped_copies_are_near_and_pauses_are_left_out():
    rng = np.random.default_rng(1)
    frames = np.cumsum(rng.normal(size=(40, 25)), axis=0)
    frames[:, 0] = 0.0
    slow = np.repeat(frames, 2, axis=0)
    assert mel_cepstral_distortion(frames, slow) == pytest.approx(0, abs=1e-9)
    quiet = np.vstack([slow, rng.normal(size=(30, 25)) * 50])
    quiet[-30:, 0] = -10.0  # 87 dB down
    assert speech_frames(quiet).sum() == 80
    assert aligned_frames(frames, quiet).max() == 79
    assert mel_cepstral_distortion(frames, quiet) == pytest.approx(0, abs=1e-9)


def test_loudness_changes_nothing_and_another_sound_much():
    rng = np.random.default_rng(2)
    noise = rng.normal(size=8000) * 0.1
    dull = np.convolve(noise, np.ones(6) / 6, mode="same")
    one, same, other = mel_cepstrum(noise), mel_cepstrum(noise * 0.3), mel_cepstrum(dull)
    assert mel_cepstral_distortion(one, same) < 0.01
    assert mel_cepstral_distortion(one, other) > 3
