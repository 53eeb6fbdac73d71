"""The post-filter: drawn speech is given, frame by frame, the spectrum that its units let one expect.

What a small WaveNet draws flickers: it loses a vowel's energy for some periods, or bursts. The log-mel
frames that the conditioning network guesses from the same units do neither, so they say how strong each
band should be, and the samples keep everything finer. The guess has a fault of its own: units know a
little of the recording they came from, of how bright its microphone and its voice were. So it is first
shifted, band by band, until its mean over the speech so far is that of the target's own recordings.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

# The quietest frames are pauses, of which the noise of the room is most.
PAUSES = 0.3
# So much speech says half of what a voice's long-term spectrum is; the rest is which sounds were said.
HALF_KNOWN_SECONDS = 0.3
MOST_DB = 20.0
# LogMel's scale: log power is three times its value, less seven.
DB_PER_LOG_MEL = 3.0 * 10.0 / np.log(10.0)
# A gain is a mean over so many frames to either side, weighted towards its own; egs/multi/RESULTS.md has others.
SMOOTHING = 4
# ... and over the bands so far around. Harmonics are 80 to 300 Hz apart and low bands tell them apart, but no unit says
# where they are: a guess has none, and gains of single bands would fill the valleys between them with noise.
BLUR_HZ = 150.0
# Frames that the window of the filter spans.
WINDOW_FRAMES = 8
# Frames to either side that a filtered one depends on: its windows, the gains in them, what these were measured on.
REACH = 16


def long_term_spectrum(log_mel: np.ndarray) -> np.ndarray:
    """Mean [bands] of those log-mel frames [bands, N] that are no pauses."""
    return log_mel[:, _speech(log_mel)].mean(1)


def _speech(log_mel: np.ndarray) -> np.ndarray:
    level = log_mel.mean(0)
    return level >= np.quantile(level, PAUSES)


class PostFilter:
    """Filters one stream, from its beginning.

    Args:
        spectrum: [bands] mean log-mel of the voice's speech frames; with NaN in it the guess is taken as it is.
        centres: [bands] in Hz.
        sample_rate: in Hz.
        frame_length: samples of a log-mel frame.
        measure: log-mel frames [bands, T / frame_length] of samples [T].
    """

    def __init__(self, spectrum: np.ndarray, centres: np.ndarray, sample_rate: int, frame_length: int, measure: Callable[[np.ndarray], np.ndarray]):
        self._spectrum, self._measure, self._frame_length = spectrum, measure, frame_length
        self._measured = bool(np.isfinite(spectrum).all())
        self._half_known = HALF_KNOWN_SECONDS * sample_rate / frame_length
        self._sum, self._speech_frames = np.zeros(len(spectrum)), 0
        size = WINDOW_FRAMES * frame_length
        self._window = np.sqrt(np.hanning(size + 1)[:-1]).astype(np.float32)
        bins = np.linspace(0, sample_rate / 2, size // 2 + 1)
        spread = np.stack([np.interp(bins, centres, band) for band in np.eye(len(centres))])
        blur = np.exp(-0.5 * ((centres[:, None] - centres) / BLUR_HZ) ** 2)
        # From decibels to the logarithm of a factor.
        self._to_bins = ((blur / blur.sum(1, keepdims=True)).T @ spread * np.log(10) / 20).astype(np.float32)
        smoothing = np.hanning(2 * SMOOTHING + 3)[1:-1]
        self._smoothing = smoothing / smoothing.sum()
        # What is filtered next, with the frames before it that it depends on: `skip` of them have gone out.
        self._expected = np.zeros((len(spectrum), 0))
        self._samples = np.zeros(0, np.float32)
        self._skip = 0

    def expect(self, log_mel: np.ndarray) -> None:
        """Learn of the frames to come.

        Args:
            log_mel: [bands, N] as guessed from the units.
        """
        if self._measured:
            speech = log_mel[:, _speech(log_mel)]
            self._sum += speech.sum(1)
            self._speech_frames += speech.shape[1]
            known = self._speech_frames / (self._speech_frames + self._half_known)
            log_mel = log_mel + known * (self._spectrum - self._sum / self._speech_frames)[:, None]
        self._expected = np.concatenate([self._expected, log_mel], axis=1)

    def filter(self, samples: np.ndarray) -> np.ndarray:
        """The next samples [T], whole frames that were expected; REACH of them late: what comes first is so many fewer."""
        self._samples = np.concatenate([self._samples, samples])
        return self._take(len(self._samples) // self._frame_length - REACH)

    def rest(self) -> np.ndarray:
        """What is still to come when the stream has ended."""
        return self._take(len(self._samples) // self._frame_length)

    def _take(self, until: int) -> np.ndarray:
        if until <= self._skip:
            return np.zeros(0, np.float32)
        taken = self._filtered()[self._skip * self._frame_length : until * self._frame_length]
        drop = max(0, until - REACH)
        self._samples, self._expected = self._samples[drop * self._frame_length :], self._expected[:, drop:]
        self._skip = until - drop
        return taken

    def _filtered(self) -> np.ndarray:
        length, size = self._frame_length, len(self._window)
        gains = self._gains()
        before = (size - length) // 2
        padded = np.pad(self._samples, (before, size))
        windows = sliding_window_view(padded, size)[: len(self._samples) : length] * self._window
        filtered = np.fft.irfft(np.fft.rfft(windows) * gains) * self._window
        total, weight = np.zeros(len(padded)), np.full(len(padded), 1e-9)
        for frame, samples in enumerate(filtered):
            total[frame * length : frame * length + size] += samples
            weight[frame * length : frame * length + size] += self._window**2
        return (total / weight)[before : before + len(self._samples)].astype(np.float32)

    def _gains(self) -> np.ndarray:
        """[frames, bins]."""
        drawn = self._measure(self._samples)
        missing = np.pad(DB_PER_LOG_MEL * (self._expected[:, : drawn.shape[1]] - drawn), ((0, 0), (SMOOTHING, SMOOTHING)))
        # By einsum, since BLAS would leave its threads spinning on the cores of the engine that draws what follows.
        decibels = np.einsum("bnk,k->bn", sliding_window_view(missing, len(self._smoothing), axis=1), self._smoothing)
        return np.exp(np.einsum("bn,bk->nk", decibels.clip(-MOST_DB, MOST_DB).astype(np.float32), self._to_bins))
