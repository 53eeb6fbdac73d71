"""Which compiled form of the decoder suits this processor."""

from __future__ import annotations

import logging
import os

from speechvq.engine.base import Engine
from speechvq.engine.weights import DecoderWeights

log = logging.getLogger(__name__)


def make_cpu_engine(weights: DecoderWeights, precision: str = "auto", threads: int | None = None) -> Engine:
    """The decoder in the best form that this processor runs.

    Args:
        weights: the decoder's weights.
        precision: `auto`, `float32`, `float16` or `int8`.
        threads: None for one a core.

    Returns:
        The engine.
    """
    from speechvq.engine.cpu_plain import PlainEngine

    return PlainEngine(weights, threads or len(os.sched_getaffinity(0)))
