"""From wavenet.cu to machine code, by NVRTC and without a compiler or a GPU; compiled once, then kept on disk."""

from __future__ import annotations

import hashlib
import os
from importlib.resources import files
from pathlib import Path

from speechvq.engine.cuda_layout import Layout
from speechvq.errors import BackendUnavailable
from speechvq.files import atomic_file

SOURCE = "wavenet.cu"
HEADERS = ("device.h", "draw.h", "exchange.h", "layout.h", "product.h")
# No contraction: the arithmetic is written out, so that it is the same bits everywhere.
OPTIONS = ("--std=c++17", "--fmad=false", "--ptxas-options=-v")


def sources() -> dict[str, str]:
    """The kernel's files by name."""
    folder = files("speechvq.engine")
    return {name: (folder / name).read_text() for name in (SOURCE, *HEADERS)}


def architecture(compute_capability: tuple[int, int]) -> str:
    """What NVRTC calls a device, such as sm_89 or sm_90a."""
    major, minor = compute_capability
    return f"sm_{major}{minor}" + ("a" if (major, minor) == (9, 0) else "")


def compile_cubin(layout: Layout, arch: str) -> tuple[bytes, str]:
    """Compile the kernel.

    Args:
        layout: its sizes, given to the compiler as macros.
        arch: such as `sm_90a`.

    Returns:
        The cubin, and the compiler's account of registers, spills and shared memory.

    Raises:
        BackendUnavailable: NVRTC is not installed, or it refuses the source or the architecture.
    """
    nvrtc = _nvrtc()
    names, texts = zip(*((name.encode(), text.encode()) for name, text in sources().items() if name != SOURCE), strict=True)
    program = _ok(nvrtc.nvrtcCreateProgram(sources()[SOURCE].encode(), SOURCE.encode(), len(names), list(texts), list(names)))
    options = [f"--gpu-architecture={arch}", *OPTIONS, *(f"-D{name}={value}" for name, value in layout.macros.items())]
    (error,) = nvrtc.nvrtcCompileProgram(program, len(options), [option.encode() for option in options])
    log = b" " * _ok(nvrtc.nvrtcGetProgramLogSize(program))
    _ok(nvrtc.nvrtcGetProgramLog(program, log))
    account = log.rstrip(b"\0\n ").decode()
    if int(error):
        raise BackendUnavailable(f"NVRTC cannot compile the decoder for {arch}: {account or error}")
    cubin = b" " * _ok(nvrtc.nvrtcGetCUBINSize(program))
    _ok(nvrtc.nvrtcGetCUBIN(program, cubin))
    nvrtc.nvrtcDestroyProgram(program)
    return cubin, account


def cached_cubin(layout: Layout, arch: str) -> bytes:
    """The cubin, compiled where this source, these sizes and this architecture have not been before.

    It is kept under $SPEECHVQ_CACHE, else $XDG_CACHE_HOME/speechvq, else ~/.cache/speechvq.
    """
    key = hashlib.sha256(repr((sorted(sources().items()), layout.macros, arch, OPTIONS)).encode()).hexdigest()
    path = cache_folder() / "cubins" / f"{key[:32]}.cubin"
    if path.exists():
        return path.read_bytes()
    cubin, _ = compile_cubin(layout, arch)
    try:
        with atomic_file(path) as temporary:
            temporary.write_bytes(cubin)
    except OSError:  # a read-only home costs a compilation each time, nothing more
        pass
    return cubin


def cache_folder() -> Path:
    """Where compiled kernels are kept."""
    if "SPEECHVQ_CACHE" in os.environ:
        return Path(os.environ["SPEECHVQ_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "speechvq"


def _nvrtc():
    try:
        from cuda.bindings import nvrtc

        _ok(nvrtc.nvrtcVersion())
    except (ImportError, RuntimeError, OSError) as error:
        raise BackendUnavailable(
            f"NVRTC is not installed ({error}): pip install cuda-bindings nvidia-cuda-nvrtc, which the CUDA build of torch brings"
        ) from error
    return nvrtc


def _ok(result):
    """The values of a cuda-bindings call, once its status says success."""
    if int(result[0]):
        raise BackendUnavailable(f"NVRTC failed: {result[0]}")
    return result[1] if len(result) == 2 else result[1:]
