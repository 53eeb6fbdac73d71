"""Counts against likelihoods worked out by hand."""

import sys
from pathlib import Path

import numpy as np
import pytest

from speechvq.units import UnitsDir, UnitsWriter

sys.path.insert(0, str(Path(__file__).parents[2] / "recipes"))

from prior_baselines import PRIOR_COUNT, Counts


def test_counts_of_two_utterances(tmp_path):
    with UnitsWriter(tmp_path / "units", 3, 64, 16000) as writer:
        writer.add("a", np.array([0, 1, 0, 1]))
        writer.add("b", np.array([0, 2]))
    counts = Counts(UnitsDir(tmp_path / "units"))
    share = np.array([4, 3, 2]) / 9  # each counted once more than it occurs
    assert counts.single(np.array([2, 0])) == pytest.approx(-np.log(share[[2, 0]]))
    first = (2 + PRIOR_COUNT * share[0]) / (2 + PRIOR_COUNT)
    then = (2 + PRIOR_COUNT * share[1]) / (3 + PRIOR_COUNT)
    assert counts.paired(np.array([0, 1, 1])) == pytest.approx(-np.log([first, then, (PRIOR_COUNT * share[1]) / (1 + PRIOR_COUNT)]))
