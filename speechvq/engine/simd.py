"""A small vocabulary of vector instructions for numba: LLVM IR, written through llvmlite, and forms of numbers.

Everything works on addresses (int64) and vectors of `lanes` 32-bit numbers. A *form* says how weights
and activations are held; it is passed to compiled functions as a value, so that its class, which numba
makes part of the type, picks the code.
"""

from __future__ import annotations

from typing import NamedTuple

from llvmlite import binding, ir
from numba.core import cgutils

binding.initialize_native_asmparser()  # for the one instruction that is written as assembly

I8, I16, I32, I64 = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64)
F16, F32 = ir.HalfType(), ir.FloatType()
ROUND = 12582912.0  # 1.5 * 2^23: adding it leaves the nearest integer in the low bits of a float32
ROUND_BITS = 0x4B400000
# 2^f for |f| <= 1/2: Chebyshev interpolation of degree 6, relative error 1.9e-8
EXP2 = (1.0, 0.69314718, 0.24022651, 0.05550327, 0.00961806, 0.00134004, 0.00015461)


class Float32(NamedTuple):
    """float32 weights and activations: sums run over the columns in order, with fused multiply-add."""

    precision = "float32"
    lanes = 8
    is_integer = False
    columns = 1  # of the matrix, taken in one step
    weight_bytes = 4


class Float16(Float32):
    """float16 weights, widened as they are loaded; float32 activations."""

    precision = "float16"
    weight_bytes = 2


class Int8(Float32):
    """int8 weights, two rows to a 16-bit lane; int16 activations; exact int32 sums."""

    precision = "int8"
    is_integer = True
    columns = 2
    weight_bytes = 1
    pair_product = "llvm.x86.avx2.pmadd.wd"
    adds_products = False


class Int8Wide(Int8):
    """`Int8` in 512-bit vectors."""

    lanes = 16
    pair_product = "llvm.x86.avx512.pmaddw.d.512"


class Int8Vnni(Int8Wide):
    """`Int8Wide` where one instruction, vpdpwssd, multiplies and adds."""

    adds_products = True


def vector(kind: ir.Type, lanes: int) -> ir.VectorType:
    """The type of a vector."""
    return ir.VectorType(kind, lanes)


def constant(kind: ir.VectorType, value: float) -> ir.Constant:
    """A vector of one number."""
    return ir.Constant(kind, [value] * kind.count)


def offset(b: ir.IRBuilder, address, count) -> ir.Value:
    """address + count, both or the latter a Python int."""
    if isinstance(count, int):
        return address if count == 0 else b.add(address, ir.Constant(I64, count))
    return b.add(address, count)


def element(b: ir.IRBuilder, address, index, size: int) -> ir.Value:
    """The address of an element of so many bytes."""
    return b.add(address, b.mul(index, ir.Constant(I64, size)))


def load(b: ir.IRBuilder, kind: ir.Type, address, at=0, align: int = 4) -> ir.Value:
    """What lies at address + at bytes."""
    return b.load(b.inttoptr(offset(b, address, at), kind.as_pointer()), align=align)


def store(b: ir.IRBuilder, value, address, at=0, align: int = 4) -> None:
    """Write to address + at bytes."""
    b.store(value, b.inttoptr(offset(b, address, at), value.type.as_pointer()), align=align)


def splat(b: ir.IRBuilder, scalar, lanes: int) -> ir.Value:
    """One number in every lane."""
    kind = vector(scalar.type, lanes)
    undefined = ir.Constant(kind, ir.Undefined)
    first = b.insert_element(undefined, scalar, ir.Constant(I32, 0))
    return b.shuffle_vector(first, undefined, constant(vector(I32, lanes), 0))


def call(b: ir.IRBuilder, name: str, result: ir.Type, *arguments) -> ir.Value:
    """Call an LLVM intrinsic."""
    kind = ir.FunctionType(result, [a.type for a in arguments])
    return b.call(cgutils.get_or_insert_function(b.module, kind, name), arguments)


def fma(b: ir.IRBuilder, x, y, z) -> ir.Value:
    """x * y + z, rounded once."""
    return call(b, f"llvm.fma.v{x.type.count}f32", x.type, x, y, z)


def maximum(b: ir.IRBuilder, x, y) -> ir.Value:
    """The larger of each lane."""
    return b.select(b.fcmp_ordered(">", x, y), x, y)


def minimum(b: ir.IRBuilder, x, y) -> ir.Value:
    """The smaller of each lane."""
    return b.select(b.fcmp_ordered("<", x, y), x, y)


def fold(b: ir.IRBuilder, x, combine) -> ir.Value:
    """Reduce a vector to a scalar by halves."""
    lanes = x.type.count
    while lanes > 1:
        lanes //= 2
        undefined = ir.Constant(x.type, ir.Undefined)
        low, high = (
            b.shuffle_vector(x, undefined, ir.Constant(vector(I32, lanes), list(range(first, first + lanes))))
            for first in (0, lanes)
        )
        x = combine(low, high)
    return b.extract_element(x, ir.Constant(I32, 0))


def exp2(b: ir.IRBuilder, x) -> ir.Value:
    """2^x, x held within -126..60; relative error below 1e-7."""
    kind, bits = x.type, vector(I32, x.type.count)
    x = minimum(b, maximum(b, x, constant(kind, -126.0)), constant(kind, 60.0))
    shifted = b.fadd(x, constant(kind, ROUND))
    fraction = b.fsub(x, b.fsub(shifted, constant(kind, ROUND)))
    c = [constant(kind, value) for value in EXP2]
    square = b.fmul(fraction, fraction)  # Estrin's scheme: fewer steps one after another than Horner's
    low = fma(b, fma(b, c[3], fraction, c[2]), square, fma(b, c[1], fraction, c[0]))
    high = fma(b, c[6], square, fma(b, c[5], fraction, c[4]))
    power = fma(b, high, b.fmul(square, square), low)
    exponent = b.shl(b.bitcast(shifted, bits), constant(bits, 23))
    return b.bitcast(b.add(b.bitcast(power, bits), exponent), kind)


def nearest(b: ir.IRBuilder, x, scale) -> ir.Value:
    """x * scale rounded to the nearest integer, as int32 with ROUND_BITS added; below 2^22 in size."""
    return b.bitcast(fma(b, x, scale, constant(x.type, ROUND)), vector(I32, x.type.count))


def multiply_add(b: ir.IRBuilder, form: type[Float32], total, weights, activations) -> ir.Value:
    """total + weights * activations; for the integer forms over pairs of int16."""
    if not form.is_integer:
        return fma(b, weights, activations, total)
    if form.adds_products:
        # As assembly, since LLVM takes its own intrinsic apart again where it believes latency to matter most.
        kind = ir.FunctionType(total.type, [total.type, weights.type, activations.type])
        return b.asm(kind, "vpdpwssd $3, $2, $0", "=v,0,v,v", (total, weights, activations), False)
    return b.add(total, call(b, form.pair_product, total.type, weights, activations))


def broadcast(b: ir.IRBuilder, form: type[Float32], address) -> ir.Value:
    """The activations of one step, a float32 or a pair of int16, in every lane."""
    if form.is_integer:
        return b.bitcast(splat(b, load(b, I32, address), form.lanes), vector(I16, 2 * form.lanes))
    return splat(b, load(b, F32, address), form.lanes)


def load_weights(b: ir.IRBuilder, form: type[Float32], address, at: int) -> tuple[ir.Value, ir.Value]:
    """One step's weights of a group of 2 * lanes rows: those of the low rows, and of the high ones.

    In an integer form a 16-bit lane holds 256 * high + (low + 128): the low rows' sum comes out of the
    lane as it is, less 256 times the high rows' sum and 128 times that of the activations.
    """
    lanes = form.lanes
    if form.is_integer:
        kind = vector(I16, 2 * lanes)
        both = load(b, kind, address, at, align=4 * lanes)
        return both, b.ashr(both, constant(kind, 8))
    size = lanes * form.weight_bytes
    kind = vector(F16 if form.weight_bytes == 2 else F32, lanes)
    pair = [load(b, kind, address, at + half * size, align=size) for half in (0, 1)]
    if form.weight_bytes == 2:
        pair = [b.fpext(half, vector(F32, lanes)) for half in pair]
    return pair[0], pair[1]
