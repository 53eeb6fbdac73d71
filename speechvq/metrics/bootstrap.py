"""How far a score would move with other utterances: the bootstrap over utterances."""

from __future__ import annotations

import numpy as np


def bootstrap_means(hits: np.ndarray, totals: np.ndarray, resamples: int = 2000, seed: int = 0) -> np.ndarray:
    """Scores of data sets drawn from the utterances with replacement.

    The same seed and the same number of utterances draw the same data sets, so the
    difference of two results is that of paired scores.

    Args:
        hits: [U] what each utterance scored, e.g. its frames that were right.
        totals: [U] out of how much, e.g. its frames.
        resamples: how many data sets are drawn.
        seed: of the draws.

    Returns:
        [resamples] sum of hits over sum of totals.

    Source: Efron, Tibshirani 1993, An Introduction to the Bootstrap; for recognisers: Bisani, Ney 2004.
    """
    draws = np.random.default_rng(seed).multinomial(len(totals), np.full(len(totals), 1 / len(totals)), size=resamples)
    return (draws @ hits) / np.maximum(draws @ totals, 1e-300)


def interval(means: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The range that holds `level` of the bootstrap's scores, cut evenly at both ends."""
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
