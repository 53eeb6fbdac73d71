"""Boundary scores against hand values and an exhaustive matching."""

from __future__ import annotations

import networkx
import numpy as np
import pytest

from speechvq.metrics.boundaries import BoundaryCounts, match_boundaries


def test_matching_by_hand():
    # 0.10 matches 0.12 (20 ms away, the edge); 0.13 finds no partner left; 0.50 is 30 ms from 0.53.
    counts = match_boundaries(np.array([0.10, 0.13, 0.50]), np.array([0.12, 0.53]))
    assert counts == BoundaryCounts(hits=1, found=3, true=2)
    assert match_boundaries(np.zeros(0), np.array([0.1])) == BoundaryCounts(0, 0, 1)


def test_matching_is_the_largest_there_is():
    rng = np.random.default_rng(0)
    for _ in range(50):
        found, true = (np.sort(rng.random(rng.integers(1, 30))) for _ in range(2))
        graph = networkx.Graph()
        graph.add_nodes_from(("f", i) for i in range(len(found)))
        graph.add_edges_from(
            (("f", i), ("t", j)) for i, a in enumerate(found) for j, b in enumerate(true) if abs(a - b) <= 0.02
        )
        assert match_boundaries(found, true).hits == len(networkx.max_weight_matching(graph, maxcardinality=True))


def test_scores_by_hand():
    scores = BoundaryCounts(hits=6, found=8, true=10).scores()
    assert scores["precision"] == 0.75 and scores["recall"] == 0.6
    assert scores["f1"] == pytest.approx(2 / 3)
    # Over-segmentation -0.2: r1 = |(0.4, 0.2)|, r2 = |0.2 + 0.6 - 1| / sqrt 2.
    assert scores["r_value"] == pytest.approx(1 - (np.sqrt(0.2) + 0.2 / np.sqrt(2)) / 2)
    assert BoundaryCounts(5, 5, 5).scores() == dict(precision=1.0, recall=1.0, f1=1.0, r_value=1.0)
    assert BoundaryCounts(0, 0, 0).scores()["f1"] == 0.0
