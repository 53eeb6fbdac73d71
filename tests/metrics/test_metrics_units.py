"""Unit measures against values worked out by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from speechvq.metrics import units

# Three units, three phones; unit 3 is never used.
IDS = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 2])
PHONES = np.array([0, 0, 1, 1, 1, 2, 2, 2, 0, 0])
COUNTS = np.array([[2, 1, 0], [0, 2, 0], [2, 0, 3], [0, 0, 0]])


def test_counts_by_hand():
    np.testing.assert_array_equal(units.unit_phone_counts(IDS, PHONES, 4, 3), COUNTS)


def test_map_takes_the_majority_and_unseen_units_the_commonest_phone():
    np.testing.assert_array_equal(units.majority_map(COUNTS), [0, 1, 2, 0])
    assert units.majority_class(COUNTS) == 0
    np.testing.assert_array_equal(units.majority_map(np.array([[0, 0, 0], [1, 5, 2]])), [1, 1])


def test_accuracy_is_of_the_frames_scored_not_of_those_mapped():
    mapping = units.majority_map(COUNTS)
    assert units.frame_accuracy(IDS, PHONES, mapping) == pytest.approx(7 / 10)
    assert units.frame_accuracy(np.array([3, 3, 1]), np.array([0, 1, 1]), mapping) == pytest.approx(2 / 3)
    assert np.isnan(units.frame_accuracy(IDS[:0], PHONES[:0], mapping))


def test_confusion_by_hand():
    table = units.confusion(PHONES, units.majority_map(COUNTS)[IDS], 3)
    np.testing.assert_array_equal(table, [[2, 0, 2], [1, 2, 0], [0, 0, 3]])


def test_purities_by_hand():
    assert units.phone_purity(COUNTS) == pytest.approx((2 + 2 + 3) / 10)
    assert units.cluster_purity(COUNTS) == pytest.approx((2 + 2 + 3) / 10)
    wide = np.array([[4, 0], [3, 0], [0, 3]])
    assert units.phone_purity(wide) == 1.0
    assert units.cluster_purity(wide) == pytest.approx(7 / 10)


def test_mutual_information_by_hand():
    independent = np.outer([1, 2, 3], [2, 4])
    assert units.mutual_information(independent) == pytest.approx(0, abs=1e-12)
    assert units.phone_normalized_mutual_information(independent) == pytest.approx(0, abs=1e-12)
    # Two units split one of two equally frequent phones: the phone is known, so PNMI is 1, and H(unit) = 1.5 bits.
    split = np.array([[2, 0], [2, 0], [0, 4]])
    assert units.phone_normalized_mutual_information(split) == pytest.approx(1.0)
    assert units.normalized_mutual_information(split) == pytest.approx(1 / 1.25)
    assert units.phone_normalized_mutual_information(np.array([[3, 0], [2, 0]])) == 0.0


@pytest.mark.parametrize("frames", [40, 700, 30000])
def test_mutual_information_agrees_with_scikit_learn(frames):
    rng = np.random.default_rng(frames)
    phones = rng.integers(0, 41, frames)
    ids = np.where(rng.random(frames) < 0.4, phones * 3, rng.integers(0, 128, frames))
    counts = units.unit_phone_counts(ids, phones, 128, 41)
    assert units.mutual_information(counts) == pytest.approx(reference.mutual_info_score(phones, ids))
    assert units.normalized_mutual_information(counts) == pytest.approx(reference.normalized_mutual_info_score(phones, ids))
    assert units.adjusted_mutual_information(counts) == pytest.approx(
        reference.adjusted_mutual_info_score(phones, ids), abs=1e-9
    )


def test_usage_by_hand():
    assert units.codebook_usage(np.array([5, 5, 0, 0])) == pytest.approx(dict(used=2, dead=2, perplexity=2.0))


def test_bitrate_by_hand():
    # Four symbols in two seconds over 0, 0, 1, 1: one bit each; the runs are 0, 1 and 1.
    utterances = [np.array([0, 0, 1]), np.array([1])]
    assert units.bitrate(utterances, 2.0) == pytest.approx(2.0)
    assert units.bitrate(utterances, 2.0, dedup=True) == pytest.approx(3 / 2 * (np.log2(3) - 2 / 3))
    # Runs 0, 1, 0, 1: four symbols of one bit in four seconds.
    assert units.bitrate([np.array([0, 1, 1, 1, 0, 1])], 4.0, dedup=True) == pytest.approx(1.0)
