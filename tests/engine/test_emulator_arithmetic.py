"""The kernel's arithmetic by itself against numpy, and the emulator's float16 against numpy's."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from emulator.emulator import COMPILER, NO_COMPILER, build_path
from scipy.special import expit

from speechvq.engine.cuda_layout import Layout
from speechvq.engine.philox import uniform
from speechvq.engine.weights import random_weights

pytestmark = pytest.mark.skipif(not COMPILER, reason=NO_COMPILER)


@pytest.fixture(scope="module")
def kernel() -> ctypes.CDLL:
    return ctypes.CDLL(str(build_path(Layout.of(random_weights(num_classes=64), blocks=1, threads=64, resident=0))))


def apply(function, dtype, *inputs, scalars=()):
    inputs = [np.ascontiguousarray(values) for values in inputs]
    out = np.zeros(len(inputs[0]), dtype)
    function(*(ctypes.c_void_p(values.ctypes.data) for values in (*inputs, out)), len(out), *scalars)
    return out


def test_exponential(kernel):
    x = np.concatenate([np.linspace(-87, 87, 200_001), np.linspace(-1e-3, 1e-3, 1001)]).astype(np.float32)
    np.testing.assert_allclose(apply(kernel.exponentials, np.float32, x), np.exp(x.astype(np.float64)), rtol=2e-7)
    assert apply(kernel.exponentials, np.float32, np.array([-88, -1e30, -np.inf], np.float32)).tolist() == [0, 0, 0]


def test_gate(kernel):
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((2, 100_000)) * [[3], [5]]).astype(np.float32)
    a[:4], b[:4] = [1e30, -1e30, 0, 30], [1e30, 1e30, -1e30, -200]
    expected = np.tanh(a.astype(np.float64)) * expit(b.astype(np.float64))
    np.testing.assert_allclose(apply(kernel.gates, np.float32, a, b), expected, atol=2e-7)


@pytest.mark.parametrize("seed", [0, 1, 2**63 + 12345, 2**64 - 1])
def test_uniform_numbers(kernel, seed):
    times = np.array([0, 1, 77, 2**31, 2**32 - 1], np.uint32)
    out = np.zeros(5, np.float32)
    kernel.uniforms(ctypes.c_uint64(seed), ctypes.c_void_p(times.ctypes.data), ctypes.c_void_p(out.ctypes.data), 5)
    assert out.tolist() == uniform(np.uint64(seed), times.astype(np.int64)).tolist()


def test_nucleus(kernel):
    p = np.array([0.1, 0.2, 0.3, 0.4] + [0] * 60, np.float32)
    for top_p, kept in ((0.35, [3]), (0.5, [2, 3]), (0.8, [1, 2, 3]), (0.95, [0, 1, 2, 3])):
        given = apply(kernel.nucleus, np.float32, p, scalars=(ctypes.c_float(top_p),))
        np.testing.assert_array_equal(np.flatnonzero(given), kept)
        np.testing.assert_array_equal(given[kept], p[kept])
    equal = np.full(64, 1 / 64, np.float32)
    np.testing.assert_array_equal(apply(kernel.nucleus, np.float32, equal, scalars=(ctypes.c_float(0.1),)), equal)


def test_every_half(kernel):
    halves = np.arange(65536, dtype=np.uint16)
    floats = apply(kernel.halves_to_floats, np.float32, halves)
    np.testing.assert_array_equal(floats, halves.view(np.float16).astype(np.float32))


def test_rounding_to_half(kernel):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2**32, 300_000, dtype=np.uint64).astype(np.uint32).view(np.float32)
    ties = np.arange(0, 2**31, 2**12, dtype=np.uint32).view(np.float32)  # every tie between two halves among them
    x = np.concatenate([x, ties, rng.standard_normal(100_000).astype(np.float32)])
    x = x[np.isfinite(x)]
    with np.errstate(over="ignore"):
        expected = x.astype(np.float16).view(np.uint16)
    np.testing.assert_array_equal(apply(kernel.floats_to_halves, np.uint16, x), expected)
