"""From a units directory to a prior's training batches, a pure function of (seed, step)."""

from __future__ import annotations

import numpy as np

from speechvq.errors import UnitsError
from speechvq.nn.prior import boundary, to_classes
from speechvq.units import UnitsDir, id_dtype


class UnitCrops:
    """Random crops of a stream of utterances with a boundary before each, and one at the end.

    Args:
        units: where the utterances are.
        crop_units: T.
        seed: of the draw.

    Raises:
        UnitsError: there are fewer units than a crop needs.
    """

    def __init__(self, units: UnitsDir, crop_units: int, seed: int = 0):
        K = units.codebook_size
        kind = id_dtype(K + 1)  # a thousand hours are 900 million units
        parts = [np.array([boundary(K)], kind)]
        for utt in units:
            parts += [to_classes(units[utt].ids, K).astype(kind), parts[0]]
        self.stream = np.concatenate(parts)
        self.starts = np.flatnonzero(self.stream == boundary(K))
        self.crop_units, self.seed = crop_units, seed
        if len(self.stream) < crop_units + 1:
            raise UnitsError(f"{units.path} holds {len(self.stream) - len(self.starts)} units; a crop takes {crop_units}: set train.crop_units lower")

    def batch(self, step: int, size: int) -> np.ndarray:
        """The crops of a training step, int64 [size, T + 1]; every second begins at a boundary, as scoring does."""
        rng = np.random.default_rng((self.seed, step))
        last = len(self.stream) - self.crop_units - 1
        start = rng.integers(0, last + 1, size)
        before = self.starts[np.searchsorted(self.starts, start[::2], side="right") - 1]
        start[::2] = before
        return self.stream[start[:, None] + np.arange(self.crop_units + 1)].astype(np.int64)
