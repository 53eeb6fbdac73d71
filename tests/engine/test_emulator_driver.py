"""The whole CUDA backend through cuda-bindings, with a driver that runs the kernel on the host."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from emulator import emulator

from speechvq.engine.cuda_build import cached_cubin
from speechvq.engine.cuda_layout import Layout
from speechvq.engine.cuda_plan import Device, choose_layout
from speechvq.engine.weights import random_weights

pytest.importorskip("cuda.bindings.driver", reason="cuda-bindings is not installed: nothing to reach a driver with")
pytest.importorskip("cuda.bindings.nvrtc", reason="NVRTC is not installed: nothing to load into a driver")
pytestmark = pytest.mark.skipif(not emulator.COMPILER, reason=emulator.NO_COMPILER)

SIZES = dict(num_layers=3, residual_channels=16, skip_channels=16, num_classes=64, hop_length=5)
SCRIPT = """
import numpy as np
from speechvq.engine import make_engine
from speechvq.engine.weights import random_weights
from speechvq.errors import SpeechVQError
weights = random_weights(**{sizes})
conditioning = np.random.default_rng(1).standard_normal((2, 3, 32, 3), np.float32)
drawn = []
try:
    for backend, precision in (("{backend}", "float32"), ("reference", "auto")):
        engine = make_engine(weights, backend, precision)
        state = engine.start(2, 8)
        engine.push(state, conditioning)
        drawn.append(np.concatenate([engine.generate(state, 4), engine.generate(state, 11)], axis=1))
        print(engine.backend, engine.precision)
    print("equal", np.array_equal(*drawn))
except SpeechVQError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory) -> dict[str, str]:
    """The environment of a process that finds the driver."""
    folder = tmp_path_factory.mktemp("driver")
    source = Path(emulator.__file__).parent / "fake_driver.cpp"
    command = [emulator.COMPILER, "-O1", "-shared", "-fPIC", source, "-o", folder / "libcuda.so.1", "-ldl"]
    subprocess.run(command, check=True)
    layout: Layout = choose_layout(random_weights(**SIZES), "float32", 1, Device((9, 0), 232448, 132, 16))
    assert layout.blocks == 16
    with pytest.MonkeyPatch.context() as patch:  # NVRTC would look into the driver, which is not as real as that
        patch.setenv("SPEECHVQ_CACHE", str(folder / "cache"))
        cached_cubin(layout, "sm_90a")
    return os.environ | {
        "LD_LIBRARY_PATH": str(folder), "FAKE_KERNEL": str(emulator.build_path(layout)), "FAKE_BLOCKS": str(layout.blocks),
        "FAKE_THREADS": str(layout.threads), "SPEECHVQ_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1",
    }  # fmt: skip


def run(environment: dict[str, str], gpu: str, backend: str = "cuda") -> str:
    script = SCRIPT.format(sizes=SIZES, backend=backend)
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment | {"FAKE_GPU": gpu}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("backend", ["cuda", "auto"])
def test_decodes_what_the_reference_decodes(driver, backend):
    assert run(driver, "works", backend).splitlines() == ["cuda float32", "reference float64", "equal True"]


@pytest.mark.parametrize(
    ("gpu", "said"),
    [("none", "sees no GPU"), ("old", "compute capability 7.5, the decoder needs 8.0"), ("full", "out of memory")],
)
def test_says_why_it_cannot(driver, gpu, said):
    printed = run(driver, gpu)
    assert printed.startswith("BackendUnavailable the cuda backend cannot run here: ") and said in printed
    assert printed.count("\n") == 1


def test_without_a_driver(driver, tmp_path):
    printed = run(driver | {"LD_LIBRARY_PATH": str(tmp_path)}, "works")
    assert "no NVIDIA driver is installed" in printed or "cuda float32" in printed
