"""A decoder's weights in the layout that `cpu_kernels` reads."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from speechvq.engine.cpu_kernels import PANELS, SUM_BYTES
from speechvq.engine.cpu_vectors import LOG2E
from speechvq.engine.simd import Float32
from speechvq.engine.weights import DecoderWeights

INT16 = 32767
INT32 = 2**31 - 1
NEVER = -1e30  # the logit of classes that only fill up a vector


class FusedWeights(NamedTuple):
    """Everything that a sample needs and no sample changes. R, S, A are here those filled up to whole groups."""

    embedding: np.ndarray  # float32 [A, R]
    layers: np.ndarray  # uint8 [L, bytes]: current tap, past taps (oldest first), residual, skip, as they are read
    hidden_weights: np.ndarray  # uint8 [bytes]
    output_weights: np.ndarray  # uint8 [bytes]
    gate_scale: np.ndarray  # float32 [L, 2R], what one unit of an integer sum is worth; so all `scale`
    residual_scale: np.ndarray  # float32 [L, R]
    residual_bias: np.ndarray  # float32 [L, R]
    skip_scale: np.ndarray
    skip_bias: np.ndarray
    hidden_scale: np.ndarray
    hidden_bias: np.ndarray
    hidden_factor: np.ndarray  # float32 [S, not filled up], what hidden units are multiplied by (see `easily_rounded`)
    output_scale: np.ndarray
    output_bias: np.ndarray
    x_scale: np.ndarray  # float32 [L], units of an activation to 1
    z_scale: float  # units of a z to 1
    hidden_peak: float  # the most units that an activation may have, lest a sum overflow
    output_peak: float
    past_at: int  # where in a layer's bytes the past taps begin, and so on
    past_tap_step: int
    residual_at: int
    skip_at: int
    dilations: np.ndarray
    rings: np.ndarray  # int64 [L+1], where each layer's ring of slots begins



def round_up(n: int, multiple: int) -> int:
    """The least multiple that is not below n."""
    return -(-n // multiple) * multiple


def aligned(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Zeros that begin at a whole cache line."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(shape)


def slot_bytes(form: type[Float32], channels: int) -> int:
    """What the activations of so many channels take."""
    return 2 * channels + SUM_BYTES if form.is_integer else 4 * channels


def gate_groups(rows: np.ndarray, channels: int, lanes: int) -> np.ndarray:
    """[..., 2R, n] -> [..., groups, 2, lanes, n]: a group's tanh rows beside the sigmoid rows of the same channels."""
    *outer, twice, n = rows.shape
    halves = rows.reshape(*outer, 2, twice // 2, n)
    filled = np.zeros((*outer, 2, channels, n), rows.dtype)
    filled[..., : twice // 2, :] = halves
    return np.moveaxis(filled.reshape(*outer, 2, channels // lanes, lanes, n), -4, -3)


def plain_groups(rows: np.ndarray, channels: int, lanes: int) -> np.ndarray:
    """[..., N, n] -> [..., groups, 2, lanes, n], rows in their order."""
    *outer, given, n = rows.shape
    filled = np.zeros((*outer, channels, n), rows.dtype)
    filled[..., :given, :] = rows
    return filled.reshape(*outer, channels // (2 * lanes), 2, lanes, n)


def in_panels(form: type[Float32], groups: np.ndarray, columns: int) -> np.ndarray:
    """One matrix as bytes: panels of groups, in each the columns in order, in each column its groups."""
    count, _, lanes, given = groups.shape
    filled = np.zeros((count, 2, lanes, columns), groups.dtype)
    filled[..., :given] = groups
    if form.is_integer:
        low, high = filled[:, 0].astype(np.int16), filled[:, 1].astype(np.int16)
        cells = ((high << 8) | (low + 128)).reshape(count, lanes, columns // 2, 2).transpose(0, 2, 1, 3)
    else:
        kind = np.float16 if form.weight_bytes == 2 else np.float32
        cells = filled.astype(kind).transpose(0, 3, 1, 2)
    pieces, first = [], 0
    for size in PANELS:
        while count - first >= size:
            pieces.append(np.swapaxes(cells[first : first + size], 0, 1).reshape(-1).view(np.uint8))
            first += size
    return np.concatenate(pieces)


def quantise(form: type[Float32], groups: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Round each row to integers within 127, in an integer form.

    Args:
        form: how numbers are held; a float form changes nothing.
        groups: [..., groups, 2, lanes, n]; leading axes share a row's scale, as they share its sum.

    Returns:
        The rows, the scale of each [groups, 2, lanes], and the largest activation that no sum can overflow with.
    """
    if not form.is_integer:
        return groups, np.ones(groups.shape[-4:-1], np.float32), 1.0
    outer = tuple(range(groups.ndim - 4))
    largest = np.abs(groups).max(axis=(*outer, -1))
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    rounded = np.rint(groups / scale[..., None]).astype(np.int32)
    most = np.abs(rounded).sum(axis=(*outer, -1)).max()
    return rounded, scale, float(min(INT16, INT32 // max(int(most), 1)))


def easily_rounded(weights: DecoderWeights) -> tuple[DecoderWeights, np.ndarray]:
    """The same network with an output matrix that loses less when its rows are rounded.

    The softmax does not see what all classes have in common, so each column's mean is taken out; and
    as relu passes a positive factor on, a hidden unit takes over half (in decibels) of its column's size.

    Args:
        weights: the decoder's weights.

    Returns:
        The decoder, whose logits lack what all classes of a sample have in common, and what its hidden
        units are multiplied by, float32 [S].
    """
    output = weights.output - weights.output.mean(0)
    largest = np.abs(output).max(0)
    factor = np.sqrt(np.where(largest > 0, largest, 1)).astype(np.float32)
    changed = replace(
        weights,
        hidden=weights.hidden * factor[:, None],
        hidden_bias=weights.hidden_bias * factor,
        output=output / factor,
        output_bias=weights.output_bias - weights.output_bias.mean(),
    )
    return changed, factor


def pack(weights: DecoderWeights, form: type[Float32]) -> FusedWeights:
    """Lay a decoder's weights out for the kernels.

    The factors of the gate's powers of 2 go into its rows; a bound of each layer's input, from the
    weights alone, sets its scale, so that no input whatever can overflow.

    Args:
        weights: the decoder's weights.
        form: how numbers are held.

    Returns:
        The packed weights.
    """
    w, hidden_factor = easily_rounded(weights) if form.is_integer else (weights, np.ones(weights.skip_channels, np.float32))
    lanes = form.lanes
    L, K = w.num_layers, w.kernel_size
    R, S, A = (round_up(n, 2 * lanes) for n in (w.residual_channels, w.skip_channels, w.num_classes))

    def each(groups: np.ndarray, columns: int) -> np.ndarray:
        """in_panels over the leading axes."""
        outer = groups.shape[:-4]
        rows = [in_panels(form, matrix, columns) for matrix in groups.reshape(-1, *groups.shape[-4:])]
        return np.array(rows, np.uint8).reshape(*outer, -1)

    def filled(vector: np.ndarray, size: int, value: float = 0) -> np.ndarray:
        out = aligned((*vector.shape[:-1], size), np.float32)
        out[...] = value
        out[..., : vector.shape[-1]] = vector
        return out

    gates = [quantise(form, gate_groups(w.gate[l] * _gate_factors(w)[:, None], R, lanes)) for l in range(L)]  # noqa: E741
    gate_rows = np.array([rows for rows, _, _ in gates])
    residuals = [quantise(form, plain_groups(matrix, R, lanes)) for matrix in w.residual]
    skip_rows, skip_scale, skip_peak = quantise(form, plain_groups(w.skip, S, lanes))
    hidden_rows, hidden_scale, hidden_peak = quantise(form, plain_groups(w.hidden, S, lanes))
    output_rows, output_scale, output_peak = quantise(form, plain_groups(w.output, A, lanes))
    z_scale = min([skip_peak, *(peak for _, _, peak in residuals)])
    x_scale = np.ones(L, np.float32)
    if form.is_integer:
        bounds = _input_bounds(w, [(rows, scale) for rows, scale, _ in residuals])
        x_scale[:] = [0.999 * peak / bound for (_, _, peak), bound in zip(gates, bounds, strict=True)]
        skip_scale = skip_scale / z_scale

    current = each(gate_rows[:, -1], R)
    past = each(gate_rows[:, :-1], R)
    residual = np.zeros((L, current.shape[1] // 2), np.uint8)
    if L > 1:
        residual[:-1] = each(np.array([rows for rows, _, _ in residuals]), R)
    blocks = [current, past.reshape(L, -1), residual, each(skip_rows, R)]
    starts = np.cumsum([block.shape[1] for block in blocks])
    scales = np.array([scale.ravel() for _, scale, _ in residuals] or np.zeros((0, R))) / z_scale
    spans = (K - 1) * w.dilations + 1
    return FusedWeights(
        embedding=filled(w.embedding, R),
        layers=_copied(np.concatenate(blocks, axis=1)),
        hidden_weights=_copied(each(hidden_rows, S)),
        output_weights=_copied(each(output_rows, S)),
        gate_scale=filled(np.array([s.ravel() for _, s, _ in gates]) / x_scale[:, None], 2 * R),
        residual_scale=filled(scales, R),
        residual_bias=filled(w.residual_bias, R),
        skip_scale=filled(skip_scale.ravel(), S),
        skip_bias=filled(w.skip_bias, S),
        hidden_scale=filled(hidden_scale.ravel(), S),
        hidden_bias=filled(w.hidden_bias, S),
        hidden_factor=hidden_factor,
        output_scale=filled(output_scale.ravel(), A),
        output_bias=filled(w.output_bias, A, NEVER),
        x_scale=x_scale,
        z_scale=z_scale,
        hidden_peak=hidden_peak,
        output_peak=output_peak,
        past_at=int(starts[0]),
        past_tap_step=past.shape[2],
        residual_at=int(starts[1]),
        skip_at=int(starts[2]),
        dilations=w.dilations,
        rings=np.concatenate([[0], np.cumsum(spans)]).astype(np.int64),
    )


def pack_frames(conditioning: np.ndarray, lanes: int) -> np.ndarray:
    """Conditioning [B, L, 2R, n] -> float32 [n, B, L, 2R], rows ordered and scaled as the gate's."""
    B, L, twice, n = conditioning.shape
    R = round_up(twice // 2, 2 * lanes)
    factors = np.repeat(np.float32([-2 * LOG2E, -LOG2E]), twice // 2)
    groups = gate_groups(conditioning * factors[:, None], R, lanes)
    return np.ascontiguousarray(np.moveaxis(groups.reshape(B, L, 2 * R, n), -1, 0))


def _gate_factors(weights: DecoderWeights) -> np.ndarray:
    return np.repeat(np.float32([-2 * LOG2E, -LOG2E]), weights.residual_channels)


def _input_bounds(weights: DecoderWeights, residuals: list[tuple[np.ndarray, np.ndarray]]) -> list[float]:
    """What no layer's input can exceed, z being within -1..1."""
    bound = np.abs(weights.embedding).max(axis=0)
    bounds = [bound.max()]
    for (rows, scale), bias in zip(residuals, weights.residual_bias, strict=True):
        step = (np.abs(rows).sum(-1) * scale).ravel()[: len(bound)]
        bound = bound + step * 1.001 + np.abs(bias)
        bounds.append(bound.max())
    return [max(float(bound), 1e-6) for bound in bounds]


def _copied(array: np.ndarray) -> np.ndarray:
    out = aligned(array.shape, array.dtype)
    out[...] = array
    return out
