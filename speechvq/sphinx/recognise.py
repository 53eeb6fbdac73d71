"""What words a recogniser hears: a judge of how intelligible speech is."""

from __future__ import annotations

import numpy as np

from speechvq.sphinx.decoder import SAMPLE_RATE, listen, open_decoder
from speechvq.sphinx.words import normalize

MODEL = "pocketsphinx, its bundled en-us acoustic model and en-us trigram language model, default beams"
PADDING_SECONDS = 0.3


class Recogniser:
    """Transcribe recordings, each judged alone.

    Raises:
        MissingDependency: pocketsphinx is not installed.
    """

    def __init__(self):
        self._decoder = open_decoder()

    def transcribe(self, samples: np.ndarray) -> list[str]:
        """Words heard in samples [T] at 16 kHz."""
        silence = np.zeros(round(PADDING_SECONDS * SAMPLE_RATE))
        # Without this the running mean of earlier utterances would leak into this one's features.
        self._decoder.reinit_feat()
        listen(self._decoder, np.concatenate([silence, samples, silence]))
        found = self._decoder.hyp()
        return normalize(found.hypstr) if found else []
