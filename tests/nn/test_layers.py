"""The hand-written backward pass against autograd on the plain formula, in float64."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from speechvq.nn.layers import gated_layers


def plain(x, told, gate, residual, bias, dilations):
    (_, T, R), L = x.shape, len(gate)
    told = told.repeat_interleave(T // told.shape[1], dim=1)
    let_through = []
    for layer, dilation in enumerate(dilations):
        a = told[:, :, layer]
        for k, weight in enumerate(gate[layer].flip(0)):
            a = a + F.pad(x, (0, 0, k * dilation, 0))[:, :T] @ weight.T
        z = torch.tanh(a[..., :R]) * torch.sigmoid(a[..., R:])
        let_through.append(z)
        if layer < L - 1:
            x = x + z @ residual[layer].T + bias[layer]
    return torch.stack(let_through, 2)


def inputs(kernel: int, layers: int, frames: int = 4, dtype=torch.float64):
    torch.manual_seed(0)
    sizes = (2, 24, 3), (2, frames, layers, 6), (layers, kernel, 6, 3), (layers - 1, 3, 3), (layers - 1, 3)
    return [torch.randn(size, dtype=dtype, requires_grad=True) for size in sizes]


@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.parametrize("dilations", [(4,), (1, 2), (1, 11, 40)])
@pytest.mark.parametrize("frames", [1, 4, 24])
def test_values_and_gradients(kernel, dilations, frames):
    given = inputs(kernel, len(dilations), frames)
    weight = torch.randn(2, 24, len(dilations), 3, dtype=torch.float64)
    results = []
    for function in (gated_layers, plain):
        z = function(*given, dilations)
        results.append((z, *torch.autograd.grad((z * weight).sum(), given, materialize_grads=True)))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-10)


def test_mixed_precision_keeps_the_gradients_type():
    given = inputs(2, 3, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        z = gated_layers(*given, (1, 2, 4))
    z.float().sum().backward()
    assert z.dtype == torch.bfloat16
    assert all(value.grad.dtype == torch.float32 for value in given)
    assert torch.allclose(z.float(), plain(*given, (1, 2, 4)), atol=0.1)
