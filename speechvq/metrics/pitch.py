"""Fundamental frequency, and how that of one recording differs from another's."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import median_filter

SHIFT_SECONDS = 0.005
LOWEST_HZ = 60.0
HIGHEST_HZ = 400.0
APERIODIC = 0.25
QUIET_DB = 40.0
SILENCE_DB = -80.0


def pitch(samples: np.ndarray, sample_rate: int = 16000) -> np.ndarray:
    """Fundamental frequency every 5 ms, from windows of 42 ms (at least two periods and a half).

    Args:
        samples: [T] float.
        sample_rate: in Hz.

    Returns:
        Hz [F], 0 where there is no voice; frame f is centred on f * 5 ms.

    Source: de Cheveigné, Kawahara 2002, "YIN", steps 1 to 5; then a median over five frames.
    """
    shift = round(SHIFT_SECONDS * sample_rate)
    longest, shortest = int(sample_rate / LOWEST_HZ), int(sample_rate / HIGHEST_HZ)
    window = int(1.5 * longest)
    size = window + longest + 1
    padded = np.pad(np.asarray(samples, np.float64), (size // 2, size))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::shift][: len(samples) // shift + 1]
    difference = _differences(frames, window, longest)
    # How periodic each lag is, against the mean of all shorter lags: 0 for a perfect period, about 1 for noise.
    lags = np.arange(1, longest + 1)
    means = np.cumsum(difference[:, 1:], axis=1) / lags
    ratio = np.ones_like(difference)
    ratio[:, 1:] = difference[:, 1:] / np.maximum(means, 1e-12)
    best = _first_dips(ratio, shortest)
    rows = np.arange(len(frames))
    hz = sample_rate / (best + _parabola(ratio, rows, best))
    power = 10 * np.log10(np.maximum((frames**2).mean(axis=1), 1e-12))
    voiced = (ratio[rows, best] < APERIODIC) & (power > max(power.max() - QUIET_DB, SILENCE_DB))
    return median_filter(np.where(voiced, hz, 0.0), 5)


def log_pitch_error(a: np.ndarray, b: np.ndarray) -> dict[str, float | None]:
    """Root mean square error and correlation of the logarithms where both frames are voiced.

    Args:
        a: Hz [n], 0 where unvoiced.
        b: Hz [n] of the frames paired with them.

    Returns:
        `rmse` (of natural logarithms) and `correlation`; None with fewer than three such frames.
    """
    both = (a > 0) & (b > 0)
    if both.sum() < 3:
        return dict(rmse=None, correlation=None)
    x, y = np.log(a[both]), np.log(b[both])
    spread = x.std() * y.std()
    correlation = float(((x - x.mean()) * (y - y.mean())).mean() / spread) if spread > 0 else None
    return dict(rmse=float(np.sqrt(((x - y) ** 2).mean())), correlation=correlation)


def register(tracks: list[np.ndarray]) -> tuple[float, float] | None:
    """Where a voice lies and how far it moves: mean and deviation of the logarithm of all voiced frames, in semitones.

    Returns:
        semitones above 1 Hz, and semitones; None for voiceless recordings.
    """
    voiced = np.concatenate([track[track > 0] for track in tracks] or [np.zeros(0)])
    if not len(voiced):
        return None
    semitones = 12 * np.log2(voiced)
    return float(semitones.mean()), float(semitones.std())


def voiced_share(tracks: list[np.ndarray]) -> float:
    """The share of all frames that have a pitch: little of it is a whisper, whoever speaks."""
    frames = np.concatenate(tracks or [np.zeros(0)])
    return float((frames > 0).mean()) if len(frames) else 0.0


def _differences(frames: np.ndarray, window: int, longest: int) -> np.ndarray:
    # Sum over the window of (x[t] - x[t + lag])^2 for lags 0..longest: [F, longest + 1].
    size = 1 << (frames.shape[1] + window).bit_length()
    head = np.fft.rfft(frames[:, :window], size)
    products = np.fft.irfft(np.conj(head) * np.fft.rfft(frames, size), size)[:, : longest + 1]
    energy = np.cumsum(np.pad(frames**2, ((0, 0), (1, 0))), axis=1)
    lagged = energy[:, window : window + longest + 1] - energy[:, : longest + 1]
    return np.maximum(lagged[:, :1] + lagged - 2 * products, 0)


def _first_dips(ratio: np.ndarray, shortest: int) -> np.ndarray:
    # The first local minimum below the threshold, where there is one; else the lowest lag of all.
    inner = ratio[:, shortest:-1]
    dips = (inner < APERIODIC / 2) & (inner <= ratio[:, shortest + 1 :]) & (inner <= ratio[:, shortest - 1 : -2])
    return shortest + np.where(dips.any(axis=1), dips.argmax(axis=1), inner.argmin(axis=1))


def _parabola(ratio: np.ndarray, rows: np.ndarray, best: np.ndarray) -> np.ndarray:
    left, middle, right = ratio[rows, best - 1], ratio[rows, best], ratio[rows, best + 1]
    bend = left - 2 * middle + right
    return np.where(bend > 1e-12, np.clip((left - right) / np.maximum(2 * bend, 1e-12), -0.5, 0.5), 0.0)
