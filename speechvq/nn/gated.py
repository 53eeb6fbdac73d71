"""The gated unit of a WaveNet layer, with a backward pass of its own.

Written in plain operations, a layer copies its activations half a dozen times: to delay
them, to join the taps, to add the conditioning, to split the gate. Here each tap's product
is added in place onto the conditioning, and only what backward needs is kept.
"""

from __future__ import annotations

import torch
from torch import Tensor


def gated(x: Tensor, told: Tensor, gate: Tensor, dilation: int) -> Tensor:
    """tanh(a) * sigmoid(b), where (a, b) sums the taps' products and the conditioning (van den Oord et al. 2016, eq. 3).

    Args:
        x: [B, T, R] inputs of the layer; what lies before the first sample counts as zero.
        told: [B, N, 2R] conditioning, each frame for T / N samples.
        gate: [kernel, 2R, R] weights, the current tap last.
        dilation: distance of two taps, in samples.

    Returns:
        [B, T, R].
    """
    if torch.is_autocast_enabled(x.device.type):
        kind = torch.get_autocast_dtype(x.device.type)
        x, told, gate = x.to(kind), told.to(kind), gate.to(kind)
    return _Gated.apply(x.contiguous(), told, gate, dilation)


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, told: Tensor, gate: Tensor, dilation: int) -> Tensor:
        B, T, R = x.shape
        a = told.repeat_interleave(T // told.shape[1], dim=1)
        for delay, weight in _taps(gate, dilation, T):
            for b in _rows(B, delay):
                a[b, delay:].view(-1, 2 * R).addmm_(x[b, : T - delay].reshape(-1, R), weight.T)
        filtered, opened = torch.tanh(a[..., :R]), torch.sigmoid(a[..., R:])
        ctx.save_for_backward(x, gate, filtered, opened)
        ctx.frames, ctx.dilation = told.shape[1], dilation
        return filtered * opened

    @staticmethod
    def backward(ctx, dz: Tensor):
        x, gate, filtered, opened = ctx.saved_tensors
        B, T, R = x.shape
        da = torch.empty(B, T, 2 * R, dtype=x.dtype, device=x.device)
        passed = dz * opened
        # d tanh = 1 - tanh^2, d sigmoid = sigmoid (1 - sigmoid)
        torch.addcmul(passed, passed * filtered, filtered, value=-1, out=da[..., :R])
        passed.mul_(filtered)
        torch.addcmul(passed, passed, opened, value=-1, out=da[..., R:])
        dx, dgate = torch.zeros_like(x), torch.zeros_like(gate)
        for (delay, weight), dweight in zip(_taps(gate, ctx.dilation, T), dgate.unbind(0)[::-1], strict=False):
            for b in _rows(B, delay):
                part = da[b, delay:].reshape(-1, 2 * R)
                dx[b, : T - delay].view(-1, R).addmm_(part, weight)
                dweight.addmm_(part.T, x[b, : T - delay].reshape(-1, R))
        return dx, da.view(B, ctx.frames, -1, 2 * R).sum(2), dgate, None


def _taps(gate: Tensor, dilation: int, T: int) -> list[tuple[int, Tensor]]:
    # The current tap first; taps that reach before the crop see zeros only.
    return [(k * dilation, weight) for k, weight in enumerate(gate.unbind(0)[::-1]) if k * dilation < T]


def _rows(B: int, delay: int) -> list[int | slice]:
    # An undelayed tap takes all rows in one product; a delayed one must not reach from one row into the next.
    return [slice(None)] if delay == 0 else list(range(B))
