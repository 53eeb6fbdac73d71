"""The engine laws on the processor's engines, and on the reference itself."""

from __future__ import annotations

import laws
import pytest

from speechvq.engine.base import Engine
from speechvq.engine.cpu import available_forms, make_cpu_engine
from speechvq.engine.cpu_plain import PlainEngine
from speechvq.engine.reference import ReferenceEngine
from speechvq.engine.weights import DecoderWeights


def fused(precision: str, threads: int):
    """Makes engines in the best form that this processor runs."""

    def make(weights: DecoderWeights) -> Engine:
        if available_forms() == ("plain",):
            pytest.skip("this processor has no form with vectors")
        return make_cpu_engine(weights, precision, threads)

    return make


ENGINES = [
    pytest.param(ReferenceEngine, id="reference"),
    pytest.param(lambda weights: PlainEngine(weights, threads=2), id="plain"),
    pytest.param(fused("float32", 1), id="float32"),
    pytest.param(fused("float16", 2), id="float16", marks=pytest.mark.slow),  # another eight seconds of compiling
    pytest.param(fused("int8", 2), id="int8"),
    pytest.param(fused("int8", 1), id="int8_one_thread"),
]
over_engines = pytest.mark.parametrize("make", ENGINES)
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
