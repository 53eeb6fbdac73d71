"""The products of a layer and what follows each: gate, residual, or a plain sum; intrinsics over addresses.

What a product's sums go into is done while they are in registers, group after group, so that one group's
powers and divisions overlap the next panel's product.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from speechvq.engine import simd
from speechvq.engine.cpu_kernels import Product
from speechvq.engine.cpu_slots import SIGNED_PEAK, SIGNED_ZERO, TINY, count, fill_signed, magnitude, write
from speechvq.engine.simd import F32, constant, load, offset, store, vector


def _over(b, streams: int, address, stride) -> list:
    return [b.add(address, b.mul(stride, count(q))) for q in range(streams)]


def _place(b, form: type[simd.Float32], group, half: int):
    """Where a group's low or high float32 lie, in bytes from the first's."""
    return offset(b, b.mul(group, count(8 * form.lanes)), half * 4 * form.lanes)


def make_add_product(streams: int, of_output: bool = False):
    """An intrinsic: out = base + matrix @ activations, for so many streams; `of_output` in the output matrix's form."""

    @intrinsic
    def add_product(context, form, weights, x, x_stride, base, base_stride, out, out_stride, groups, steps):
        kind = simd.output_form(form.instance_class) if of_output else form.instance_class

        def emit(context, b, signature, arguments):
            _, weights, x, x_stride, base, base_stride, out, out_stride, groups, steps = arguments
            bases, outs = _over(b, streams, base, base_stride), _over(b, streams, out, out_stride)
            floats = vector(F32, kind.lanes)

            def finish(done):
                for group, q, plus in done:
                    for half in range(2):
                        at = _place(b, kind, group, half)
                        store(b, plus(half, load(b, floats, b.add(bases[q], at))), b.add(outs[q], at))

            Product(b, kind, streams).run(weights, _over(b, streams, x, x_stride), groups, steps, finish)
            return context.get_dummy_value()

        return types.void(form, *[types.intp] * 9), emit

    return add_product


def _exact_gate(b: ir.IRBuilder, tanh, sigmoid) -> ir.Value:
    """tanh(a) sigmoid(c) of -2 log2(e) a and -log2(e) c: both from powers of 2, and one division for both."""
    one = constant(tanh.type, 1.0)
    powers = [simd.exp2(b, x) for x in (tanh, sigmoid)]
    return b.fdiv(b.fsub(one, powers[0]), b.fmul(*(b.fadd(one, power) for power in powers)))


def _coarse_gate(b: ir.IRBuilder, tanh, sigmoid) -> ir.Value:
    """2 tanh(a) sigmoid(c) of a and c / 2: within 3e-4, which 8 bits do not show; sigmoid(c) is (1 + tanh(c / 2)) / 2."""
    (above_a, below_a), (above_c, below_c) = (simd.tanh_fraction(b, x) for x in (tanh, sigmoid))
    return b.fdiv(b.fmul(above_a, b.fadd(above_c, below_c)), b.fmul(below_a, below_c))


def make_gate(streams: int):
    """An intrinsic: z = tanh(a) sigmoid(c) of the current tap's product, the past taps' and the conditioning.

    A group of sums is `lanes` of the tanh's, and the sigmoid's of the same channels, both times the factors of
    `cpu_pack.gate_factors`. The past taps' sums are cleared.
    """

    @intrinsic
    def gate(context, form, weights, x, x_stride, past, frame, stride, z, z_stride, groups, steps):
        kind = form.instance_class

        def emit(context, b, signature, arguments):
            _, weights, x, x_stride, past, frame, stride, z, z_stride, groups, steps = arguments
            pasts, frames, outs = (_over(b, streams, *of) for of in ((past, stride), (frame, stride), (z, z_stride)))
            floats = vector(F32, kind.lanes)

            def total(group, q, plus, half: int):
                at = _place(b, kind, group, half)
                before = b.add(pasts[q], at)
                rest = b.fadd(load(b, floats, before), load(b, floats, b.add(frames[q], at)))
                store(b, constant(floats, 0.0), before)
                return plus(half, rest)

            def finish(done):
                tanh, sigmoid = (simd.join(b, [total(*each, half) for each in done]) for half in range(2))
                values = _coarse_gate(b, tanh, sigmoid) if kind.is_integer else _exact_gate(b, tanh, sigmoid)
                pieces = [(done[0], values)]  # one stream's channels follow one another
                if streams > 1:
                    pieces = zip(done, simd.split(b, values, len(done)), strict=True)
                for (group, q, _), piece in pieces:
                    scale = constant(piece.type, SIGNED_PEAK / 2)
                    write(b, kind, piece, outs[q], b.mul(group, count(kind.lanes)), scale, SIGNED_ZERO)

            Product(b, kind, streams, go_on=True).run(weights, _over(b, streams, x, x_stride), groups, steps, finish)
            return context.get_dummy_value()

        return types.void(form, *[types.intp] * 10), emit

    return gate


def make_residual(streams: int):
    """An intrinsic: x += matrix @ z + bias, and x again as activations in a slot."""

    @intrinsic
    def residual(context, form, weights, z, z_stride, x, x_stride, bias, slot, slot_stride, groups, steps):
        kind = form.instance_class

        def emit(context, b, signature, arguments):
            _, weights, z, z_stride, x, x_stride, bias, slot, slot_stride, groups, steps = arguments
            xs, slots = _over(b, streams, x, x_stride), _over(b, streams, slot, slot_stride)
            floats = vector(F32, kind.lanes)
            tops = [cgutils.alloca_once_value(b, constant(floats, TINY)) for _ in range(streams)]

            def finish(done):
                for group, q, plus in done:
                    for half in range(2):
                        at = _place(b, kind, group, half)
                        here = b.add(xs[q], at)
                        after = plus(half, b.fadd(load(b, floats, here), load(b, floats, b.add(bias, at))))
                        store(b, after, here)
                        b.store(simd.maximum(b, b.load(tops[q]), magnitude(b, after)), tops[q])

            Product(b, kind, streams, go_on=True).run(weights, _over(b, streams, z, z_stride), groups, steps, finish)
            n = b.mul(groups, count(2 * kind.lanes))
            for q in range(streams):
                fill_signed(b, kind, xs[q], slots[q], n, b.load(tops[q]))
            return context.get_dummy_value()

        return types.void(form, *[types.intp] * 10), emit

    return residual
