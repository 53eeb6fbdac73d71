"""Maps from a unit in its context to a phone.

The paper's footnote to its phoneme figure: a unit may take its meaning from the units
before it, so a map of single units underrates what they hold.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from speechvq.metrics.units import unit_phone_counts


class ContextMap:
    """Phone of a frame from its unit and the `order - 1` units before it.

    A context's counts are smoothed towards those of the context one unit shorter, as if
    `strength` frames had been seen of it, so rare contexts lean on what is known better.

    Args:
        utterances: the ids [N] of each utterance to learn from.
        phones: its phones [N]; frames with a negative one are not learned from.
        order: 1 for single units, 2 for bigrams, 3 for trigrams.
        codebook_size: K.
        num_phones: P.
        strength: frames that the shorter context counts for.

    Source: MacKay, Peto 1995, "A hierarchical Dirichlet language model".
    """

    def __init__(
        self,
        utterances: Sequence[np.ndarray],
        phones: Sequence[np.ndarray],
        order: int,
        codebook_size: int,
        num_phones: int,
        strength: float = 5.0,
    ):
        self._base = codebook_size + 1
        flat = np.concatenate(phones)
        labelled = flat >= 0
        flat = flat[labelled]
        probabilities = np.bincount(flat, minlength=num_phones)[None] / len(flat)
        self._commonest = int(probabilities.argmax())
        self._levels: list[tuple[np.ndarray, np.ndarray]] = []
        for length in range(1, order + 1):
            contexts = np.concatenate([self._keys(ids, length) for ids in utterances])[labelled]
            keys, rows = np.unique(contexts, return_inverse=True)
            counts = unit_phone_counts(rows, flat, len(keys), num_phones).astype(np.float32)
            shorter = keys % self._base ** (length - 1)
            parents = np.searchsorted(self._levels[-1][0], shorter) if self._levels else np.zeros(len(keys), np.int64)
            counts += strength * probabilities[parents]
            probabilities = counts / counts.sum(axis=1, keepdims=True)
            self._levels.append((keys, probabilities.argmax(axis=1)))

    def predict(self, ids: np.ndarray) -> np.ndarray:
        """The likeliest phone of each frame [N] of an utterance's ids [N]; an unseen context falls to a shorter one."""
        phones = np.full(len(ids), self._commonest)
        for length, (keys, best) in enumerate(self._levels, start=1):
            contexts = self._keys(ids, length)
            rows = np.minimum(np.searchsorted(keys, contexts), len(keys) - 1)
            known = keys[rows] == contexts
            phones[known] = best[rows[known]]
        return phones

    def _keys(self, ids: np.ndarray, length: int) -> np.ndarray:
        # A context as one number, the oldest unit in the highest place; the unit K stands before the start.
        padded = np.r_[np.full(length - 1, self._base - 1), np.asarray(ids, np.int64)]
        windows = np.lib.stride_tricks.sliding_window_view(padded, length) if len(ids) else np.zeros((0, length), np.int64)
        return windows @ self._base ** np.arange(length - 1, -1, -1, dtype=np.int64)
