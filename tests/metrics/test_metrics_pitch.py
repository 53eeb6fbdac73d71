"""Pitch of tones whose pitch is known, against librosa, and differences by hand."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from speechvq.metrics.pitch import log_pitch_error, pitch, register, voiced_share

RATE = 16000


def glide(low, high, seconds=1.0):
    """A buzz of ten harmonics; returns it and its pitch every 5 ms."""
    hz = np.geomspace(low, high, int(seconds * RATE))
    phase = 2 * np.pi * np.cumsum(hz) / RATE
    samples = sum(np.sin(n * phase) / n for n in range(1, 11)) * 0.1
    return samples.astype(np.float32), np.r_[hz, hz[-1]][:: RATE // 200]


@pytest.mark.parametrize(("low", "high"), [(80, 120), (150, 250), (380, 300)])
def test_buzzes(low, high):
    samples, truth = glide(low, high)
    found = pitch(samples, RATE)
    assert len(found) == len(truth) == 201
    inner = slice(10, -10)
    assert (found[inner] > 0).all()
    assert np.abs(12 * np.log2(found[inner] / truth[inner])).max() < 0.3


def test_noise_and_silence_have_no_pitch():
    rng = np.random.default_rng(0)
    assert (pitch(rng.normal(size=RATE) * 0.1, RATE) > 0).mean() < 0.05
    assert not pitch(np.zeros(RATE), RATE).any()


def test_agrees_with_librosa():
    samples, _ = glide(100, 200)
    samples[8000:] *= 0.001
    ours = pitch(samples, RATE)
    theirs, voiced, _ = librosa.pyin(samples, fmin=60, fmax=400, sr=RATE, hop_length=80, frame_length=1024)
    both = (ours[: len(theirs)] > 0) & voiced
    assert both.sum() > 80 and not ours[120:].any()
    assert np.abs(np.log2(ours[: len(theirs)][both] / theirs[both])).max() < 0.03


def test_differences_by_hand():
    a, b = np.array([100.0, 200.0, 0.0, 400.0, 300.0]), np.array([200.0, 400.0, 100.0, 800.0, 0.0])
    found = log_pitch_error(a, b)
    assert found["rmse"] == pytest.approx(np.log(2)) and found["correlation"] == pytest.approx(1.0)
    found = log_pitch_error(np.array([100.0, 200.0, 100.0]), np.array([200.0, 100.0, 200.0]))
    assert found["correlation"] == pytest.approx(-1.0)
    assert log_pitch_error(a[:3], b[:3]) == dict(rmse=None, correlation=None)


def test_a_whisper_has_few_voiced_frames():
    assert voiced_share([np.array([100.0, 0.0]), np.array([200.0, 90.0])]) == 0.75
    assert voiced_share([]) == 0.0
    whisper = np.random.default_rng(0).standard_normal(16000) * 0.1
    hum = sum(np.sin(2 * np.pi * 110 * k * np.arange(16000) / 16000) / k for k in range(1, 8)) * 0.1
    assert voiced_share([pitch(whisper)]) < 0.05 and voiced_share([pitch(hum)]) > 0.95


def test_register_by_hand():
    mean, spread = register([np.array([100.0, 0.0]), np.array([200.0])])
    assert mean == pytest.approx(12 * np.log2(100) + 6) and spread == pytest.approx(6.0)
    assert register([np.zeros(3)]) is None
