"""Mel-cepstra and how far two recordings of one sentence are apart in them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from speechvq.metrics import dtw

ORDER = 24
SHIFT_SECONDS = 0.005
WINDOW_SECONDS = 0.025
FFT_SIZE = 1024
# All-pass constant that bends the frequency axis to the mel scale, by sample rate.
WARPING = {8000: 0.31, 16000: 0.42, 22050: 0.455, 24000: 0.466, 44100: 0.544, 48000: 0.554}
QUIET_DB = 40.0


def mel_cepstrum(samples: np.ndarray, sample_rate: int = 16000) -> np.ndarray:
    """Mel-cepstral coefficients 0 to 24 of a 25 ms window every 5 ms.

    Args:
        samples: [T] float.
        sample_rate: in Hz, one of those with a known warping.

    Returns:
        float64 [F, 25]; frame f is centred on f * 5 ms.

    Source: Fukada et al. 1992, its starting point: the cepstrum of the log spectrum, frequency-warped.
    """
    shift, window = round(SHIFT_SECONDS * sample_rate), round(WINDOW_SECONDS * sample_rate)
    padded = np.pad(np.asarray(samples, np.float64), (window // 2, window))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::shift][: len(samples) // shift + 1]
    magnitude = np.abs(np.fft.rfft(frames * np.blackman(window), FFT_SIZE))
    cepstrum = np.fft.irfft(np.log(np.maximum(magnitude, 1e-6)))[:, : FFT_SIZE // 2 + 1]
    cepstrum[:, 1:-1] *= 2
    return cepstrum @ warping_matrix(FFT_SIZE // 2 + 1, ORDER + 1, WARPING[sample_rate]).T


@lru_cache(maxsize=4)
def warping_matrix(size: int, warped_size: int, alpha: float) -> np.ndarray:
    """The matrix [warped_size, size] that turns a cepstrum into one on a frequency axis bent by an all-pass filter.

    Args:
        size: of the cepstrum.
        warped_size: of the result.
        alpha: constant of the all-pass filter.

    Source: Oppenheim, Johnson 1972, "Discrete representation of signals".
    """
    # Column n holds the n-th power of the warped delay (z^-1 + alpha) / (1 + alpha z^-1), as a series in z^-1.
    matrix = np.zeros((warped_size, size))
    matrix[0, 0] = 1.0
    for n in range(1, size):
        before = matrix[:, n - 1]
        matrix[0, n] = alpha * before[0]
        for m in range(1, warped_size):
            matrix[m, n] = before[m - 1] + alpha * (before[m] - matrix[m - 1, n])
    return matrix


def speech_frames(cepstra: np.ndarray) -> np.ndarray:
    """Which frames [F] are less than 40 dB below the loudest, by their zeroth coefficient: pauses are not."""
    return cepstra[:, 0] > cepstra[:, 0].max() - QUIET_DB * np.log(10) / 20


def aligned_frames(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pair the speech frames of two recordings by dynamic time warping of their mel-cepstra.

    Args:
        a: mel-cepstra [F, 25].
        b: mel-cepstra [G, 25] of the same sentence.

    Returns:
        [steps, 2] frame numbers in a and b.
    """
    rows, columns = np.flatnonzero(speech_frames(a)), np.flatnonzero(speech_frames(b))
    x, y = a[rows, 1:], b[columns, 1:]
    squares = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * x @ y.T
    steps = dtw.path(np.sqrt(np.maximum(squares, 0)))
    return np.stack([rows[steps[:, 0]], columns[steps[:, 1]]], axis=1)


def mel_cepstral_distortion(a: np.ndarray, b: np.ndarray, pairs: np.ndarray | None = None) -> float:
    """Mean distance of paired frames, without the zeroth coefficient, which is loudness.

    Args:
        a: mel-cepstra [F, 25].
        b: mel-cepstra [G, 25].
        pairs: [steps, 2] frame numbers; warped where not given.

    Returns:
        dB.

    Source: Kubichek 1993, "Mel-cepstral distance measure for objective speech quality assessment".
    """
    pairs = aligned_frames(a, b) if pairs is None else pairs
    difference = a[pairs[:, 0], 1:] - b[pairs[:, 1], 1:]
    return float(10 / np.log(10) * np.sqrt(2 * (difference**2).sum(axis=1)).mean())
