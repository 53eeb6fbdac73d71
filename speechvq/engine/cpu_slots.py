"""Activations as the products take them: emitters that write slots.

Signed integers are held with SIGNED_ZERO added, since the products want unsigned ones; what that adds to a
sum is known when the weights are packed.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils

from speechvq.engine import simd
from speechvq.engine.simd import F32, I8, I16, I32, I64, constant, element, load, splat, store, vector

UNIT_BYTES = 32  # behind the numbers of a slot: its unit, and room for the next slot's alignment
SIGNED_ZERO, SIGNED_PEAK, UNSIGNED_PEAK = 128, 127, 255  # of 8 bits
TINY = 1e-20  # the least that the largest of some values counts as


def count(value: int) -> ir.Constant:
    """A Python number as an int64."""
    return ir.Constant(I64, value)


def over_vectors(b: ir.IRBuilder, n, lanes: int):
    """A loop over n numbers, `lanes` at a time."""
    return cgutils.for_range(b, b.udiv(n, count(lanes)))


def unit_address(b: ir.IRBuilder, form: type[simd.Float32], slot, channels) -> ir.Value:
    """Where a slot says what one unit of its numbers is worth, float32."""
    return element(b, slot, channels, form.activation_bytes)


def write(b: ir.IRBuilder, form: type[simd.Float32], values, slot, channel, scale=None, zero: int = 0) -> None:
    """Put values from a channel on; integers as the nearest to values * scale + zero."""
    if form.is_integer:
        kind = vector(I8 if form.activation_bytes == 1 else I16, values.type.count)
        values = b.trunc(simd.nearest(b, values, scale, zero), kind)
    store(b, values, element(b, slot, channel, form.activation_bytes), align=form.activation_bytes)


def fill(b: ir.IRBuilder, form: type[simd.Float32], values, slot, n, top, peak, zero: int = 0, least=None) -> None:
    """Make a slot of n float32 at an address.

    Args:
        b: where to emit.
        form: of the slot.
        values: address.
        slot: address.
        n: whole groups of 2 * lanes.
        top: float32, the largest magnitude of the values; integers fill the range up to `peak` with it.
        peak: float32.
        zero: what stands for 0.
        least: smaller values count as this one.
    """
    lanes = 2 * form.lanes  # whatever has channels has whole groups of them
    floats, scale = vector(F32, lanes), None
    if form.is_integer:
        scale = splat(b, b.fdiv(peak, top), lanes)
        store(b, b.fdiv(top, peak), unit_address(b, form, slot, n))
    with over_vectors(b, n, lanes) as loop:
        index = b.mul(loop.index, count(lanes))
        value = load(b, floats, element(b, values, index, 4))
        if least is not None:
            value = simd.maximum(b, value, constant(floats, least))
        write(b, form, value, slot, index, scale, zero)


def magnitude(b: ir.IRBuilder, values) -> ir.Value:
    """The absolute value of each lane."""
    bits = vector(I32, values.type.count)
    return b.bitcast(b.and_(b.bitcast(values, bits), constant(bits, 0x7FFFFFFF)), values.type)


def fill_signed(b: ir.IRBuilder, form: type[simd.Float32], values, slot, n, tops) -> None:
    """`fill` with signed values, given a vector of which one lane is their largest magnitude."""
    fill(b, form, values, slot, n, simd.largest(b, tops), ir.Constant(F32, float(SIGNED_PEAK)), SIGNED_ZERO)


def largest_lanes(b: ir.IRBuilder, form: type[simd.Float32], values, n, least: float, change=lambda x: x):
    """A vector of which one lane is the largest of n float32, after `change`."""
    floats = vector(F32, form.lanes)
    top = cgutils.alloca_once_value(b, constant(floats, least))
    with over_vectors(b, n, form.lanes) as loop:
        value = load(b, floats, element(b, values, loop.index, 4 * form.lanes))
        b.store(simd.maximum(b, b.load(top), change(value)), top)
    return b.load(top)
