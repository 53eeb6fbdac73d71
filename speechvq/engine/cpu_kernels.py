"""The inner loop of the fused decoder: matrix times vector.

A matrix is held as groups of 2 * lanes rows ("low" and "high" ones), groups in panels of 4 (the last
panels of 2 and 1), and within a panel column by column (`cpu_pack.py` writes them); so it is read once,
from end to end. Rows and columns are padded with zeros to whole groups.

Activations lie in *slots*: floats as they are; integers as int16, then 128 times their sum as int32
(`cpu_vectors.py` writes those).
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from speechvq.engine import simd
from speechvq.engine.simd import F32, I32, I64, constant, element, load, store, vector

PANELS = (4, 2, 1)
SUM_BYTES = 32  # behind the int16 of a slot: room for the sum, and for the next slot's alignment


def _count(value: int) -> ir.Constant:
    return ir.Constant(I64, value)


class Product:
    """Emits loops over a matrix's groups.

    Args:
        form: how numbers are held.
        streams: how many activations share each weight that is loaded. A single one has the sums of a
            whole panel in registers, several those of one group each.
    """

    def __init__(self, b: ir.IRBuilder, form: type[simd.Float32], streams: int):
        self.b, self.form, self.streams = b, form, streams
        self.sums = vector(I32 if form.is_integer else F32, form.lanes)
        self.group_bytes = 2 * form.lanes * form.columns * form.weight_bytes

    def run(self, weights, activations: list, groups, steps, finish: Callable) -> None:
        """For every group and stream, finish(group, stream, low, high) with the sums."""
        b = self.b
        corrections = [self._correction(x, steps) for x in activations]
        place, first = cgutils.alloca_once_value(b, weights), cgutils.alloca_once_value(b, _count(0))
        for size in PANELS:
            whole = b.udiv(groups, _count(4)) if size == 4 else b.and_(b.udiv(groups, _count(size)), _count(1))
            with cgutils.for_range(b, whole):
                base, group = b.load(place), b.load(first)
                tile = size if self.streams == 1 else 1
                with cgutils.for_range(b, _count(size // tile)) as loop:
                    start = element(b, base, loop.index, tile * self.group_bytes)
                    totals = self._panel(start, size, tile, activations, steps)
                    for g in range(tile):
                        for q in range(self.streams):
                            low, high = self._whole(totals[q][g], corrections[q])
                            finish(b.add(b.add(group, _count(g)), b.mul(loop.index, _count(tile))), q, low, high)
                b.store(element(b, base, steps, size * self.group_bytes), place)
                b.store(b.add(group, _count(size)), first)

    def _panel(self, start, size: int, tile: int, activations: list, steps) -> list:
        b, form = self.b, self.form
        zero = constant(self.sums, 0)
        totals = [
            [[cgutils.alloca_once_value(b, zero) for _ in range(2)] for _ in range(tile)] for _ in range(self.streams)
        ]
        with cgutils.for_range(b, steps) as loop:
            at = element(b, start, loop.index, size * self.group_bytes)
            weights = [simd.load_weights(b, form, at, g * self.group_bytes) for g in range(tile)]
            for q in range(self.streams):
                x = simd.broadcast(b, form, element(b, activations[q], loop.index, 4))
                for g in range(tile):
                    for half in range(2):
                        total = totals[q][g][half]
                        b.store(simd.multiply_add(b, form, b.load(total), weights[g][half], x), total)
        return [[[b.load(total) for total in pair] for pair in stream] for stream in totals]

    def _correction(self, x, steps):
        if not self.form.is_integer:
            return None
        return simd.splat(self.b, load(self.b, I32, element(self.b, x, steps, 4)), self.form.lanes)

    def _whole(self, pair: list, correction) -> tuple:
        low, high = pair
        if correction is None:
            return low, high
        b = self.b
        return b.sub(b.sub(low, b.shl(high, constant(high.type, 8))), correction), high


def _streams(b: ir.IRBuilder, streams: int, address, stride) -> list:
    return [b.add(address, b.mul(stride, _count(q))) for q in range(streams)]


def make_add_product(streams: int):
    """An intrinsic: totals += matrix @ activations, for so many streams."""

    @intrinsic
    def add_product(context, form, weights, x, x_stride, totals, totals_stride, groups, steps):
        kind = form.instance_class

        def emit(context, b, signature, arguments):
            _, weights, x, x_stride, totals, totals_stride, groups, steps = arguments
            outs = _streams(b, streams, totals, totals_stride)
            product = Product(b, kind, streams)
            size = 4 * kind.lanes

            def finish(group, q, low, high):
                at = element(b, outs[q], group, 2 * size)
                add = b.add if kind.is_integer else b.fadd
                store(b, add(load(b, low.type, at), low), at)
                store(b, add(load(b, high.type, at, size), high), at, size)

            product.run(weights, _streams(b, streams, x, x_stride), groups, steps, finish)
            return context.get_dummy_value()

        return types.void(form, *[types.intp] * 7), emit

    return add_product
