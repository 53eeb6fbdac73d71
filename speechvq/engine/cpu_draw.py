"""The end of every sample on a processor, compiled: softmax, temperature, nucleus, Philox, draw."""

from __future__ import annotations

import numpy as np
from numba import njit

from speechvq.engine.philox import KEY_INCREMENTS, MULTIPLIERS, ROUNDS

M0, M1 = np.uint64(MULTIPLIERS[0]), np.uint64(MULTIPLIERS[1])
K0, K1 = np.uint64(KEY_INCREMENTS[0]), np.uint64(KEY_INCREMENTS[1])
LOW, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
COLDEST = 1e-30  # lower temperatures count as this one, whose inverse float32 holds


@njit(nogil=True)
def uniform_at(seed: np.uint64, time: int) -> np.float32:
    """`philox.uniform` for one seed and time of the audio stream."""
    c0, c1, c2, c3 = np.uint64(time) & LOW, np.uint64(0), np.uint64(0), np.uint64(0)
    k0, k1 = np.uint64(seed) & LOW, np.uint64(seed) >> HALF
    for _ in range(ROUNDS):
        a, b = c0 * M0, c2 * M1
        c0, c1, c2, c3 = (b >> HALF) ^ c1 ^ k0, b & LOW, (a >> HALF) ^ c3 ^ k1, a & LOW
        k0, k1 = (k0 + K0) & LOW, (k1 + K1) & LOW
    return np.float32(c0 >> np.uint64(8)) * np.float32(2.0**-24)


@njit(nogil=True)
def sharpness(temperature: float) -> np.float32:
    """What logits are multiplied with."""
    return np.float32(1 / max(temperature, COLDEST))


@njit(nogil=True)
def keep_nucleus(p: np.ndarray, top_p: np.float32) -> None:
    """Set to zero every class whose likelier ones already hold top_p of the sum.

    A class stays when the classes above its probability hold less than top_p; this bisects the
    least probability that stays, so nothing is sorted. Whole numbers can be summed in any order, so
    the compiler makes vectors of these sums, and the result is the same whatever their width.

    Args:
        p: float32 [A], not normalised, not negative, the largest 1; changed in place.
        top_p: in (0, 1).
    """
    unit = np.float32(2**30 // len(p))  # all of them together stay below 2^31
    total, high = np.int32(0), np.int32(0)
    for k in range(len(p)):
        whole = np.int32(p[k] * unit)
        total, high = np.int32(total + whole), max(high, whole)
    limit = np.float64(top_p) * total
    low = np.int32(-1)  # classes above `low` hold at least the limit, those above `high` less
    while high - low > 1:
        middle, above = np.int32((low + high) >> 1), np.int32(0)
        for k in range(len(p)):
            whole = np.int32(p[k] * unit)
            above = np.int32(above + (whole if whole > middle else np.int32(0)))
        if above < limit:
            high = middle
        else:
            low = middle
    for k in range(len(p)):
        if np.int32(p[k] * unit) < high:
            p[k] = 0


@njit(nogil=True)
def pick(p: np.ndarray, u: np.float32) -> int:
    """The smallest class whose cumulative probability is above u.

    Args:
        p: float32 [A], not normalised, not negative.
        u: in [0, 1).

    Returns:
        The class.
    """
    total = np.float32(0)
    for k in range(len(p)):
        total += p[k]
    rest = u * total
    last = 0
    for k in range(len(p)):
        if p[k] > 0:
            last = k
            if rest < p[k]:
                return k
            rest -= p[k]
    return last
