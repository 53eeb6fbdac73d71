"""MFCC and k-means against librosa, scikit-learn and hand values."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from speechvq.metrics import mfcc


def test_mfcc_follows_librosa():
    rng = np.random.default_rng(0)
    samples = (np.convolve(rng.normal(size=16000), np.ones(8) / 8) * np.linspace(0.01, 0.3, 16007)).astype(np.float32)
    ours = mfcc.mfcc(samples, 16000)
    theirs = librosa.feature.mfcc(y=samples, sr=16000, n_mfcc=13, n_fft=512, win_length=400, hop_length=160, n_mels=40).T
    assert ours.shape == theirs.shape
    # librosa's window is centred in a longer frame, so single frames differ a little: the tracks must not.
    inner = slice(3, -3)
    for ours_track, theirs_track in zip(ours[inner].T, theirs[inner].T, strict=True):
        assert np.corrcoef(ours_track, theirs_track)[0, 1] > 0.9
    assert np.abs(ours - theirs)[inner].mean() < 2.0


def test_deltas_of_a_ramp_are_its_slope():
    ramp = np.arange(20.0)[:, None] * [1.0, -3.0]
    both = mfcc.add_deltas(ramp)
    np.testing.assert_allclose(both[4:-4], np.c_[ramp, np.ones(20), np.full(20, -3), np.zeros((20, 2))][4:-4], atol=1e-12)


def test_speaker_statistics_pool_their_utterances():
    frames = dict(a=np.array([[0.0], [2.0]]), b=np.array([[4.0]]), c=np.array([[7.0]]))
    found = mfcc.speaker_statistics(frames, dict(a="x", b="x", c="y"))
    np.testing.assert_allclose(found["x"][:, 0], [2, np.std([0, 2, 4])], atol=1e-4)
    np.testing.assert_allclose(found["y"][:, 0], [7, 0], atol=1e-4)


@pytest.mark.parametrize(
    ("averaged", "unit_seconds", "expected"),
    [
        (True, 0.04, [1.5, 5.5]),  # frames 0..3 lie in the first 40 ms, 4..7 in the next
        (False, 0.04, [2, 6]),  # the frame at 20 ms, then at 60 ms
        (True, 0.004, [0, 1, 1, 1, 2]),  # 4 ms units: most hold no frame centre and take the nearest
        (False, 0.02, [1, 3, 5, 7, 9, 9]),  # past the end: the last frame
    ],
)
def test_units_take_their_own_frames(averaged, unit_seconds, expected):
    frames = np.arange(10, dtype=np.float32)[:, None]
    found = mfcc.at_unit_rate(frames, len(expected), unit_seconds, averaged)
    np.testing.assert_allclose(found[:, 0], expected)


def test_k_means_finds_clusters_and_the_nearest_centre():
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 6, 600)
    features = (rng.normal(size=(6, 5)) * 10)[truth] + rng.normal(size=(600, 5))
    quantizer = mfcc.KMeans(features.astype(np.float32), 6)
    ids = quantizer(features)
    assert adjusted_rand_score(truth, ids) > 0.99
    distances = ((features[:, None] - quantizer.centres) ** 2).sum(axis=2)
    np.testing.assert_array_equal(ids, distances.argmin(axis=1))


def test_variants_are_the_eight():
    assert len({str(variant) for variant in mfcc.VARIANTS}) == 8
