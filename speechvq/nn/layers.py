"""The residual layers of a WaveNet, with a backward pass of their own.

Written in plain operations, a layer copies its activations a dozen times: to delay
them, to join the taps, to add the conditioning, to split the gate, to gather what the
skip sum and the residual send back. Here every product is added in place onto what is
there already, and only what backward needs is kept.

tanh(a) is 2 sigmoid(2a) - 1. With that 2 in the weights, one sigmoid over both halves of
the gate serves, and the gate's gradient is one `sigmoid_backward`.
"""

from __future__ import annotations

import torch
from torch import Tensor


def gated_layers(x: Tensor, told: Tensor, gate: Tensor, residual: Tensor, bias: Tensor, dilations: tuple[int, ...]) -> Tensor:
    """What the gates of all layers let through (van den Oord et al. 2016, eq. 3 and figure 4).

    z[l] = tanh(a) * sigmoid(b), where (a, b) sums the taps' products with x[l] and the conditioning; x[l + 1] = x[l] + residual[l] z[l] + bias[l].

    Args:
        x: [B, T, R] inputs of the first layer; what lies before the first sample counts as zero in every layer.
        told: [B, N, L, 2R] conditioning, each frame for T / N samples.
        gate: [L, kernel, 2R, R] weights, the current tap last.
        residual: [L - 1, R, R].
        bias: [L - 1, R].
        dilations: of the layers, in samples.

    Returns:
        z [B, T, L, R].
    """
    if torch.is_autocast_enabled(x.device.type):
        # x is the running sum of all layers: it keeps its precision.
        kind = torch.get_autocast_dtype(x.device.type)
        told, gate, residual, bias = told.to(kind), gate.to(kind), residual.to(kind), bias.to(kind)
    return _GatedLayers.apply(x.contiguous(), told, gate, residual, bias, dilations)


class _GatedLayers(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, told: Tensor, gate: Tensor, residual: Tensor, bias: Tensor, dilations: tuple[int, ...]) -> Tensor:
        B, T, R = x.shape
        L, N = len(gate), told.shape[1]
        doubled = _first_half_times(2, gate[0, 0])
        told, taps = told * doubled, gate * doubled[:, None]
        z = told.new_empty(B, T, L, R)
        inputs, opened = [], []
        for layer in range(L):
            read = x.to(gate.dtype)
            s = told[:, :, None, layer].expand(B, N, T // N, 2 * R).contiguous().view(B, T, 2 * R)
            for delay, weight in _taps(taps[layer], dilations[layer], T):
                for b in _rows(B, delay):
                    s[b, delay:].view(-1, 2 * R).addmm_(read[b, : T - delay].reshape(-1, R), weight.T)
            s.sigmoid_()
            torch.addcmul(-s[..., R:], s[..., :R], s[..., R:], value=2, out=z[:, :, layer])
            inputs.append(read)
            opened.append(s)
            if layer < L - 1:
                x = (x + bias[layer]).view(-1, R)
                x = (x.addmm_(_of(z, layer), residual[layer].T) if x.dtype == z.dtype else x + _of(z, layer) @ residual[layer].T).view(B, T, R)
        ctx.save_for_backward(z, gate, residual, *inputs, *opened)
        ctx.dilations, ctx.frames = dilations, N
        return z

    @staticmethod
    def backward(ctx, dz: Tensor):
        z, gate, residual, *kept = ctx.saved_tensors
        B, T, L, R = z.shape
        inputs, opened = kept[:L], kept[L:]
        # Once 2 for the derivative of 2 s - 1, once for that of 2 a.
        scale = _first_half_times(4, gate[0, 0])
        taps = gate * scale[:, None]
        dgate, dresidual, dbias = torch.zeros_like(gate), torch.empty_like(residual), residual.new_empty(L - 1, R)
        dtold = gate.new_empty(B, ctx.frames, L, 2 * R)
        dx = gate.new_zeros(B * T, R)
        for layer in reversed(range(L)):
            x, s = inputs[layer], opened[layer]
            passed = _of(dz, layer)
            if layer < L - 1:
                dresidual[layer], dbias[layer] = dx.T @ _of(z, layer), dx.sum(0)
                passed = torch.addmm(passed, dx, residual[layer])
            passed = passed.view(B, T, R)
            da = torch.empty_like(s)
            torch.mul(passed, s[..., R:], out=da[..., :R])
            torch.addcmul(-passed, passed, s[..., :R], value=2, out=da[..., R:])
            torch.ops.aten.sigmoid_backward.grad_input(da, s, grad_input=da)
            dtold[:, :, layer] = da.view(B, ctx.frames, -1, 2 * R).sum(2)
            dx = dx.view(B, T, R)
            for tap, (delay, weight) in enumerate(_taps(taps[layer], ctx.dilations[layer], T)):
                for b in _rows(B, delay):
                    part = da[b, delay:].reshape(-1, 2 * R)
                    dx[b, : T - delay].view(-1, R).addmm_(part, weight)
                    dgate[layer, -1 - tap].addmm_(part.T, x[b, : T - delay].reshape(-1, R))
            dx = dx.view(-1, R)
        return dx.view(B, T, R), dtold * scale, dgate * scale[:, None], dresidual, dbias, None


def _first_half_times(factor: float, gate: Tensor) -> Tensor:
    """Ones [2R], the half of the tanh times a factor."""
    scale = gate.new_ones(len(gate))
    scale[: len(gate) // 2] = factor
    return scale


def _of(z: Tensor, layer: int) -> Tensor:
    """A layer's part [B * T, R] of [B, T, L, R], without a copy."""
    return z[:, :, layer].view(-1, z.shape[-1])


def _taps(gate: Tensor, dilation: int, T: int) -> list[tuple[int, Tensor]]:
    # The current tap first; taps that reach before the crop see zeros only.
    return [(k * dilation, weight) for k, weight in enumerate(gate.unbind(0)[::-1]) if k * dilation < T]


def _rows(B: int, delay: int) -> list[int | slice]:
    # An undelayed tap takes all rows in one product; a delayed one must not reach from one row into the next.
    return [slice(None)] if delay == 0 else list(range(B))
