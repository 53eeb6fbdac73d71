"""A decoder's weights in the layout that `cpu_kernels` reads."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from speechvq.engine.cpu_kernels import PANELS
from speechvq.engine.cpu_slots import SIGNED_ZERO, UNIT_BYTES, UNSIGNED_PEAK
from speechvq.engine.cpu_vectors import LOG2E
from speechvq.engine.simd import LINE, Float32, Int8, output_form, parts
from speechvq.engine.weights import DecoderWeights

INT16, INT32 = 2**15 - 1, 2**31 - 1
WORD_PEAK = 2047  # of a 16-bit weight: leaves the activations about as many bits
NEVER = -1e30  # the logit of classes that only fill up a vector


class FusedWeights(NamedTuple):
    """Everything that a sample needs and no sample changes. R, S, A are here those filled up to whole groups."""

    embedding: np.ndarray  # float32 [A, R]
    chain_weights: np.ndarray  # uint8 [L, bytes]: current tap, residual (the last layer's is zero)
    past_weights: np.ndarray  # uint8 [L, K-1, bytes], oldest tap first
    skip_weights: np.ndarray  # uint8 [L, bytes]
    hidden_weights: np.ndarray  # uint8 [bytes]
    output_weights: np.ndarray  # uint8 [bytes]
    residual_bias: np.ndarray  # float32 [L, R]
    skip_bias: np.ndarray  # float32 [S]
    hidden_bias: np.ndarray  # float32 [S]
    output_bias: np.ndarray  # float32 [A]
    hidden_peak: float  # the integer that the largest activation before a matrix becomes
    output_peak: float
    residual_at: int  # where in a layer's bytes the residual matrix begins
    dilations: np.ndarray
    rings: np.ndarray  # int64 [L+1], where each layer's ring of slots begins


def round_up(n: int, multiple: int) -> int:
    """The least multiple that is not below n."""
    return -(-n // multiple) * multiple


def aligned(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    """Zeros that begin at a whole cache line."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + LINE, np.uint8)
    start = -raw.ctypes.data % LINE
    return raw[start : start + size].view(dtype).reshape(shape)


def slot_bytes(form: type[Float32], channels: int) -> int:
    """What the activations of so many channels take."""
    return form.activation_bytes * channels + (UNIT_BYTES if form.is_integer else 0)


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


def with_columns(groups: np.ndarray, columns: int) -> np.ndarray:
    """[..., n] -> [..., columns], filled up with zeros."""
    filled = np.zeros((*groups.shape[:-1], columns), groups.dtype)
    filled[..., : groups.shape[-1]] = groups
    return filled


class Rounded(NamedTuple):
    """A matrix in a form's numbers."""

    groups: np.ndarray  # [groups, 2, lanes, columns]
    starts: np.ndarray | None  # int32 [groups, 2, lanes], what an integer form's sums start from
    scales: np.ndarray | None  # float32 [groups, 2, lanes], what one unit of a weight is worth


def quantise(form: type[Float32], groups: np.ndarray, zero: int = 0) -> Rounded:
    """Round each row to integers, in an integer form.

    8-bit weights are multiplied with unsigned activations up to 255, and four products are added in 16 bits (see
    `simd.multiply_add`): so those of one sign among each four that meet may hold no more than 128.

    Args:
        form: how numbers are held; a float form changes nothing.
        groups: float [groups, 2, lanes, n], n whole steps.
        zero: what stands for 0 among the activations.

    Returns:
        The matrix.
    """
    if not form.is_integer:
        return Rounded(groups, None, None)
    largest = np.abs(groups).max(-1)
    if issubclass(form, Int8):
        meeting = groups.reshape(*groups.shape[:-1], -1, 2, 2, 2)  # of 8 columns 0, 1, 4, 5 and 2, 3, 6, 7
        of_one_sign = np.maximum(*(np.maximum(sign * meeting, 0).sum((-3, -1)).max((-2, -1)) for sign in (1, -1)))
        scale = np.maximum(of_one_sign / (128 - 4 * 0.5), largest / 127)  # each of the four may be rounded up
    else:
        scale = largest / WORD_PEAK
    scale = np.where(scale > 0, scale, 1).astype(np.float32)
    rounded = np.rint(groups / scale[..., None]).astype(np.int32)
    return Rounded(rounded, (-zero * rounded.sum(-1)).astype(np.int32), scale)


def word_peak(rounded: np.ndarray) -> float:
    """The largest 16-bit activation that no sum of a matrix can overflow with."""
    return float(min(INT16, INT32 // max(int(np.abs(rounded).sum(-1).max()), 1)))


def in_panels(form: type[Float32], matrix: Rounded) -> np.ndarray:
    """One matrix as bytes: panels of groups; in each the starts, the columns in order (in each its groups), the scales."""
    count, _, lanes, columns = matrix.groups.shape
    kind = {1: np.int8, 2: np.int16 if form.is_integer else np.float16, 4: np.float32}[form.weight_bytes]
    steps, each = columns // form.columns, parts(form)
    cells = matrix.groups.astype(kind).reshape(count, 2, lanes, steps, each, -1).transpose(3, 0, 1, 4, 2, 5)
    pieces, first = [], 0
    for size in PANELS:
        while count - first >= size:
            panel = slice(first, first + size)
            rows = [cells[:, panel]]
            if form.is_integer:
                rows = [matrix.starts[panel], *rows, matrix.scales[panel]]
            pieces += [np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in rows]
            first += size
    return np.concatenate(pieces)


def pack(weights: DecoderWeights, form: type[Float32]) -> FusedWeights:
    """Lay a decoder's weights out for the kernels; `gate_factors` go into the gate's rows.

    Args:
        weights: the decoder's weights.
        form: how numbers are held.

    Returns:
        The packed weights.
    """
    w, lanes = weights, form.lanes
    R, S, A = (round_up(n, 2 * lanes) for n in (w.residual_channels, w.skip_channels, w.num_classes))

    def packed(groups: np.ndarray, columns: int, zero: int = SIGNED_ZERO) -> np.ndarray:
        return in_panels(form, quantise(form, with_columns(groups, columns), zero))

    def filled(vector: np.ndarray, size: int, value: float = 0) -> np.ndarray:
        out = aligned((*vector.shape[:-1], size), np.float32)
        out[...] = value
        out[..., : vector.shape[-1]] = vector
        return out

    factors = gate_factors(form, w.residual_channels)[:, None]
    taps = np.array([[packed(gate_groups(tap * factors, R, lanes), R) for tap in taps] for taps in w.gate])
    residuals = np.concatenate([w.residual, np.zeros_like(w.gate[:1, 0, : w.residual_channels])])
    residuals = np.array([packed(plain_groups(matrix, R, lanes), R) for matrix in residuals])
    skips = np.array([packed(plain_groups(matrix, S, lanes), R) for matrix in w.skip])
    hidden = packed(plain_groups(w.hidden, S, lanes), S, zero=0)
    last = output_form(form)
    output = quantise(last, with_columns(plain_groups(w.output, A, lanes), S))
    spans = (w.kernel_size - 1) * w.dilations + 1
    return FusedWeights(
        embedding=filled(w.embedding, R),
        chain_weights=_copied(np.concatenate([taps[:, -1], residuals], axis=1)),
        past_weights=_copied(taps[:, :-1]),
        skip_weights=_copied(skips),
        hidden_weights=_copied(hidden),
        output_weights=_copied(in_panels(last, output)),
        residual_bias=filled(w.residual_bias, R),
        skip_bias=filled(w.skip_bias, S),
        hidden_bias=filled(w.hidden_bias, S),
        output_bias=filled(w.output_bias, A, NEVER),
        hidden_peak=float(UNSIGNED_PEAK),
        output_peak=word_peak(output.groups) if last.is_integer else 1.0,
        residual_at=taps.shape[-1],
        dilations=w.dilations,
        rings=np.concatenate([[0], np.cumsum(spans)]).astype(np.int64),
    )


def pack_frames(conditioning: np.ndarray, form: type[Float32]) -> np.ndarray:
    """Conditioning [B, L, 2R, n] -> float32 [n, B, L, 2R], rows ordered and scaled as the gate's."""
    B, L, twice, n = conditioning.shape
    R = round_up(twice // 2, 2 * form.lanes)
    groups = gate_groups(conditioning * gate_factors(form, twice // 2)[:, None], R, form.lanes)
    return np.ascontiguousarray(np.moveaxis(groups.reshape(B, L, 2 * R, n), -1, 0))


def gate_factors(form: type[Float32], channels: int) -> np.ndarray:
    """What the tanh's and the sigmoid's rows are multiplied with, float32 [2R]: see the gates of `cpu_layers`."""
    return np.repeat(np.float32((1, 0.5) if form.is_integer else (-2 * LOG2E, -LOG2E)), channels)


def _copied(array: np.ndarray) -> np.ndarray:
    out = aligned(array.shape, array.dtype)
    out[...] = array
    return out
