"""The balance of highs and lows: a filter that gives converted speech the long-term spectrum of its target.

Units know a little of the recording they came from: of how bright its microphone and its voice were. The
decoder then makes its voice duller or sharper than it is. How far off it will be shows before a
sample is drawn, in the log-mel frames that the conditioning network guesses; how far off it was, in
the samples.
"""

from __future__ import annotations

from collections.abc import Callable

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
    """Mean [bands] of those log-mel frames [bands, N] that are no pauses."""
    return log_mel[:, _speech(log_mel)].mean(1)


def _speech(log_mel: np.ndarray) -> np.ndarray:
    level = log_mel.mean(0)
    return level >= np.quantile(level, PAUSES)


class Balance:
    """Filters one stream, from its beginning.

    Frames count as they are guessed until their samples have been drawn, and then as they came out.

    Args:
        spectrum: [bands] mean log-mel of the voice's speech frames; with NaN in it the filter does nothing.
        centres: [bands] in Hz.
        sample_rate: in Hz.
        frame_length: samples of a log-mel frame.
        measure: log-mel frames [bands, T / frame_length] of samples [T].
    """

    def __init__(self, spectrum: np.ndarray, centres: np.ndarray, sample_rate: int, frame_length: int, measure: Callable[[np.ndarray], np.ndarray]):
        self._spectrum, self._measure, self._frame_length = spectrum, measure, frame_length
        self._measured = bool(np.isfinite(spectrum).all())
        self._places = centres / (sample_rate / 2)
        self._half_known = HALF_KNOWN_SECONDS * sample_rate / frame_length
        self._guessed = np.zeros((len(spectrum), 0))
        self._sum, self._frames = np.zeros(len(spectrum)), 0
        self._taps = np.zeros(2 * REACH + 1)
        self._taps[REACH] = 1.0
        self._past = np.zeros(2 * REACH)
        self._early = REACH  # samples of the filtered stream that lie before its beginning

    def expect(self, log_mel: np.ndarray) -> None:
        """Learn of the frames to come.

        Args:
            log_mel: [bands, N] as guessed from the units.
        """
        if not self._measured:
            return
        # What is a pause is for the guess to say. Frames of pauses count for nothing, so they are NaN.
        guessed = np.where(_speech(log_mel), log_mel, np.nan)
        self._sum += np.nansum(guessed, axis=1)
        self._frames += int(np.isfinite(guessed[0]).sum())
        self._guessed = np.concatenate([self._guessed, guessed], axis=1)

    def filter(self, samples: np.ndarray) -> np.ndarray:
        """The next samples [T], whole frames of them, late by REACH: what comes first is so many fewer."""
        if self._measured:
            self._correct(samples)
            self._design()
        return self._filter(samples)

    def rest(self) -> np.ndarray:
        """What is still to come when the stream has ended."""
        return self._filter(np.zeros(REACH, np.float32))

    def _correct(self, samples: np.ndarray) -> None:
        frames = len(samples) // self._frame_length
        guessed, self._guessed = np.split(self._guessed, [frames], axis=1)
        self._sum += np.nansum(self._measure(samples) - guessed, axis=1)

    def _design(self) -> None:
        known = self._frames / (self._frames + self._half_known)
        decibels = np.clip(known * DB_PER_LOG_MEL * (self._spectrum - self._sum / max(self._frames, 1)), -MOST_DB, MOST_DB)
        # Zero phase, by sampling in frequency under a window; scipy's firwin2 does so too, but takes a second to import.
        gain = 10 ** (np.interp(np.linspace(0, 1, REACH + 1), self._places, decibels) / 20)
        self._taps[:-1] = np.fft.fftshift(np.fft.irfft(gain)) * np.hanning(2 * REACH + 1)[:-1]

    def _filter(self, samples: np.ndarray) -> np.ndarray:
        heard = np.concatenate([self._past, samples])
        self._past = heard[len(heard) - 2 * REACH :]
        filtered = np.convolve(heard, self._taps, "valid").astype(np.float32)
        early = min(self._early, len(filtered))
        self._early -= early
        return filtered[early:]
