"""The passes over a sample's vectors that follow no product: embedding, relu, softmax; intrinsics over addresses."""

from __future__ import annotations

from llvmlite import ir
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from speechvq.engine import simd
from speechvq.engine.cpu_slots import TINY, count, fill, fill_signed, largest_lanes, magnitude, over_vectors
from speechvq.engine.simd import F32, element, load, store, vector

LOG2E = 1.4426950408889634
BLOCK = 16  # classes whose probabilities are summed together before one is drawn


@intrinsic
def put(context, form, values, x, slot, n):
    """x = values, and the same as activations in a slot."""
    kind = form.instance_class

    def emit(context, b, signature, arguments):
        _, values, x, slot, n = arguments
        cgutils.raw_memcpy(b, *(b.inttoptr(address, F32.as_pointer()) for address in (x, values)), n, 4)
        tops = largest_lanes(b, kind, values, n, TINY, lambda value: magnitude(b, value))
        fill_signed(b, kind, values, slot, n, tops)
        return context.get_dummy_value()

    return types.void(form, *[types.intp] * 4), emit


def make_rectify(of_output: bool = False):
    """An intrinsic: relu(values) into a slot, whose range of integers up to `peak` it fills."""

    @intrinsic
    def rectify(context, form, values, slot, peak, n):
        kind = simd.output_form(form.instance_class) if of_output else form.instance_class

        def emit(context, b, signature, arguments):
            _, values, slot, peak, n = arguments
            top = simd.largest(b, largest_lanes(b, kind, values, n, TINY))
            fill(b, kind, values, slot, n, top, peak, least=0.0)
            return context.get_dummy_value()

        return types.void(form, types.intp, types.intp, types.float32, types.intp), emit

    return rectify


@intrinsic
def largest(context, form, values, n):
    """The largest of n float32."""
    kind = form.instance_class

    def emit(context, b, signature, arguments):
        _, values, n = arguments
        return simd.largest(b, largest_lanes(b, kind, values, n, -3e38))

    return types.float32(form, types.intp, types.intp), emit


@intrinsic
def exponentials(context, form, logits, top, scale, out, n):
    """out = exp((logits - top) * scale)."""
    kind = form.instance_class

    def emit(context, b, signature, arguments):
        _, logits, top, scale, out, n = arguments
        floats = vector(F32, kind.lanes)
        tops = simd.splat(b, top, kind.lanes)
        scales = simd.splat(b, b.fmul(scale, ir.Constant(F32, LOG2E)), kind.lanes)
        with over_vectors(b, n, kind.lanes) as loop:
            at = b.mul(loop.index, count(4 * kind.lanes))
            shifted = b.fsub(load(b, floats, b.add(logits, at)), tops)
            store(b, simd.exp2(b, b.fmul(shifted, scales)), b.add(out, at))
        return context.get_dummy_value()

    return types.void(form, types.intp, types.float32, types.float32, types.intp, types.intp), emit


@intrinsic
def block_sums(context, values, out, n):
    """out[i] = the sum of the i-th BLOCK of values, always in the same order."""

    def emit(context, b, signature, arguments):
        values, out, n = arguments
        with over_vectors(b, n, BLOCK) as loop:
            block = load(b, vector(F32, BLOCK), element(b, values, loop.index, 4 * BLOCK))
            store(b, simd.fold(b, block, b.fadd), element(b, out, loop.index, 4))
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), emit


def _make_pointer(kind: types.Type):
    @intrinsic
    def pointer(context, address):
        def emit(context, b, signature, arguments):
            return b.inttoptr(arguments[0], context.get_value_type(signature.return_type))

        return types.CPointer(kind)(types.intp), emit

    return pointer


_float_pointer, _integer_pointer, _seed_pointer = map(_make_pointer, (types.float32, types.int64, types.uint64))


@njit(nogil=True)
def floats_at(address, n):
    """The n float32 at an address, as an array that nobody counts references of."""
    return carray(_float_pointer(address), n)


@njit(nogil=True)
def integers_at(address, n):
    """The n int64 at an address."""
    return carray(_integer_pointer(address), n)


@njit(nogil=True)
def seeds_at(address, n):
    """The n uint64 at an address."""
    return carray(_seed_pointer(address), n)
