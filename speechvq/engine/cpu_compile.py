"""Compiling once for a machine: numba's cache on disk, made to notice every change, and a word while it lasts."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numba

log = logging.getLogger(__name__)

PATIENCE = 1.0  # seconds: longer than to load from the cache


def sources_digest() -> int:
    """A number that changes with any of the engine's compiled sources.

    numba looks only at the file of the cached function itself. It does compare what a closure holds, so a
    cached function that holds this number is compiled anew when anything beneath it changed.
    """
    folder = Path(__file__).parent
    text = b"".join(path.read_bytes() for path in sorted([*folder.glob("cpu_*.py"), folder / "simd.py", folder / "philox.py"]))
    return int(hashlib.sha256(text).hexdigest()[:12], 16)


def cached(function: Callable) -> Callable:
    """Compile without the interpreter's lock, and keep the result on disk where a folder can be written."""
    compiled = numba.njit(nogil=True)(function)
    try:
        compiled.enable_caching()
    except RuntimeError as error:
        log.warning("the compiled decoder cannot be kept, every process compiles it anew: %s", error)
    return compiled


@contextmanager
def announced(what: str) -> Iterator[None]:
    """Say what is being compiled, if it takes longer than loading would."""
    said = f"compiling {what} for this processor, once: about 20 seconds"
    timer = threading.Timer(PATIENCE, log.warning, [said])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
