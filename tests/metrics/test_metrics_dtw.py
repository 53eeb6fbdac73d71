"""Warping against all paths there are."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from speechvq.metrics import dtw


def all_paths(n, m, i=0, j=0):
    if (i, j) == (n - 1, m - 1):
        yield [(i, j)]
        return
    for a, b in ((i + 1, j + 1), (i, j + 1), (i + 1, j)):
        if a < n and b < m:
            for rest in all_paths(n, m, a, b):
                yield [(i, j), *rest]


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (3, 5), (5, 4)])
def test_cheapest_of_all_paths(shape):
    cost = np.random.default_rng(sum(shape)).random(shape)
    best = min(all_paths(*shape), key=lambda path: sum(cost[step] for step in path))
    np.testing.assert_array_equal(dtw.path(cost), best)
    assert dtw.mean_path_cost(cost) == pytest.approx(np.mean([cost[step] for step in best]))


def test_equal_steps_prefer_the_diagonal():
    assert dtw.path(np.zeros((3, 3))).tolist() == [[0, 0], [1, 1], [2, 2]]
    cost = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert dtw.mean_path_cost(cost) == pytest.approx(1.0)  # two steps of 1, where the detours would cost 2 in three


@pytest.mark.slow
def test_path_agrees_with_librosa():
    cost = np.random.default_rng(0).random((40, 55))
    _, theirs = librosa.sequence.dtw(C=cost)
    np.testing.assert_array_equal(dtw.path(cost), theirs[::-1])
    assert dtw.mean_path_cost(cost) == pytest.approx(cost[tuple(theirs.T)].mean())
