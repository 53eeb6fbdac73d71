"""The CUDA kernel's own source on the host: compiled by g++ against host.h, launched through ctypes."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from speechvq.engine import cuda_build
from speechvq.engine.cuda import CudaEngine
from speechvq.engine.cuda_layout import Layout, Run
from speechvq.engine.cuda_plan import Device

HERE = Path(__file__).parent
COMPILER = shutil.which("g++")
NO_COMPILER = "g++ is not installed: the emulator cannot be built"


class Deadlock(RuntimeError):
    """No fiber could move."""


@functools.cache
def _folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="speechvq_emulator_")


def build_path(layout: Layout, edits: tuple[tuple[str, str], ...] = ()) -> Path:
    """Compile the kernel for the host, into a shared library.

    Args:
        layout: its sizes.
        edits: (old, new) in the sources, each found exactly once: deliberate faults that the tests must notice.
    """
    sources = dict(cuda_build.sources())
    for old, new in edits:
        assert sum(text.count(old) for text in sources.values()) == 1, f"{old!r} is no longer in the kernel just once"
        sources = {name: text.replace(old, new) for name, text in sources.items()}
    macros = [f"-D{name}={value}" for name, value in layout.macros.items()]
    key = hashlib.sha256(repr((sources, macros)).encode()).hexdigest()[:16]
    folder = Path(_folder().name) / key
    library = folder / "emulated.so"
    if not library.exists():
        folder.mkdir()
        for name, text in sources.items():
            (folder / name).write_text(text)
        flags = ["-O1", "-std=c++17", "-march=native", "-ffp-contract=off", "-shared", "-fPIC", "-Wno-psabi"]
        flags += ["-U_FORTIFY_SOURCE"]  # it takes a jump from fiber to fiber for an error
        paths = [f"-I{folder}", f"-I{HERE}"]
        subprocess.run([COMPILER, *flags, *macros, *paths, HERE / "emulate.cpp", "-o", library], check=True)
    return library


class HostBuffer:
    """Memory of the emulated device."""

    def __init__(self, contents: np.ndarray):
        self.array = contents.copy()
        self.address = self.array.ctypes.data
        self.nbytes = contents.nbytes

    def read(self, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        count = int(np.prod(shape))
        return self.array.reshape(-1).view(np.uint8)[: count * np.dtype(dtype).itemsize].view(dtype).reshape(shape).copy()


class Emulator:
    """Stands in for `CudaDriver` behind the engine.

    Args:
        schedule: 0 for a kind order, otherwise the seed of a hostile one.
        device: what the layouts are chosen for.
        edits: as for `build`.
    """

    def __init__(self, schedule: int = 0, device: Device | None = None, edits: tuple[tuple[str, str], ...] = ()):
        self.schedule, self.edits = schedule, edits
        self.device = device or Device((9, 0), 232448, 132)

    def load(self, layout: Layout) -> ctypes.CDLL:
        return ctypes.CDLL(str(build_path(layout, self.edits)))

    def buffer(self, contents: np.ndarray) -> HostBuffer:
        return HostBuffer(contents)

    def zeros(self, nbytes: int) -> HostBuffer:
        return HostBuffer(np.zeros(-(-nbytes // 16) * 2, np.uint64))

    def launch(self, kernel: ctypes.CDLL, layout: Layout, run: Run) -> None:
        clusters = -(-run.streams // layout.streams)
        if not kernel.emulate(ctypes.byref(run), clusters, ctypes.c_ulonglong(self.schedule)):
            raise Deadlock(f"schedule {self.schedule}")


class EmulatorEngine(CudaEngine):
    """The real engine with the emulator for a GPU, and a layout of our choice."""

    def __init__(self, weights, precision="float32", schedule=1, edits=(), threads=64, **layout):
        self._choices = dict(threads=threads, **layout)
        super().__init__(weights, precision, Emulator(schedule, edits=edits))

    def layout(self, batch):
        return Layout.of(self.weights, half=self.precision != "float32", tensor=self.precision == "tensor16", **self._choices)
