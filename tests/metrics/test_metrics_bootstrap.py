"""Bootstrap intervals against scipy's and against what pairing must do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from speechvq.metrics.bootstrap import bootstrap_means, interval


def test_interval_agrees_with_scipy():
    rng = np.random.default_rng(0)
    totals = rng.integers(20, 200, 80)
    hits = rng.binomial(totals, rng.beta(4, 6, 80))
    low, high = interval(bootstrap_means(hits, totals, resamples=9000))
    theirs = stats.bootstrap(
        (hits, totals), lambda h, t, axis: h.sum(axis) / t.sum(axis), paired=True, method="percentile", rng=rng
    ).confidence_interval
    assert low == pytest.approx(theirs.low, abs=0.004) and high == pytest.approx(theirs.high, abs=0.004)
    assert low < hits.sum() / totals.sum() < high


def test_paired_differences_do_not_see_what_both_share():
    rng = np.random.default_rng(1)
    totals = rng.integers(50, 100, 60)
    hits = rng.binomial(totals, rng.random(60))
    better = bootstrap_means(hits + totals / 10, totals) - bootstrap_means(hits, totals)
    assert interval(better) == pytest.approx((0.1, 0.1))
    low, high = interval(bootstrap_means(hits, totals))
    assert high - low > 0.05
