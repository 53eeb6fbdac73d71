"""Two threads that follow each other through memory: a counter that one raises and the other waits for."""

from __future__ import annotations

import os

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from speechvq.engine import simd
from speechvq.engine.simd import I32, I64, LINE


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


def _make_prefetch(write: bool):
    @intrinsic
    def prefetch(context, address):
        def emit(context, b, signature, arguments):
            simd.prefetch(b, *arguments, write)
            return context.get_dummy_value()

        return types.void(types.intp), emit

    return prefetch


prefetch_to_read, prefetch_to_write = _make_prefetch(False), _make_prefetch(True)


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
