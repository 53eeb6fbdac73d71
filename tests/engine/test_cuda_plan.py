"""Which layout is chosen, and that the packed weights are as large as the kernel's structures."""

from __future__ import annotations

import numpy as np
import pytest

from speechvq.engine.cuda_layout import Layout, Product
from speechvq.engine.cuda_plan import Device, choose_layout
from speechvq.engine.weights import random_weights
from speechvq.errors import BackendUnavailable

H200 = Device((9, 0), 232448, 132, 16)
L4 = Device((8, 9), 101376, 58, 1)
SIZE_B = random_weights(num_layers=20, residual_channels=64, skip_channels=256)
SIZE_C = random_weights(num_layers=30, residual_channels=128, skip_channels=256)


@pytest.mark.parametrize(
    ("weights", "precision", "batch", "device", "expected"),
    [
        (SIZE_B, "float32", 1, H200, dict(blocks=16, streams=1, folded=True, resident=2)),
        (SIZE_B, "float16", 1, H200, dict(blocks=16, streams=1, folded=True, resident=3)),
        (SIZE_C, "float16", 1, H200, dict(blocks=16, streams=1, folded=True, resident=1)),
        (SIZE_B, "float16", 20, H200, dict(blocks=16, streams=4)),
        (SIZE_B, "float16", 1000, H200, dict(blocks=1, streams=4, tensor=False, folded=True)),
        (SIZE_B, "tensor16", 1, H200, dict(blocks=1, streams=8, tensor=True, folded=False)),
        (SIZE_B, "tensor16", 1000, H200, dict(blocks=1, streams=8, tensor=True, folded=False)),
        (SIZE_B, "tensor16", 100_000, H200, dict(blocks=1, streams=32, tensor=True)),
        (SIZE_B, "float32", 1000, H200, dict(blocks=1, streams=4, tensor=False, folded=True)),
        (SIZE_B, "tensor16", 100_000, L4, dict(blocks=1, streams=16, tensor=True)),  # 32 would not fit
        (SIZE_B, "float32", 1, L4, dict(blocks=1, streams=1, resident=0, folded=False)),
    ],
)
def test_plans(weights, precision, batch, device, expected):
    layout = choose_layout(weights, precision, batch, device)
    assert {name: getattr(layout, name) for name in expected} == expected
    assert layout.half == (precision != "float32") and layout.shared_bytes <= device.shared_bytes


def test_a_decoder_that_fits_nowhere():
    with pytest.raises(BackendUnavailable, match="this GPU has 1000"):
        choose_layout(random_weights(), "float32", 1, Device((9, 0), 1000, 132, 16))


@pytest.mark.parametrize(("half", "tensor"), [(False, False), (True, False), (True, True)])
def test_packing_keeps_every_weight_once(half, tensor):
    product = Product(32, 48, half, tensor)
    matrix = np.arange(1, 32 * 48 + 1).reshape(32, 48)
    packed = product.pack(matrix)
    assert packed.nbytes == product.num_bytes
    values = packed.view(np.float16 if half else np.float32).astype(int)
    np.testing.assert_array_equal(np.sort(values[values > 0]), np.sort(matrix.astype(np.float16 if half else int).ravel()))


@pytest.mark.parametrize("blocks", [1, 2, 8, 16])
@pytest.mark.parametrize("folded", [False, True])
def test_packed_weights_fill_every_block(blocks, folded):
    weights = random_weights(num_layers=3, residual_channels=13, skip_channels=27, num_classes=50, kernel_size=3)
    layout = Layout.of(weights, blocks=blocks, folded=folded)
    assert layout.pack_weights(weights).nbytes == blocks * sum(layout.weight_bytes)
    assert layout.pack_embedding(weights).shape == (50, layout.padded_residual)
    assert layout.pack_conditioning(np.zeros((2, 3, 26, 7), np.float32), weights).shape == (7, 2, 3, 2 * layout.padded_residual)


def test_fields_of_the_kernel_argument_lie_as_in_the_kernel():
    from speechvq.engine.cuda_layout import Run

    assert [Run.taps.offset, Run.streams.offset, Run.top_p.offset] == [72, 80, 100]
