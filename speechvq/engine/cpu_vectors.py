"""The small steps around the matrices: embedding, relu, softmax; intrinsics over addresses, as in `cpu_kernels`."""

from __future__ import annotations

from llvmlite import ir
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from speechvq.engine import simd
from speechvq.engine.cpu_kernels import _at, _count, _Slot
from speechvq.engine.simd import F32, I32, constant, fma, load, store, vector

LOG2E = 1.4426950408889634
BLOCK = 16  # classes whose probabilities are summed together before one is drawn


def _over(b: ir.IRBuilder, n, lanes: int):
    return cgutils.for_range(b, b.udiv(n, _count(lanes)))


@intrinsic
def put(context, form, values, x, slot, scale, n):
    """x = values, and the same as activations in a slot."""
    kind = form.instance_class

    def emit(context, b, signature, arguments):
        _, values, x, slot, scale, n = arguments
        out = _Slot(b, kind, slot, scale)
        with _over(b, n, kind.lanes) as loop:
            index = b.mul(loop.index, _count(kind.lanes))
            value = load(b, vector(F32, kind.lanes), _at(b, values, index, 4))
            store(b, value, _at(b, x, index, 4))
            out.write(value, index)
        out.close(n)
        return context.get_dummy_value()

    return types.void(form, types.intp, types.intp, types.intp, types.float32, types.intp), emit


@intrinsic
def take(context, form, totals, scale, factor, bias, out, n):
    """out = totals * scale * factor + bias as float32 (no scales in float forms); the totals are cleared."""
    kind = form.instance_class

    def emit(context, b, signature, arguments):
        _, totals, scale, factor, bias, out, n = arguments
        floats = vector(F32, kind.lanes)
        sums = vector(I32, kind.lanes) if kind.is_integer else floats
        with _over(b, n, kind.lanes) as loop:
            at = b.mul(loop.index, _count(4 * kind.lanes))
            total = load(b, sums, b.add(totals, at))
            value = load(b, floats, b.add(bias, at))
            if kind.is_integer:
                scales = b.fmul(load(b, floats, b.add(scale, at)), simd.splat(b, factor, kind.lanes))
                value = fma(b, b.sitofp(total, floats), scales, value)
            else:
                value = b.fadd(total, value)
            store(b, value, b.add(out, at))
            store(b, constant(sums, 0), b.add(totals, at))
        return context.get_dummy_value()

    pointers = [types.intp] * 2
    return types.void(form, *pointers, types.float32, *pointers, types.intp), emit


def _largest(b: ir.IRBuilder, form: type[simd.Float32], values, n, least: float):
    floats = vector(F32, form.lanes)
    top = cgutils.alloca_once_value(b, constant(floats, least))
    with _over(b, n, form.lanes) as loop:
        b.store(simd.maximum(b, b.load(top), load(b, floats, _at(b, values, loop.index, 4 * form.lanes))), top)
    return simd.fold(b, b.load(top), lambda x, y: simd.maximum(b, x, y))


@intrinsic
def rectify(context, form, values, slot, peak, n):
    """relu(values) into a slot; integers fill the range up to `peak`. Returns what one unit of the slot is worth."""
    kind = form.instance_class

    def emit(context, b, signature, arguments):
        _, values, slot, peak, n = arguments
        floats = vector(F32, kind.lanes)
        factor, scale = ir.Constant(F32, 1.0), ir.Constant(F32, 1.0)
        if kind.is_integer:
            top = _largest(b, kind, values, n, 1e-20)
            factor, scale = b.fdiv(top, peak), b.fdiv(peak, top)
        out = _Slot(b, kind, slot, scale)
        with _over(b, n, kind.lanes) as loop:
            index = b.mul(loop.index, _count(kind.lanes))
            value = load(b, floats, _at(b, values, index, 4))
            out.write(simd.maximum(b, value, constant(floats, 0.0)), index)
        out.close(n)
        return factor

    return types.float32(form, types.intp, types.intp, types.float32, types.intp), emit


@intrinsic
def largest(context, form, values, n):
    """The largest of n float32."""
    kind = form.instance_class

    def emit(context, b, signature, arguments):
        _, values, n = arguments
        return _largest(b, kind, values, n, -3e38)

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
        with _over(b, n, kind.lanes) as loop:
            at = b.mul(loop.index, _count(4 * kind.lanes))
            shifted = b.fsub(load(b, floats, b.add(logits, at)), tops)
            store(b, simd.exp2(b, b.fmul(shifted, scales)), b.add(out, at))
        return context.get_dummy_value()

    return types.void(form, types.intp, types.float32, types.float32, types.intp, types.intp), emit


@intrinsic
def block_sums(context, values, out, n):
    """out[i] = the sum of the i-th BLOCK of values, always in the same order."""

    def emit(context, b, signature, arguments):
        values, out, n = arguments
        with _over(b, n, BLOCK) as loop:
            block = load(b, vector(F32, BLOCK), _at(b, values, loop.index, 4 * BLOCK))
            store(b, simd.fold(b, block, b.fadd), _at(b, out, loop.index, 4))
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
