"""Two threads that follow each other through memory: a counter that one raises and the other waits for."""

from __future__ import annotations

import os

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from speechvq.engine.simd import I8, I32, I64

LINE = 64  # bytes that cores move together

@intrinsic
def load_acquire(context, address):
    """The counter, and with it all that was written before it was raised."""

    def emit(context, b, signature, arguments):
        return b.load_atomic(b.inttoptr(arguments[0], I64.as_pointer()), "acquire", 8)

    return types.int64(types.intp), emit


@intrinsic
def store_release(context, address, value):
    """Raise the counter, after all that was written before."""

    def emit(context, b, signature, arguments):
        address, value = arguments
        b.store_atomic(value, b.inttoptr(address, I64.as_pointer()), "release", 8)
        return context.get_dummy_value()

    return types.void(types.intp, types.int64), emit


@intrinsic
def pause(context):
    """Tell an x86 core that this is a waiting loop."""

    def emit(context, b, signature, arguments):
        b.call(cgutils.get_or_insert_function(b.module, ir.FunctionType(ir.VoidType(), []), "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), emit


@intrinsic
def give_way(context):
    """Offer the core to another thread, where the system has a call for it."""

    def emit(context, b, signature, arguments):
        if hasattr(os, "sched_yield"):
            b.call(cgutils.get_or_insert_function(b.module, ir.FunctionType(I32, []), "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), emit


def _make_prefetch(write: int):
    @intrinsic
    def prefetch(context, address):
        def emit(context, b, signature, arguments):
            place = b.inttoptr(arguments[0], I8.as_pointer())
            kind = ir.FunctionType(ir.VoidType(), [place.type, I32, I32, I32])
            function = cgutils.get_or_insert_function(b.module, kind, "llvm.prefetch.p0")
            b.call(function, [place, ir.Constant(I32, write), ir.Constant(I32, 3), ir.Constant(I32, 1)])
            return context.get_dummy_value()

        return types.void(types.intp), emit

    return prefetch


prefetch_to_read, prefetch_to_write = _make_prefetch(0), _make_prefetch(1)


@njit(nogil=True)
def fetch_to_read(address, size):
    """Ask for some memory in advance."""
    for line in range(0, size, LINE):
        prefetch_to_read(address + line)


@njit(nogil=True)
def fetch_to_write(address, size):
    """Ask for some memory in advance, and for other cores to give it up."""
    for line in range(0, size, LINE):
        prefetch_to_write(address + line)
