"""The engine laws on the processor's engines, and on the reference itself."""

from __future__ import annotations

import laws
import pytest

from speechvq.engine import simd
from speechvq.engine.cpu_fused import FusedEngine
from speechvq.engine.cpu_plain import PlainEngine
from speechvq.engine.reference import ReferenceEngine

ENGINES = {
    "reference": ReferenceEngine,
    "plain": lambda weights: PlainEngine(weights, threads=2),
    "float32": lambda weights: FusedEngine(weights, simd.Float32, threads=1),
    "float16": lambda weights: FusedEngine(weights, simd.Float16, threads=2),
    "int8": lambda weights: FusedEngine(weights, simd.Int8, threads=2),
    "int8_one_thread": lambda weights: FusedEngine(weights, simd.Int8, threads=1),
}

over_engines = pytest.mark.parametrize("make", ENGINES.values(), ids=ENGINES)
over_shapes = pytest.mark.parametrize("shape", laws.SHAPES, ids=lambda shape: shape.name)


@over_engines
@over_shapes
def test_score_equals_the_reference(make, shape):
    laws.check_score_equals_the_reference(make, shape)


@over_engines
@over_shapes
def test_taps_equal_the_reference(make, shape):
    laws.check_taps_equal_the_reference(make, shape)


@over_engines
@over_shapes
@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 1.0), (1.0, 0.6)])
def test_drawn_classes_follow_the_reference(make, shape, temperature, top_p):
    laws.check_drawn_classes_follow_the_reference(make, shape, temperature, top_p)


@over_engines
@over_shapes
def test_greedy_takes_the_likeliest(make, shape):
    laws.check_greedy_takes_the_likeliest(make, shape)


@over_engines
@over_shapes
def test_pieces_equal_the_whole(make, shape):
    laws.check_pieces_equal_the_whole(make, shape)


@over_engines
@over_shapes
def test_rows_are_independent(make, shape):
    laws.check_rows_are_independent(make, shape)


@over_engines
@over_shapes
def test_scoring_its_own_samples_leaves_the_same_state(make, shape):
    laws.check_scoring_its_own_samples_leaves_the_same_state(make, shape)


@over_engines
def test_misuse_is_refused(make):
    laws.check_misuse_is_refused(make)
