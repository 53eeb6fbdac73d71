"""Pocketsphinx as it is started here: bundled model, 16 kHz, silent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from speechvq.errors import MissingDependency

if TYPE_CHECKING:
    from pocketsphinx import Decoder

SAMPLE_RATE = 16000
FRAME_SECONDS = 0.01


def open_decoder(**options) -> Decoder:
    """A pocketsphinx decoder.

    Args:
        options: of pocketsphinx.

    Raises:
        MissingDependency: pocketsphinx is not installed.
    """
    try:
        from pocketsphinx import Decoder
    except ImportError:
        raise MissingDependency("pocketsphinx", "align") from None
    return Decoder(samprate=SAMPLE_RATE, loglevel="FATAL", **options)


def listen(decoder: Decoder, samples: np.ndarray) -> None:
    """Run a whole utterance [T] at 16 kHz through a decoder."""
    pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
