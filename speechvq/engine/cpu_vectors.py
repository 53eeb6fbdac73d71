"""All between the matrices, element by element: gate, residual, relu, softmax; intrinsics over addresses."""

from __future__ import annotations

from llvmlite import ir
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from speechvq.engine import simd
from speechvq.engine.simd import F32, I16, I32, I64, constant, element, fma, load, offset, store, vector

LOG2E = 1.4426950408889634
BLOCK = 16  # classes whose probabilities are summed together before one is drawn


def _whole(value: int) -> ir.Constant:
    return ir.Constant(I64, value)


def _over(b: ir.IRBuilder, n, lanes: int):
    return cgutils.for_range(b, b.udiv(n, _whole(lanes)))


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
            store(b, values, element(b, self.address, index, 4))
            return
        bits = simd.nearest(b, values, self.scale)
        store(b, b.trunc(bits, vector(I16, self.form.lanes)), element(b, self.address, index, 2), align=2)
        b.store(b.add(b.load(self.sum), b.sub(bits, constant(bits.type, simd.ROUND_BITS))), self.sum)

    def close(self, channels) -> None:
        """Write the sum behind the last of the channels."""
        if self.form.is_integer:
            b = self.b
            total = simd.fold(b, b.load(self.sum), b.add)
            store(b, b.shl(total, ir.Constant(I32, 7)), element(b, self.address, channels, 2))


def _sums(b: ir.IRBuilder, form: type[simd.Float32], address):
    """The sums at an address, which are cleared for the next ones."""
    kind = vector(I32 if form.is_integer else F32, form.lanes)
    total = load(b, kind, address)
    store(b, constant(kind, 0), address)
    return total


def _scaled(b: ir.IRBuilder, form: type[simd.Float32], total, scale, addend):
    """total * scale + addend for integer sums, total + addend for float ones."""
    if form.is_integer:
        return fma(b, b.sitofp(total, addend.type), load(b, addend.type, scale), addend)
    return b.fadd(total, addend)


@intrinsic
def gate(context, form, sums, scale, frame, z, z_scale, n):
    """z = tanh(a) sigmoid(b) of the sums with the conditioning; n channels, the sums are cleared.

    A group of sums is `lanes` of the tanh's, times -2 log2(e), and the sigmoid's of the same channels,
    times -log2(e): so both come from powers of 2, and one division does for both.
    """
    kind = form.instance_class

    def emit(context, b, signature, arguments):
        _, sums, scale, frame, z, z_scale, n = arguments
        size, floats = 4 * kind.lanes, vector(F32, kind.lanes)
        out, one = _Slot(b, kind, z, z_scale), constant(floats, 1.0)
        with _over(b, n, kind.lanes) as loop:
            at = b.mul(loop.index, _whole(2 * size))
            powers = []
            for here in (at, offset(b, at, size)):
                condition = load(b, floats, b.add(frame, here))
                total = _sums(b, kind, b.add(sums, here))
                powers.append(simd.exp2(b, _scaled(b, kind, total, b.add(scale, here), condition)))
            below = b.fmul(b.fadd(one, powers[0]), b.fadd(one, powers[1]))
            out.write(b.fdiv(b.fsub(one, powers[0]), below), b.mul(loop.index, _whole(kind.lanes)))
        out.close(n)
        return context.get_dummy_value()

    return types.void(form, *[types.intp] * 4, types.float32, types.intp), emit


@intrinsic
def residual(context, form, sums, scale, bias, x, slot, x_scale, n):
    """x += sums + bias, and x again as activations in a slot; the sums are cleared."""
    kind = form.instance_class

    def emit(context, b, signature, arguments):
        _, sums, scale, bias, x, slot, x_scale, n = arguments
        floats, out = vector(F32, kind.lanes), _Slot(b, kind, slot, x_scale)
        with _over(b, n, kind.lanes) as loop:
            at = b.mul(loop.index, _whole(4 * kind.lanes))
            before = b.fadd(load(b, floats, b.add(x, at)), load(b, floats, b.add(bias, at)))
            after = _scaled(b, kind, _sums(b, kind, b.add(sums, at)), b.add(scale, at), before)
            store(b, after, b.add(x, at))
            out.write(after, b.mul(loop.index, _whole(kind.lanes)))
        out.close(n)
        return context.get_dummy_value()

    return types.void(form, *[types.intp] * 5, types.float32, types.intp), emit


@intrinsic
def put(context, form, values, x, slot, scale, n):
    """x = values, and the same as activations in a slot."""
    kind = form.instance_class

    def emit(context, b, signature, arguments):
        _, values, x, slot, scale, n = arguments
        out = _Slot(b, kind, slot, scale)
        with _over(b, n, kind.lanes) as loop:
            index = b.mul(loop.index, _whole(kind.lanes))
            value = load(b, vector(F32, kind.lanes), element(b, values, index, 4))
            store(b, value, element(b, x, index, 4))
            out.write(value, index)
        out.close(n)
        return context.get_dummy_value()

    return types.void(form, types.intp, types.intp, types.intp, types.float32, types.intp), emit


@intrinsic
def take(context, form, sums, scale, factor, bias, out, n):
    """out = sums * scale * factor + bias as float32 (no scales in float forms); the sums are cleared."""
    kind = form.instance_class

    def emit(context, b, signature, arguments):
        _, sums, scale, factor, bias, out, n = arguments
        floats = vector(F32, kind.lanes)
        with _over(b, n, kind.lanes) as loop:
            at = b.mul(loop.index, _whole(4 * kind.lanes))
            total, value = _sums(b, kind, b.add(sums, at)), load(b, floats, b.add(bias, at))
            if kind.is_integer:
                scales = b.fmul(load(b, floats, b.add(scale, at)), simd.splat(b, factor, kind.lanes))
                value = fma(b, b.sitofp(total, floats), scales, value)
            else:
                value = b.fadd(total, value)
            store(b, value, b.add(out, at))
        return context.get_dummy_value()

    pointers = [types.intp] * 2
    return types.void(form, *pointers, types.float32, *pointers, types.intp), emit


def _largest(b: ir.IRBuilder, form: type[simd.Float32], values, n, least: float):
    floats = vector(F32, form.lanes)
    top = cgutils.alloca_once_value(b, constant(floats, least))
    with _over(b, n, form.lanes) as loop:
        b.store(simd.maximum(b, b.load(top), load(b, floats, element(b, values, loop.index, 4 * form.lanes))), top)
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
            index = b.mul(loop.index, _whole(kind.lanes))
            value = load(b, floats, element(b, values, index, 4))
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
            at = b.mul(loop.index, _whole(4 * kind.lanes))
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
