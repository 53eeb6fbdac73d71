"""The kernel as machine code for the GPUs it is meant for, by NVRTC, with registers and spills printed (pytest -s)."""

from __future__ import annotations

import re
import shutil

import pytest

from speechvq.engine.cuda_build import architecture, cached_cubin, compile_cubin, sources
from speechvq.engine.cuda_layout import Layout
from speechvq.engine.cuda_plan import Device, choose_layout
from speechvq.engine.weights import random_weights
from speechvq.errors import BackendUnavailable

nvrtc = pytest.importorskip("cuda.bindings.nvrtc", reason="cuda-bindings is not installed: no NVRTC to compile with")

# Shared memory of a block and multiprocessors, from the vendor's tables of compute capabilities and data sheets.
DEVICES = {
    "sm_80": Device((8, 0), 163 * 1024, 108, 1),  # A100
    "sm_89": Device((8, 9), 99 * 1024, 58, 1),  # L4
    "sm_90a": Device((9, 0), 227 * 1024, 132, 16),  # H100, H200
    "sm_100": Device((10, 0), 227 * 1024, 148, 16),  # B200
}
SIZE_B = dict(num_layers=20, residual_channels=64, skip_channels=256)
SIZE_C = dict(num_layers=30, residual_channels=128, skip_channels=256)


def account(layout: Layout, arch: str) -> tuple[int, int]:
    """Registers and bytes spilled, printed with the layout."""
    cubin, said = compile_cubin(layout, arch)
    assert cubin[:4] == b"\x7fELF"
    registers = int(re.search(r"Used (\d+) registers", said)[1])
    spilled = int(re.search(r"(\d+) bytes spill stores", said)[1])
    print(
        f"\n{arch}: {layout.layers} layers, R {layout.residual}, S {layout.skip}, {'float16' if layout.half else 'float32'}, "
        f"{layout.blocks} blocks, {layout.streams} streams, {'tensor cores, ' if layout.tensor else ''}"
        f"{'folded, ' if layout.folded else ''}resident {layout.resident}: {registers} registers, {spilled} bytes spilled, "
        f"{layout.shared_bytes / 1024:.1f} KiB shared"
    )
    return registers, spilled


@pytest.mark.parametrize("arch", DEVICES)
@pytest.mark.parametrize(("precision", "batch"), [("float32", 1), ("float16", 1), pytest.param("tensor16", 4000, marks=pytest.mark.slow)])
def test_size_b(arch, precision, batch):
    device = DEVICES[arch]
    assert architecture(device.compute_capability) == arch
    registers, spilled = account(choose_layout(random_weights(**SIZE_B), precision, batch, device), arch)
    assert registers <= 255 and spilled <= 128


@pytest.mark.slow
@pytest.mark.parametrize("arch", DEVICES)
@pytest.mark.parametrize("sizes", [SIZE_B, SIZE_C], ids=["B", "C"])
@pytest.mark.parametrize("precision", ["float32", "float16", "tensor16"])
def test_every_plan(arch, sizes, precision):
    weights = random_weights(**sizes)
    layouts = {choose_layout(weights, precision, batch, DEVICES[arch]) for batch in (1, 16, 64, 1000, 10000)}
    for layout in layouts:
        _, spilled = account(layout, arch)
        assert spilled <= 128


def test_the_kernel_on_clusters_waits_for_bytes_not_for_barriers():
    """The instructions that the design rests on are in the program: st.async, mbarrier with bytes, mma."""
    text = sources()["device.h"]
    for instruction in ("st.async.shared::cluster", "mbarrier.arrive.expect_tx", "mma.sync.aligned.m16n8k16"):
        assert instruction in text


def test_compiled_once(tmp_path, monkeypatch):
    monkeypatch.setenv("SPEECHVQ_CACHE", str(tmp_path))
    layout = Layout.of(random_weights(), blocks=1, resident=0)
    first = cached_cubin(layout, "sm_80")
    (kept,) = tmp_path.rglob("*.cubin")
    assert kept.read_bytes() == first
    kept.write_bytes(b"from the cache")
    assert cached_cubin(layout, "sm_80") == b"from the cache"
    assert cached_cubin(layout, "sm_89") != b"from the cache"


def test_an_architecture_that_nvrtc_does_not_know(tmp_path, monkeypatch):
    monkeypatch.setenv("SPEECHVQ_CACHE", str(tmp_path))
    with pytest.raises(BackendUnavailable, match="sm_1"):
        cached_cubin(Layout.of(random_weights(), blocks=1, resident=0), "sm_1")
    assert not list(tmp_path.rglob("*.cubin"))


def test_sizes_that_contradict_each_other_do_not_compile():
    layout = Layout.of(random_weights(), blocks=1, resident=0)
    wrong = type("Wrong", (), {"macros": layout.macros | {"SHARED_BYTES": "16"}})
    with pytest.raises(BackendUnavailable, match="disagree on shared memory"):
        compile_cubin(wrong, "sm_80")


def test_where_nvrtc_is_missing(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(BackendUnavailable, match="pip install cuda-bindings"):
        compile_cubin(Layout.of(random_weights(), blocks=1), "sm_80")


@pytest.mark.skipif(not shutil.which("nvdisasm"), reason="nvdisasm is not installed: the machine code is not looked at")
def test_machine_code_holds_no_local_memory(tmp_path):
    import subprocess

    cubin, _ = compile_cubin(choose_layout(random_weights(**SIZE_B), "float16", 1, DEVICES["sm_90a"]), "sm_90a")
    (tmp_path / "kernel.cubin").write_bytes(cubin)
    listing = subprocess.run(["nvdisasm", tmp_path / "kernel.cubin"], capture_output=True, text=True, check=True).stdout
    assert "STL" not in listing and "LDL" not in listing
