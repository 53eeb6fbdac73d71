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
LINE = 64  # bytes that cores move together
ROUND = 12582912.0  # 1.5 * 2^23: adding it leaves the nearest integer in the low bits of a float32
# 2^f for |f| <= 1/2: Chebyshev interpolation of degree 6, relative error 1.9e-8
EXP2 = (1.0, 0.69314718, 0.24022651, 0.05550327, 0.00961806, 0.00134004, 0.00015461)

# tanh(x) for |x| <= TANH_END as x (1 + n0 x^2 + n1 x^4) / (1 + d0 x^2 + d1 x^4): least squares of high powers, error below 8e-5
TANH_END, TANH_NUMERATOR, TANH_DENOMINATOR = 5.2, (0.10204059, 0.00065746623), (0.43507361, 0.012695729)


class Float32(NamedTuple):
    """float32 weights and activations: sums run over the columns in order, with fused multiply-add."""

    precision = "float32"
    lanes = 8
    is_integer = False
    columns = 1  # of the matrix, taken in one step
    weight_bytes = 4
    activation_bytes = 4
    fused_product = None  # the instruction that multiplies and adds integers, where there is one
    ahead_bytes = 0  # behind a panel that are asked for while its sums are worked on: where products outrun memory


class Float16(Float32):
    """float16 weights, widened as they are loaded; float32 activations."""

    precision = "float16"
    weight_bytes = 2


class Int16(Float32):
    """16-bit weights and activations, exact int32 sums: how the integer forms hold the output matrix."""

    precision = "int16"
    is_integer = True
    columns = 2
    weight_bytes = 2
    activation_bytes = 2
    word_product = "llvm.x86.avx2.pmadd.wd"


class Int8(Int16):
    """8-bit weights and activations, exact int32 sums: weights are such that four products fit into 16 bits."""

    precision = "int8"
    columns = 8
    weight_bytes = 1
    activation_bytes = 1
    byte_product = "llvm.x86.avx2.pmadd.ub.sw"
    output = Int16


class Int16Wide(Int16):
    """`Int16` in 512-bit vectors."""

    lanes = 16
    word_product = "llvm.x86.avx512.pmaddw.d.512"


class Int8Wide(Int8):
    """`Int8` in 512-bit vectors."""

    lanes = 16
    word_product = Int16Wide.word_product
    byte_product = "llvm.x86.avx512.pmaddubs.w.512"
    output = Int16Wide


class Int16Vnni(Int16Wide):
    """`Int16Wide` where one instruction multiplies and adds."""

    fused_product = "vpdpwssd"


class Int8Vnni(Int8Wide):
    """`Int8Wide` where one instruction multiplies and adds."""

    fused_product = "vpdpbusd"
    ahead_bytes = 4096
    output = Int16Vnni


def output_form(form: type[Float32]) -> type[Float32]:
    """How a form holds the output matrix."""
    return getattr(form, "output", form)


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


def prefetch(b: ir.IRBuilder, address, write: bool = False) -> None:
    """Ask for the line of memory at an address; to write, for other cores to give it up."""
    place = b.inttoptr(address, I8.as_pointer())
    arguments = [place, *(ir.Constant(I32, value) for value in (int(write), 3, 1))]
    kind = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
    b.call(cgutils.get_or_insert_function(b.module, kind, "llvm.prefetch.p0"), arguments)


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


def largest(b: ir.IRBuilder, x) -> ir.Value:
    """The largest lane."""
    return fold(b, x, lambda y, z: maximum(b, y, z))


def join(b: ir.IRBuilder, vectors: list[ir.Value]) -> ir.Value:
    """Some vectors, a power of 2, as one: what is done to it is done to all of them in step."""
    while len(vectors) > 1:
        both = range(2 * vectors[0].type.count)
        order = ir.Constant(vector(I32, len(both)), list(both))
        vectors = [b.shuffle_vector(x, y, order) for x, y in zip(vectors[::2], vectors[1::2], strict=True)]
    return vectors[0]


def split(b: ir.IRBuilder, x, pieces: int) -> list[ir.Value]:
    """What `join` joined."""
    lanes = x.type.count // pieces
    undefined = ir.Constant(x.type, ir.Undefined)
    orders = [list(range(first, first + lanes)) for first in range(0, x.type.count, lanes)]
    return [b.shuffle_vector(x, undefined, ir.Constant(vector(I32, lanes), order)) for order in orders]


def clamp(b: ir.IRBuilder, x, low: float, high: float) -> ir.Value:
    """x held within low..high."""
    return minimum(b, maximum(b, x, constant(x.type, low)), constant(x.type, high))


def exp2(b: ir.IRBuilder, x) -> ir.Value:
    """2^x, x held within -126..60; relative error below 1e-7."""
    kind, bits = x.type, vector(I32, x.type.count)
    x = clamp(b, x, -126.0, 60.0)
    shifted = b.fadd(x, constant(kind, ROUND))
    fraction = b.fsub(x, b.fsub(shifted, constant(kind, ROUND)))
    c = [constant(kind, value) for value in EXP2]
    square = b.fmul(fraction, fraction)  # Estrin's scheme: fewer steps one after another than Horner's
    low = fma(b, fma(b, c[3], fraction, c[2]), square, fma(b, c[1], fraction, c[0]))
    high = fma(b, c[6], square, fma(b, c[5], fraction, c[4]))
    power = fma(b, high, b.fmul(square, square), low)
    exponent = b.shl(b.bitcast(shifted, bits), constant(bits, 23))
    return b.bitcast(b.add(b.bitcast(power, bits), exponent), kind)


def tanh_fraction(b: ir.IRBuilder, x) -> tuple[ir.Value, ir.Value]:
    """Numerator and denominator, the latter at least 1, of tanh(x) within 1e-4."""
    x = clamp(b, x, -TANH_END, TANH_END)
    square, one = b.fmul(x, x), constant(x.type, 1.0)

    def polynomial(first: float, second: float):
        return fma(b, fma(b, constant(x.type, second), square, constant(x.type, first)), square, one)

    return b.fmul(x, polynomial(*TANH_NUMERATOR)), polynomial(*TANH_DENOMINATOR)


def nearest(b: ir.IRBuilder, x, scale, zero: int = 0) -> ir.Value:
    """x * scale + zero rounded to the nearest integer, in the low bits of an int32; below 2^22 in size."""
    return b.bitcast(fma(b, x, scale, constant(x.type, ROUND + zero)), vector(I32, x.type.count))


def multiply_add(b: ir.IRBuilder, form: type[Float32], totals: list, weights: list, activations: list) -> list:
    """totals + weights * activations, of one step; a fused form may have a total for each part of it."""
    if not form.is_integer:
        return [fma(b, weights[0], activations[0], *totals)]
    if form.fused_product:
        # As assembly, since LLVM takes its own intrinsic apart again where it believes latency to matter most.
        kind = ir.FunctionType(totals[0].type, [totals[0].type] * 3)
        for part, (w, x) in enumerate(zip(weights, activations, strict=True)):
            total = part % len(totals)
            words = [totals[total]] + [b.bitcast(each, totals[total].type) for each in (x, w)]
            totals[total] = b.asm(kind, f"{form.fused_product} $3, $2, $0", "=v,0,v,v", words, False)
        return totals
    if form.weight_bytes == 2:
        return [b.add(*totals, call(b, form.word_product, totals[0].type, weights[0], activations[0]))]
    words = vector(I16, 2 * form.lanes)
    pairs = [call(b, form.byte_product, words, x, w) for w, x in zip(weights, activations, strict=True)]
    return [b.add(*totals, call(b, form.word_product, totals[0].type, b.add(*pairs), constant(words, 1)))]


def parts(form: type[Float32]) -> int:
    """How many vectors hold one step of `lanes` rows."""
    return form.columns * form.weight_bytes // 4 if form.is_integer else 1


def broadcast(b: ir.IRBuilder, form: type[Float32], address) -> list[ir.Value]:
    """The activations of one step, a float32 or each 32 bits of integers, in every lane."""
    if not form.is_integer:
        return [splat(b, load(b, F32, address), form.lanes)]
    words = [splat(b, load(b, I32, address, 4 * part), form.lanes) for part in range(parts(form))]
    return [b.bitcast(word, _integers(form)) for word in words]


def load_weights(b: ir.IRBuilder, form: type[Float32], address, at: int) -> tuple[list[ir.Value], list[ir.Value]]:
    """One step's weights of a group of 2 * lanes rows: those of the low rows, and of the high ones."""
    lanes = form.lanes
    size = 4 * lanes if form.is_integer else lanes * form.weight_bytes
    kind = _integers(form) if form.is_integer else vector(F16 if form.weight_bytes == 2 else F32, lanes)
    loaded = [load(b, kind, address, at + part * size, align=size) for part in range(2 * parts(form))]
    if not form.is_integer and form.weight_bytes == 2:
        loaded = [b.fpext(part, vector(F32, lanes)) for part in loaded]
    return loaded[: parts(form)], loaded[parts(form) :]


def _integers(form: type[Float32]) -> ir.VectorType:
    """A vector of an integer form's weights."""
    return vector(I8 if form.weight_bytes == 1 else I16, 4 * form.lanes // form.weight_bytes)
