"""Do units change where phones do?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class BoundaryCounts:
    """Boundaries of one or many utterances: `hits` matched pairs, `found` in the units, `true` between the phones."""

    hits: int
    found: int
    true: int

    def __add__(self, other: BoundaryCounts) -> BoundaryCounts:
        return BoundaryCounts(self.hits + other.hits, self.found + other.found, self.true + other.true)

    def scores(self) -> dict[str, float]:
        """`precision`, `recall`, `f1` and `r_value`, which punishes over-segmentation as F1 does not.

        Source: Räsänen, Laine, Altosaar 2009, "An improved speech segmentation quality measure: the R-value".
        """
        precision = self.hits / self.found if self.found else 0.0
        recall = self.hits / self.true if self.true else 0.0
        f1 = 2 * precision * recall / (precision + recall) if self.hits else 0.0
        over = self.found / self.true - 1 if self.true else 0.0
        distance = np.hypot(1 - recall, over)
        slant = abs(recall - 1 - over) / np.sqrt(2)
        return dict(precision=precision, recall=recall, f1=f1, r_value=float(1 - (distance + slant) / 2))


def match_boundaries(found: np.ndarray, true: np.ndarray, tolerance: float = 0.02) -> BoundaryCounts:
    """Pair found and true boundaries one to one, each at most `tolerance` apart, as many as can be.

    Args:
        found: times in seconds, sorted.
        true: times in seconds, sorted.
        tolerance: in seconds.
    """
    hits = i = j = 0
    while i < len(found) and j < len(true):
        # 1e-9: boundaries on a grid of hops and of 10 ms may lie exactly the tolerance apart, but for rounding.
        if abs(found[i] - true[j]) <= tolerance + 1e-9:
            hits, i, j = hits + 1, i + 1, j + 1
        elif found[i] < true[j]:
            i += 1
        else:
            j += 1
    return BoundaryCounts(hits, len(found), len(true))
