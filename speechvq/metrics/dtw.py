"""Dynamic time warping between two sequences, given what it costs to pair any two of their frames."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def mean_path_cost(cost: np.ndarray) -> float:
    """Cost per step of the cheapest path from corner to corner.

    Args:
        cost: float [n, m] of pairing frame i with frame j.

    Returns:
        the least total cost over its number of steps; of equal steps the diagonal
        is preferred, then the one along m.

    Source: Sakoe, Chiba 1978, symmetric steps; normalised by the path's length as in the ZeroSpeech ABX task.
    """
    n, m = cost.shape
    total = np.empty((2, m))
    steps = np.empty((2, m))
    for i in range(n):
        row, above = i % 2, (i + 1) % 2
        for j in range(m):
            if i == 0 and j == 0:
                best, length = 0.0, 0.0
            elif i == 0:
                best, length = total[row, j - 1], steps[row, j - 1]
            elif j == 0:
                best, length = total[above, 0], steps[above, 0]
            else:
                best, length = total[above, j - 1], steps[above, j - 1]
                if total[row, j - 1] < best:
                    best, length = total[row, j - 1], steps[row, j - 1]
                if total[above, j] < best:
                    best, length = total[above, j], steps[above, j]
            total[row, j] = best + cost[i, j]
            steps[row, j] = length + 1
    return total[(n - 1) % 2, m - 1] / steps[(n - 1) % 2, m - 1]


@njit(cache=True)
def path(cost: np.ndarray) -> np.ndarray:
    """The cheapest path from corner to corner.

    Args:
        cost: float [n, m].

    Returns:
        int64 [steps, 2], frame numbers from (0, 0) to (n - 1, m - 1).
    """
    n, m = cost.shape
    total = np.full((n + 1, m + 1), np.inf)
    total[0, 0] = 0.0
    for i in range(n):
        for j in range(m):
            total[i + 1, j + 1] = cost[i, j] + min(total[i, j], total[i + 1, j], total[i, j + 1])
    backwards = np.empty((n + m - 1, 2), np.int64)
    i, j, steps = n - 1, m - 1, 0
    while True:
        backwards[steps, 0], backwards[steps, 1] = i, j
        steps += 1
        if i == 0 and j == 0:
            return backwards[:steps][::-1].copy()
        diagonal, along, down = total[i, j], total[i + 1, j], total[i, j + 1]
        if diagonal <= along and diagonal <= down:
            i, j = i - 1, j - 1
        elif along <= down:
            j -= 1
        else:
            i -= 1
