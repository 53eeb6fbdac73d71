"""The laws that every engine obeys, one body for all backends and precisions.

A test module of a backend says which engines it has, and calls `check_*` for each; see test_laws_cpu.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from speechvq.engine.base import Engine
from speechvq.engine.philox import uniform
from speechvq.engine.reference import ReferenceEngine, cumulative
from speechvq.engine.weights import DecoderWeights, random_weights
from speechvq.errors import InputError, NeedConditioning

MakeEngine = Callable[[DecoderWeights], Engine]


@dataclass(frozen=True)
class Shape:
    """Sizes of a decoder to try, and of what it decodes."""

    name: str
    weights: dict
    batch: int = 2
    frames: int = 5


SHAPES = [
    Shape("small", dict(num_layers=4, residual_channels=16, skip_channels=32, hop_length=16)),
    Shape("odd", dict(num_layers=3, residual_channels=13, skip_channels=27, num_classes=50, hop_length=7), batch=3),
    Shape("kernel3", dict(num_layers=5, residual_channels=24, skip_channels=40, kernel_size=3, dilation_cycle=3, hop_length=20)),
    Shape("one_layer", dict(num_layers=1, residual_channels=32, skip_channels=16, hop_length=30), batch=1),
    Shape("deep", dict(num_layers=20, residual_channels=32, skip_channels=128, dilation_cycle=7, hop_length=64), batch=1, frames=4),
    Shape("many_streams", dict(num_layers=4, residual_channels=20, skip_channels=16, num_classes=300, hop_length=10), batch=11),
]


@dataclass(frozen=True)
class Tolerance:
    """How far an engine may be from the reference.

    Args:
        log_probability: largest difference of a log-probability.
        tap: largest difference of an intermediate value, relative to that tap's largest magnitude.
        boundary: how far u must be from a class boundary for the drawn class to be the same.
    """

    log_probability: float
    tap: float
    boundary: float


TOLERANCES = {
    "float64": Tolerance(1e-6, 1e-6, 1e-6),
    "float32": Tolerance(1e-4, 1e-5, 1e-4),
    "float16": Tolerance(0.05, 0.005, 0.02),
    "tensor16": Tolerance(0.05, 0.005, 0.02),
    "int8": Tolerance(0.6, 0.1, 0.12),
}


def conditioning_for(weights: DecoderWeights, batch: int, frames: int, seed: int = 1) -> np.ndarray:
    """Random conditioning [B, L, 2R, n]."""
    shape = (batch, weights.num_layers, 2 * weights.residual_channels, frames)
    return (0.5 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


class Case:
    """An engine, the reference, and the same conditioning for both."""

    def __init__(self, make: MakeEngine, shape: Shape):
        self.weights = random_weights(**shape.weights)
        self.engine, self.reference = make(self.weights), ReferenceEngine(self.weights)
        self.tolerance = TOLERANCES[self.engine.precision]
        self.batch, self.seeds = shape.batch, [2**63 + 7 * b for b in range(shape.batch)]
        self.conditioning = conditioning_for(self.weights, shape.batch, shape.frames)
        self.num_samples = shape.frames * self.weights.hop_length

    def start(self, engine: Engine, rows: slice = slice(None), **options):
        state = engine.start(len(self.seeds[rows]), self.seeds[rows], **options)
        engine.push(state, self.conditioning[rows])
        return state

    def classes(self, seed: int = 3) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, self.weights.num_classes, (self.batch, self.num_samples))


def check_score_equals_the_reference(make: MakeEngine, shape: Shape) -> None:
    case = Case(make, shape)
    classes = case.classes()
    expected = case.reference.score(case.start(case.reference), classes)
    given = case.engine.score(case.start(case.engine), classes)
    assert given.dtype == np.float32 and given.shape == expected.shape
    np.testing.assert_allclose(np.exp(given.astype(np.float64)).sum(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(given, expected, atol=case.tolerance.log_probability, rtol=0)


def check_taps_equal_the_reference(make: MakeEngine, shape: Shape) -> None:
    case = Case(make, shape)
    classes = case.classes()
    state, truth = case.start(case.engine), case.start(case.reference)
    for upto in (1, 2, case.num_samples - 3):  # history empty, one deep, and as deep as it gets
        for engine, streams in ((case.engine, state), (case.reference, truth)):
            engine.score(streams, classes[:, streams.position : streams.position + upto])
        given, expected = case.engine.taps(state), case.reference.taps(truth)
        assert {"gated", "skip", "logits"} <= set(given)
        for name in given:
            values, truths = given[name], expected[name]
            if name == "logits":  # softmax does not see what all of them share, so an engine may leave it out
                values, truths = (logits - logits.mean(-1, keepdims=True) for logits in (values, truths))
            scale = np.abs(truths).max()
            np.testing.assert_allclose(values, truths, atol=case.tolerance.tap * scale, rtol=0, err_msg=name)


def check_drawn_classes_follow_the_reference(make: MakeEngine, shape: Shape, temperature: float, top_p: float) -> None:
    case = Case(make, shape)
    drawn = case.engine.generate(case.start(case.engine, temperature=temperature, top_p=top_p), case.num_samples)
    assert drawn.dtype == case.weights.sample_dtype and drawn.shape == (case.batch, case.num_samples)
    log_probabilities = case.reference.score(case.start(case.reference), drawn).astype(np.float64)
    sure = 0
    for b in range(case.batch):
        u = uniform(np.uint64(case.seeds[b]), np.arange(case.num_samples))
        agree, clear = _agreement(log_probabilities[b], u, drawn[b], temperature, top_p, case.tolerance)
        assert agree[clear].all(), f"row {b}, first at {np.flatnonzero(clear & ~agree)[0]}"
        sure += clear.sum()
    assert sure > 0.5 * drawn.size or case.tolerance.boundary > 0.01


def _agreement(log_probabilities, u, drawn, temperature, top_p, tolerance):
    """Which draws equal the reference's, and which are clear of every boundary, that of the nucleus too."""
    bounds = cumulative(log_probabilities, temperature, top_p)
    agree = (bounds > u[:, None]).argmax(-1) == drawn
    clear = np.abs(bounds - u[:, None]).min(-1) > tolerance.boundary
    if top_p < 1:  # a nucleus a little larger or smaller must give the same distribution
        for other in (max(top_p - tolerance.boundary, 1e-6), min(top_p + tolerance.boundary, 1)):
            clear &= np.abs(cumulative(log_probabilities, temperature, other) - bounds).max(-1) < tolerance.boundary
    return agree, clear


def check_greedy_takes_the_likeliest(make: MakeEngine, shape: Shape) -> None:
    case = Case(make, shape)
    drawn = case.engine.generate(case.start(case.engine, temperature=0), case.num_samples)
    scores = case.engine.score(case.start(case.engine), drawn)
    taken = np.take_along_axis(scores, drawn[..., None].astype(np.int64), -1)[..., 0]
    np.testing.assert_allclose(taken, scores.max(-1), atol=1e-5)


def check_pieces_equal_the_whole(make: MakeEngine, shape: Shape) -> None:
    case = Case(make, shape)
    whole = case.engine.generate(case.start(case.engine), case.num_samples)
    state = case.engine.start(case.batch, case.seeds)
    pieces, sizes = [], [1, 0, 2, 5, 1, 11]
    hop = case.weights.hop_length
    while state.position < case.num_samples:
        n = min(sizes[len(pieces) % len(sizes)], case.num_samples - state.position)
        while case.engine.available(state) < n:
            frame = (state.position + case.engine.available(state)) // hop
            case.engine.push(state, case.conditioning[..., frame : frame + 1])
        pieces.append(case.engine.generate(state, n))
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), whole)
    assert len(state.frames) <= 3  # used frames are let go
    classes = case.classes()
    scores, state = case.engine.score(case.start(case.engine), classes), case.start(case.engine)
    for cut in np.array_split(classes, 4, axis=1):
        part = case.engine.score(state, cut)
        np.testing.assert_array_equal(part, scores[:, state.position - cut.shape[1] : state.position])


def check_rows_are_independent(make: MakeEngine, shape: Shape) -> None:
    case = Case(make, shape)
    together = case.engine.generate(case.start(case.engine), case.num_samples)
    classes = case.classes()
    scores = case.engine.score(case.start(case.engine), classes)
    for b in range(case.batch):
        row = slice(b, b + 1)
        alone = case.engine.generate(case.start(case.engine, row), case.num_samples)
        np.testing.assert_array_equal(alone[0], together[b])
        np.testing.assert_array_equal(case.engine.score(case.start(case.engine, row), classes[row])[0], scores[b])


def check_scoring_its_own_samples_leaves_the_same_state(make: MakeEngine, shape: Shape) -> None:
    case = Case(make, shape)
    half = case.num_samples // 2
    state = case.start(case.engine)
    first = case.engine.generate(state, half)
    second = case.engine.generate(state, case.num_samples - half)
    forced = case.start(case.engine)
    case.engine.score(forced, first)
    np.testing.assert_array_equal(case.engine.generate(forced, case.num_samples - half), second)


def check_misuse_is_refused(make: MakeEngine) -> None:
    case = Case(make, SHAPES[0])
    state = case.start(case.engine)
    with pytest.raises(NeedConditioning):
        case.engine.generate(state, case.num_samples + 1)
    assert state.position == 0
    assert case.engine.generate(state, 0).shape == (case.batch, 0)
    with pytest.raises(InputError):
        case.engine.push(state, case.conditioning[:1])
    with pytest.raises(InputError):
        case.engine.push(state, np.full_like(case.conditioning, np.nan))
    with pytest.raises(InputError):
        case.engine.score(state, np.full((case.batch, 1), case.weights.num_classes))
    for wrong in (dict(temperature=-1.0), dict(top_p=0.0), dict(top_p=1.5), dict(temperature=np.nan)):
        with pytest.raises(InputError):
            case.engine.start(1, 0, **wrong)
    with pytest.raises(InputError):
        case.engine.start(2, [1])
