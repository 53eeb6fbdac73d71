"""The engine laws on the CUDA kernel's own source, run by the host emulator behind the real engine."""

from __future__ import annotations

import laws
import pytest
from emulator.emulator import COMPILER, NO_COMPILER, EmulatorEngine

pytestmark = pytest.mark.skipif(not COMPILER, reason=NO_COMPILER)


CASES = {
    "block": ("small", dict(blocks=1, resident=0)),
    "cluster": ("odd", dict(blocks=4, folded=True, resident=3)),
    "streams": ("small", dict(blocks=2, streams=2, resident=1)),
    "kernel3": ("kernel3", dict(blocks=2, resident=1)),
    "layer": ("one_layer", dict(blocks=2, folded=True)),
    "half": ("small", dict(blocks=2, folded=True, precision="float16")),
    "tensor": ("many_streams", dict(blocks=1, streams=8, resident=0, precision="tensor16")),
}
SHAPES = {shape.name: shape for shape in laws.SHAPES}
SLOW = ("block", "streams", "layer", "half")


def case(name: str):
    shape, options = CASES[name]
    marks = pytest.mark.slow if name in SLOW else ()
    return pytest.param(lambda weights: EmulatorEngine(weights, **options), SHAPES[shape], marks=marks, id=name)


over_cases = pytest.mark.parametrize(("make", "shape"), [case(name) for name in CASES])


@over_cases
def test_score_equals_the_reference(make, shape):
    laws.check_score_equals_the_reference(make, shape)


@over_cases
def test_taps_equal_the_reference(make, shape):
    laws.check_taps_equal_the_reference(make, shape)


@over_cases
@pytest.mark.parametrize(("temperature", "top_p"), [(0.7, 1.0), (1.0, 0.6)])
def test_drawn_classes_follow_the_reference(make, shape, temperature, top_p):
    laws.check_drawn_classes_follow_the_reference(make, shape, temperature, top_p)


@over_cases
def test_greedy_takes_the_likeliest(make, shape):
    laws.check_greedy_takes_the_likeliest(make, shape)


@over_cases
def test_pieces_equal_the_whole(make, shape):
    laws.check_pieces_equal_the_whole(make, shape)


@over_cases
def test_rows_are_independent(make, shape):
    laws.check_rows_are_independent(make, shape)


@over_cases
def test_scoring_its_own_samples_leaves_the_same_state(make, shape):
    laws.check_scoring_its_own_samples_leaves_the_same_state(make, shape)


def test_misuse_is_refused():
    laws.check_misuse_is_refused(lambda weights: EmulatorEngine(weights, blocks=1, resident=0))
