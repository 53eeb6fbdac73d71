"""Philox4x32-10, the counter-based generator that makes randomness an input: no state, no order.

Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3 and table 2.
"""

from __future__ import annotations

import numpy as np

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_INCREMENTS = (0x9E3779B9, 0xBB67AE85)
AUDIO_STREAM = 0


def philox4x32(counter: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Ten rounds of Philox4x32.

    Args:
        counter: uint32 [..., 4].
        key: uint32 [..., 2].

    Returns:
        Random words, uint32 [..., 4].
    """
    c = [np.asarray(counter, np.uint64)[..., i] for i in range(4)]
    k = [np.asarray(key, np.uint64)[..., i] for i in range(2)]
    low = np.uint64(0xFFFFFFFF)
    for _ in range(ROUNDS):
        a, b = c[0] * np.uint64(MULTIPLIERS[0]), c[2] * np.uint64(MULTIPLIERS[1])
        c = [(b >> np.uint64(32)) ^ c[1] ^ k[0], b & low, (a >> np.uint64(32)) ^ c[3] ^ k[1], a & low]
        k = [(k[i] + np.uint64(KEY_INCREMENTS[i])) & low for i in range(2)]
    return np.stack(np.broadcast_arrays(*c), axis=-1).astype(np.uint32)


def uniform(seeds: np.ndarray, times: np.ndarray, stream: int = AUDIO_STREAM) -> np.ndarray:
    """The uniform number that belongs to a seed and a time.

    Args:
        seeds: 64-bit keys, uint64, any shape that broadcasts against times.
        times: positions in samples, counted modulo 2^32.
        stream: which of a seed's independent sequences; audio has 0.

    Returns:
        float32 in [0, 1), multiples of 2^-24.
    """
    seeds, times = np.broadcast_arrays(np.asarray(seeds, np.uint64), np.asarray(times, np.uint64))
    low = np.uint64(0xFFFFFFFF)
    key = np.stack([seeds & low, seeds >> np.uint64(32)], axis=-1)
    counter = np.zeros((*times.shape, 4), np.uint64)
    counter[..., 0], counter[..., 1] = times & low, stream
    return (philox4x32(counter, key)[..., 0] >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)
