"""Which compiled form of the decoder suits this processor."""

from __future__ import annotations

import logging
import os
import platform

from speechvq.engine.base import Engine
from speechvq.engine.weights import DecoderWeights
from speechvq.errors import BackendUnavailable, InputError

log = logging.getLogger(__name__)

FORMS = ("avx512vnni", "avx512", "avx2", "plain")
FORM_VARIABLE = "SPEECHVQ_CPU_FORM"


def available_forms() -> tuple[str, ...]:
    """The forms of code that this processor runs, the fastest first; `plain` runs everywhere."""
    from llvmlite import binding

    features = binding.get_host_cpu_features() if platform.machine().lower() in ("x86_64", "amd64") else {}

    def has(*names: str) -> bool:
        return all(features.get(name) for name in names)

    forms = ["plain"]
    if has("avx2", "fma", "f16c"):
        forms.insert(0, "avx2")
        if has("avx512f", "avx512bw", "avx512vl"):
            forms.insert(0, "avx512")
            if has("avx512vnni"):
                forms.insert(0, "avx512vnni")
    return tuple(forms)


def default_threads() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def make_cpu_engine(
    weights: DecoderWeights, precision: str = "auto", threads: int | None = None, form: str | None = None
) -> Engine:
    """The decoder in the best form that this processor runs.

    Args:
        weights: the decoder's weights.
        precision: `float32`, `float16`, `int8`, or `auto`: int8 where vectors run, else float32.
        threads: None for one a core.
        form: one of FORMS to force it; None for the environment's SPEECHVQ_CPU_FORM, or else the fastest.

    Returns:
        The engine; what was chosen is logged.

    Raises:
        BackendUnavailable: the form does not run here, or not in this precision.
        InputError: no such form, or fewer than one thread.
    """
    form = form or os.environ.get(FORM_VARIABLE) or available_forms()[0]
    threads = default_threads() if threads is None else threads
    if form not in FORMS:
        raise InputError(f"no form {form!r} of the decoder: choose one of {', '.join(FORMS)}")
    if threads < 1:
        raise InputError(f"threads should be at least 1, is {threads}")
    if form not in available_forms():
        raise BackendUnavailable(f"this processor has no {form}: it runs {', '.join(available_forms())}")
    if precision == "tensor16":
        raise BackendUnavailable("tensor16 is a precision of the cuda backend: a processor has float32, float16 and int8")
    precision = precision if precision != "auto" else "float32" if form == "plain" else "int8"
    if form == "plain":
        engine = _plain(weights, precision, threads)
    else:
        engine = _fused(weights, precision, threads, form)
    log.info("decoder: %s code, %s, up to %d threads", form, precision, threads)
    return engine


def _plain(weights: DecoderWeights, precision: str, threads: int) -> Engine:
    if precision != "float32":
        raise BackendUnavailable(f"plain code holds weights as float32 only, not {precision}: it needs AVX2")
    from speechvq.engine.cpu_plain import PlainEngine

    return PlainEngine(weights, threads)


def _fused(weights: DecoderWeights, precision: str, threads: int, form: str) -> Engine:
    from speechvq.engine import simd
    from speechvq.engine.cpu_fused import FusedEngine

    integers = {"avx512vnni": simd.Int8Vnni, "avx512": simd.Int8Wide, "avx2": simd.Int8}[form]
    numbers = {"float32": simd.Float32, "float16": simd.Float16, "int8": integers}
    return FusedEngine(weights, numbers[precision], threads)
