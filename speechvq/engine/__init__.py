"""Decoding engines: the same WaveNet on whatever there is to run it."""

from __future__ import annotations

import logging

from speechvq.engine.base import Engine, EngineState
from speechvq.engine.weights import DecoderWeights
from speechvq.errors import BackendUnavailable, InputError

__all__ = ["BACKENDS", "PRECISIONS", "DecoderWeights", "Engine", "EngineState", "make_engine"]

BACKENDS = ("auto", "reference", "cpu", "cuda")
PRECISIONS = ("auto", "float32", "float16", "int8", "tensor16")

log = logging.getLogger(__name__)


def make_engine(
    weights: DecoderWeights, backend: str = "auto", precision: str = "auto", threads: int | None = None
) -> Engine:
    """Choose and build a decoding engine.

    Args:
        weights: the decoder's weights.
        backend: one of BACKENDS; `auto` takes CUDA where it runs, else the processor.
        precision: one of PRECISIONS; `auto` takes what is fastest there within 0.01 nats of float32.
        threads: of the processor, None for as many as are of use.

    Returns:
        The engine; what was chosen is logged.

    Raises:
        BackendUnavailable: the named backend cannot run on this machine.
        InputError: no such backend or precision.
    """
    if backend not in BACKENDS:
        raise InputError(f"no backend {backend!r}: choose one of {', '.join(BACKENDS)}")
    if precision not in PRECISIONS:
        raise InputError(f"no precision {precision!r}: choose one of {', '.join(PRECISIONS)}")
    engine = _build(weights, backend, precision, threads)
    log.info("decoding with %s, %s", engine.backend, engine.precision)
    return engine


def _build(weights: DecoderWeights, backend: str, precision: str, threads: int | None) -> Engine:
    if backend == "reference":
        from speechvq.engine.reference import ReferenceEngine

        return ReferenceEngine(weights)
    if backend in ("cuda", "auto"):
        try:
            from speechvq.engine.cuda import CudaEngine

            return CudaEngine(weights, precision)
        except (BackendUnavailable, ImportError) as error:
            if backend == "cuda":
                raise BackendUnavailable(f"the cuda backend cannot run here: {error}") from error
            log.debug("no cuda backend: %s", error)
    from speechvq.engine.cpu import make_cpu_engine

    return make_cpu_engine(weights, precision, threads)
