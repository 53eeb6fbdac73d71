"""When each phone of a known text is said."""

from __future__ import annotations

import numpy as np

from speechvq.alignment import Alignment, Interval
from speechvq.errors import AlignmentError
from speechvq.sphinx.decoder import FRAME_SECONDS, SAMPLE_RATE, listen, open_decoder
from speechvq.sphinx.words import guess_pronunciation, normalize

PADDING_SECONDS = 0.3
PADDING_LEVEL = 3e-4


class Aligner:
    """Align recordings with their transcripts, one after another.

    Attributes:
        guessed: pronunciations that were not in the dictionary, by word.

    Raises:
        MissingDependency: pocketsphinx is not installed.
    """

    def __init__(self):
        # With the default beams half of all utterances lose the end of the text and fail.
        self._decoder = open_decoder(lm=None, beam=0, pbeam=0, wbeam=0, fwdflat=False, bestpath=False)
        self.guessed: dict[str, str] = {}

    def align(self, samples: np.ndarray, text: str) -> Alignment:
        """Find the phones of a text.

        Args:
            samples: [T] at 16 kHz.
            text: what is said.

        Returns:
            phones of the CMU dictionary without stress, and SIL, on a grid of 10 ms.

        Raises:
            AlignmentError: no words, a word that cannot be pronounced, or audio that does not fit.
        """
        words = normalize(text)
        if not words:
            raise AlignmentError(f"the text '{text}' has no words")
        for word in words:
            self._teach(word)
        # The model expects silence at both ends; the search fails on audio that starts within a word.
        noise = np.random.default_rng(0).normal(scale=PADDING_LEVEL, size=(2, round(PADDING_SECONDS * SAMPLE_RATE)))
        padded = np.concatenate([noise[0], samples, noise[1]])
        try:
            self._decoder.set_align_text(" ".join(words))
            listen(self._decoder, padded)
            if self._decoder.hyp() is None:
                raise AlignmentError("the audio does not fit the text")
            self._decoder.set_alignment()
            listen(self._decoder, padded)
            phones = [(p.start, p.start + p.duration, p.name) for word in self._decoder.get_alignment() for p in word]
        except RuntimeError as error:
            raise AlignmentError(f"the audio does not fit the text ({error})") from None
        return _within(phones, len(samples) / SAMPLE_RATE)

    def _teach(self, word: str) -> None:
        if self._decoder.lookup_word(word) is not None:
            return
        # Transcripts drop apostrophes: doesnt, theyve, theres.
        known = [self._decoder.lookup_word(f"{word[:-cut]}'{word[-cut:]}") for cut in (1, 2)]
        phones = next(filter(None, known), None) or guess_pronunciation(word)
        if phones is None:
            raise AlignmentError(f"'{word}' is in no dictionary and cannot be spelled out: write it in words")
        self.guessed[word] = phones
        self._decoder.add_word(word, phones, True)


def _within(phones: list[tuple[int, int, str]], duration: float) -> Alignment:
    intervals = []
    for start, end, name in phones:
        first, last = (np.clip(frame * FRAME_SECONDS - PADDING_SECONDS, 0, duration) for frame in (start, end))
        intervals.append(Interval(float(first), float(last), "SPN" if name.startswith("+") else name))
    return Alignment(intervals)
