"""The inner loops of the fused decoder: matrix times vector, and what is done with the sums while in registers.

A matrix is held as groups of 2 * lanes rows ("low" and "high" ones), groups in panels of 4 (the last
panels of 2 and 1), and within a panel column by column (`cpu_pack.py` writes them); so it is read once,
from end to end. Rows and columns are padded with zeros to whole groups.

Activations lie in *slots*: floats as they are; integers as int16, then 128 times their sum as int32.
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from speechvq.engine import simd
from speechvq.engine.simd import F32, I16, I32, I64, constant, fma, load, offset, store, vector

PANELS = (4, 2, 1)
SUM_BYTES = 32  # behind the int16 of a slot: room for the sum, and for the next slot's alignment


def _at(b: ir.IRBuilder, address, index, size: int):
    return b.add(address, b.mul(index, ir.Constant(I64, size)))


def _count(value: int) -> ir.Constant:
    return ir.Constant(I64, value)


class _Product:
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
                    start = _at(b, base, loop.index, tile * self.group_bytes)
                    totals = self._panel(start, size, tile, activations, steps)
                    for g in range(tile):
                        for q in range(self.streams):
                            low, high = self._whole(totals[q][g], corrections[q])
                            finish(b.add(b.add(group, _count(g)), b.mul(loop.index, _count(tile))), q, low, high)
                b.store(_at(b, base, steps, size * self.group_bytes), place)
                b.store(b.add(group, _count(size)), first)

    def _panel(self, start, size: int, tile: int, activations: list, steps) -> list:
        b, form = self.b, self.form
        zero = constant(self.sums, 0)
        totals = [
            [[cgutils.alloca_once_value(b, zero) for _ in range(2)] for _ in range(tile)] for _ in range(self.streams)
        ]
        with cgutils.for_range(b, steps) as loop:
            at = _at(b, start, loop.index, size * self.group_bytes)
            weights = [simd.load_weights(b, form, at, g * self.group_bytes) for g in range(tile)]
            for q in range(self.streams):
                x = simd.broadcast(b, form, _at(b, activations[q], loop.index, 4))
                for g in range(tile):
                    for half in range(2):
                        total = totals[q][g][half]
                        b.store(simd.multiply_add(b, form, b.load(total), weights[g][half], x), total)
        return [[[b.load(total) for total in pair] for pair in stream] for stream in totals]

    def _correction(self, x, steps):
        if not self.form.is_integer:
            return None
        return simd.splat(self.b, load(self.b, I32, _at(self.b, x, steps, 4)), self.form.lanes)

    def _whole(self, pair: list, correction) -> tuple:
        low, high = pair
        if correction is None:
            return low, high
        b = self.b
        return b.sub(b.sub(low, b.shl(high, constant(high.type, 8))), correction), high


class _Slot:
    """Writes a slot of activations, one vector after another."""

    def __init__(self, b: ir.IRBuilder, form: type[simd.Float32], address, scale):
        self.b, self.form, self.address = b, form, address
        if form.is_integer:
            self.scale = simd.splat(b, scale, form.lanes)
            kind = vector(I32, form.lanes)
            self.sum = cgutils.alloca_once_value(b, constant(kind, 0))

    def write(self, values, index) -> None:
        """Put `lanes` values at channel `index`."""
        b = self.b
        if not self.form.is_integer:
            store(b, values, _at(b, self.address, index, 4))
            return
        bits = simd.nearest(b, values, self.scale)
        store(b, b.trunc(bits, vector(I16, self.form.lanes)), _at(b, self.address, index, 2), align=2)
        b.store(b.add(b.load(self.sum), b.sub(bits, constant(bits.type, simd.ROUND_BITS))), self.sum)

    def close(self, channels) -> None:
        """Write the sum behind the last of the channels."""
        if self.form.is_integer:
            b = self.b
            total = simd.fold(b, b.load(self.sum), b.add)
            store(b, b.shl(total, ir.Constant(I32, 7)), _at(b, self.address, channels, 2))


def _streams(b: ir.IRBuilder, streams: int, address, stride) -> list:
    return [b.add(address, b.mul(stride, _count(q))) for q in range(streams)]


def _scaled(b: ir.IRBuilder, form: type[simd.Float32], total, scale, addend):
    """total * scale + addend for integer sums, total + addend for float ones."""
    if form.is_integer:
        return fma(b, b.sitofp(total, addend.type), load(b, addend.type, scale), addend)
    return b.fadd(total, addend)


def make_add_product(streams: int):
    """An intrinsic: totals += matrix @ activations, for so many streams."""

    @intrinsic
    def add_product(context, form, weights, x, x_stride, totals, totals_stride, groups, steps):
        kind = form.instance_class

        def emit(context, b, signature, arguments):
            _, weights, x, x_stride, totals, totals_stride, groups, steps = arguments
            outs = _streams(b, streams, totals, totals_stride)
            product = _Product(b, kind, streams)
            size = 4 * kind.lanes

            def finish(group, q, low, high):
                at = _at(b, outs[q], group, 2 * size)
                add = b.add if kind.is_integer else b.fadd
                store(b, add(load(b, low.type, at), low), at)
                store(b, add(load(b, high.type, at, size), high), at, size)

            product.run(weights, _streams(b, streams, x, x_stride), groups, steps, finish)
            return context.get_dummy_value()

        return types.void(form, *[types.intp] * 7), emit

    return add_product


def make_gate(streams: int):
    """An intrinsic: z = tanh(a) sigmoid(b) of matrix @ x + past + conditioning; `past` is cleared.

    The low rows of a group are the tanh's, times -2 log2(e), the high ones the sigmoid's of the same
    channels, times -log2(e): so that both come from powers of 2, with one division.
    """

    @intrinsic
    def gate(context, form, weights, x, x_stride, past, past_stride, scale, frame, frame_stride, z, z_stride, z_scale, groups, steps):  # fmt: skip
        kind = form.instance_class

        def emit(context, b, signature, arguments):
            (_, weights, x, x_stride, past, past_stride, scale, frame, frame_stride, z, z_stride, z_scale, groups,
             steps) = arguments  # fmt: skip
            size, floats = 4 * kind.lanes, vector(F32, kind.lanes)
            pasts = _streams(b, streams, past, past_stride)
            frames = _streams(b, streams, frame, frame_stride)
            slots = [_Slot(b, kind, address, z_scale) for address in _streams(b, streams, z, z_stride)]
            one = constant(floats, 1.0)

            def finish(group, q, low, high):
                at = b.mul(group, _count(2 * size))
                powers = []
                for half, total in enumerate((low, high)):
                    here = offset(b, at, half * size)
                    memory = b.add(pasts[q], here)
                    total = (b.add if kind.is_integer else b.fadd)(total, load(b, total.type, memory))
                    store(b, constant(total.type, 0), memory)
                    condition = load(b, floats, b.add(frames[q], here))
                    powers.append(simd.exp2(b, _scaled(b, kind, total, b.add(scale, here), condition)))
                below = b.fmul(b.fadd(one, powers[0]), b.fadd(one, powers[1]))
                slots[q].write(b.fdiv(b.fsub(one, powers[0]), below), b.mul(group, _count(kind.lanes)))

            _Product(b, kind, streams).run(weights, _streams(b, streams, x, x_stride), groups, steps, finish)
            for slot in slots:
                slot.close(b.mul(groups, _count(kind.lanes)))
            return context.get_dummy_value()

        pointers = [types.intp] * 10
        return types.void(form, *pointers, types.float32, types.intp, types.intp), emit

    return gate


def make_residual(streams: int):
    """An intrinsic: x += matrix @ z + bias, and x again as activations of the next layer."""

    @intrinsic
    def residual(context, form, weights, z, z_stride, scale, bias, x, x_stride, slot, slot_stride, x_scale, groups, steps):  # fmt: skip
        kind = form.instance_class

        def emit(context, b, signature, arguments):
            (_, weights, z, z_stride, scale, bias, x, x_stride, slot, slot_stride, x_scale, groups,
             steps) = arguments  # fmt: skip
            size, floats = 4 * kind.lanes, vector(F32, kind.lanes)
            states = _streams(b, streams, x, x_stride)
            slots = [_Slot(b, kind, address, x_scale) for address in _streams(b, streams, slot, slot_stride)]

            def finish(group, q, low, high):
                for half, total in enumerate((low, high)):
                    here = offset(b, b.mul(group, _count(2 * size)), half * size)
                    memory = b.add(states[q], here)
                    before = b.fadd(load(b, floats, memory), load(b, floats, b.add(bias, here)))
                    after = _scaled(b, kind, total, b.add(scale, here), before)
                    store(b, after, memory)
                    slots[q].write(after, offset(b, b.mul(group, _count(2 * kind.lanes)), half * kind.lanes))

            _Product(b, kind, streams).run(weights, _streams(b, streams, z, z_stride), groups, steps, finish)
            for each in slots:
                each.close(b.mul(groups, _count(2 * kind.lanes)))
            return context.get_dummy_value()

        pointers = [types.intp] * 9
        return types.void(form, *pointers, types.float32, types.intp, types.intp), emit

    return residual
