"""The hand-written backward pass against autograd on the plain formula, in float64."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from speechvq.nn.gated import gated


def plain(x, told, gate, dilation):
    B, T, R = x.shape
    a = told.repeat_interleave(T // told.shape[1], dim=1)
    for k, weight in enumerate(gate.flip(0)):
        a = a + F.pad(x, (0, 0, k * dilation, 0))[:, :T] @ weight.T
    return torch.tanh(a[..., :R]) * torch.sigmoid(a[..., R:])


@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.parametrize("dilation", [1, 4, 11, 40])
def test_values_and_gradients(kernel, dilation):
    torch.manual_seed(0)
    sizes = (2, 24, 3), (2, 4, 6), (kernel, 6, 3)
    inputs = [torch.randn(size, dtype=torch.float64, requires_grad=True) for size in sizes]
    weight = torch.randn(2, 24, 3, dtype=torch.float64)
    results = []
    for function in (gated, plain):
        z = function(*inputs, dilation)
        results.append((z, *torch.autograd.grad((z * weight).sum(), inputs)))
    for ours, theirs in zip(*results, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-12)


def test_mixed_precision_keeps_the_gradients_type():
    x = torch.randn(1, 8, 4, requires_grad=True)
    told, gate = torch.randn(1, 2, 8), torch.randn(2, 8, 4, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        z = gated(x, told, gate, 1)
    z.float().sum().backward()
    assert z.dtype == torch.bfloat16
    assert x.grad.dtype == gate.grad.dtype == torch.float32
    assert torch.allclose(z.float(), plain(x, told, gate, 1), atol=0.1)
