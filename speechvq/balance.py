"""The balance of highs and lows: a filter that gives converted speech the long-term spectrum of its target.

Units know a little of the recording they came from: of how bright its microphone and its voice were. The
decoder then makes its voice duller or sharper than it is. How far off it will be shows before a
sample is drawn, in the log-mel frames that the conditioning network guesses.
"""

from __future__ import annotations

import numpy as np

# The quietest frames are pauses, of which the noise of the room is most.
PAUSES = 0.3
# So much speech says half of what a voice's long-term spectrum is; the rest is which sounds were said.
HALF_KNOWN_SECONDS = 0.3
MOST_DB = 17.0
# Samples to either side that a filter sees.
REACH = 128
# LogMel's scale: log power is three times its value, less seven.
DB_PER_LOG_MEL = 3.0 * 10.0 / np.log(10.0)


def long_term_spectrum(log_mel: np.ndarray) -> np.ndarray:
    """Mean [bands] of the speech among log-mel frames [bands, N]."""
    return speech_frames(log_mel).mean(1)


def speech_frames(log_mel: np.ndarray) -> np.ndarray:
    """The frames of some log-mel frames [bands, N] that are not pauses."""
    level = log_mel.mean(0)
    return log_mel[:, level >= np.quantile(level, PAUSES)] if len(level) else log_mel


class Balance:
    """Filters one stream, from its beginning.

    Args:
        spectrum: [bands] mean log-mel of the voice's speech frames; with NaN in it the filter does nothing.
        centres: [bands] in Hz.
        sample_rate: in Hz.
        frame_rate: log-mel frames a second.
    """

    def __init__(self, spectrum: np.ndarray, centres: np.ndarray, sample_rate: int, frame_rate: float):
        self._spectrum = spectrum
        self._places = centres / (sample_rate / 2)
        self._half_known = HALF_KNOWN_SECONDS * frame_rate
        self._sum, self._frames = np.zeros(len(spectrum)), 0
        self._taps = np.zeros(2 * REACH + 1)
        self._taps[REACH] = 1.0
        self._past = np.zeros(2 * REACH)
        self._early = REACH  # samples of the filtered stream that lie before its beginning

    def hear(self, log_mel: np.ndarray) -> None:
        """Learn of the next frames before their samples are filtered.

        Args:
            log_mel: [bands, N] as guessed from the units.
        """
        if np.isnan(self._spectrum).any():
            return
        frames = speech_frames(log_mel)
        self._sum += frames.sum(1)
        self._frames += frames.shape[1]
        known = self._frames / (self._frames + self._half_known)
        decibels = np.clip(known * DB_PER_LOG_MEL * (self._spectrum - self._sum / self._frames), -MOST_DB, MOST_DB)
        # Zero phase, by sampling in frequency under a window; scipy's firwin2 does so too, but takes a second to import.
        gain = 10 ** (np.interp(np.linspace(0, 1, REACH + 1), self._places, decibels) / 20)
        self._taps[:-1] = np.fft.fftshift(np.fft.irfft(gain)) * np.hanning(2 * REACH + 1)[:-1]

    def filter(self, samples: np.ndarray) -> np.ndarray:
        """The next samples [T], late by REACH: what comes first is so many fewer."""
        heard = np.concatenate([self._past, samples])
        self._past = heard[len(heard) - 2 * REACH :]
        filtered = np.convolve(heard, self._taps, "valid").astype(np.float32)
        early = min(self._early, len(filtered))
        self._early -= early
        return filtered[early:]

    def rest(self) -> np.ndarray:
        """What is still to come when the stream has ended."""
        return self.filter(np.zeros(REACH, np.float32))
