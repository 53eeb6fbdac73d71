"""The CUDA backend on a real GPU; skipped without one. For the memory and race checkers of the CUDA toolkit:

    compute-sanitizer --tool memcheck  python -m pytest tests/engine/test_cuda_gpu.py -k short
    compute-sanitizer --tool racecheck python -m pytest tests/engine/test_cuda_gpu.py -k short
"""

from __future__ import annotations

import laws
import numpy as np
import pytest
from emulator.emulator import COMPILER, NO_COMPILER, Emulator

from speechvq.engine.cuda import CudaEngine
from speechvq.engine.reference import ReferenceEngine
from speechvq.engine.weights import random_weights
from speechvq.errors import BackendUnavailable

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module", autouse=True)
def gpu():
    from speechvq.engine.cuda_driver import CudaDriver

    try:
        return CudaDriver()
    except BackendUnavailable as error:
        pytest.skip(str(error))


PRECISIONS = ("float32", "float16", "tensor16")
over_precisions = pytest.mark.parametrize("precision", PRECISIONS)
over_shapes = pytest.mark.parametrize("shape", laws.SHAPES, ids=lambda shape: shape.name)
LAWS = [
    laws.check_score_equals_the_reference,
    laws.check_taps_equal_the_reference,
    laws.check_greedy_takes_the_likeliest,
    laws.check_pieces_equal_the_whole,
    laws.check_rows_are_independent,
    laws.check_scoring_its_own_samples_leaves_the_same_state,
]


@over_precisions
@over_shapes
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_law(law, precision, shape):
    law(lambda weights: CudaEngine(weights, precision), shape)


@over_precisions
@over_shapes
@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 1.0), (1.0, 0.6)])
def test_drawn_classes_follow_the_reference(precision, shape, temperature, top_p):
    laws.check_drawn_classes_follow_the_reference(lambda weights: CudaEngine(weights, precision), shape, temperature, top_p)


def generate(engine, batch: int, frames: int, seed: int = 0) -> np.ndarray:
    state = engine.start(batch, seed)
    engine.push(state, laws.conditioning_for(engine.weights, batch, frames))
    return engine.generate(state, frames * engine.weights.hop_length)


@over_precisions
def test_short(precision):
    """Two clusters, a few dozen samples: small enough for the checkers."""
    weights = random_weights(hop_length=16)
    assert generate(CudaEngine(weights, precision), 2, 2).shape == (2, 32)


@pytest.mark.skipif(not COMPILER, reason=NO_COMPILER)
@pytest.mark.parametrize("sizes", [dict(num_layers=4), dict(num_layers=5, residual_channels=24, kernel_size=3)])
def test_float32_has_the_bits_of_the_emulator(gpu, sizes):
    weights = random_weights(hop_length=8, **sizes)
    scores = []
    for launcher in (gpu, Emulator(device=gpu.device)):
        engine = CudaEngine(weights, "float32", launcher)
        state = engine.start(2, 0)
        engine.push(state, laws.conditioning_for(weights, 2, 2))
        scores.append(engine.score(state, np.random.default_rng(0).integers(0, 256, (2, 16))))
    np.testing.assert_array_equal(scores[0], scores[1])


@over_precisions
def test_long_run(precision):
    """Ten seconds of size B, the same when repeated, and each row what it is alone."""
    weights = random_weights(num_layers=20, residual_channels=64, skip_channels=256)
    engine = CudaEngine(weights, precision)
    first = generate(engine, 4, 2500)
    np.testing.assert_array_equal(generate(engine, 4, 2500), first)
    assert len(np.unique(first)) > 100


@over_precisions
def test_a_thousand_streams(precision):
    """Every stream is decoded, and a sample of them follows the reference."""
    weights = random_weights(num_layers=6, residual_channels=32, skip_channels=64, hop_length=16)
    engine = CudaEngine(weights, precision)
    drawn = generate(engine, 1000, 2)
    conditioning = laws.conditioning_for(weights, 1000, 2)
    state = engine.start(1000, 0)
    engine.push(state, conditioning)
    scores = engine.score(state, drawn)
    for row in (0, 1, 499, 999):
        reference = ReferenceEngine(weights)
        truth = reference.start(1, [row])
        reference.push(truth, conditioning[row : row + 1])
        expected = reference.score(truth, drawn[row : row + 1])[0]
        np.testing.assert_allclose(scores[row], expected, atol=laws.TOLERANCES[precision].log_probability)
    assert len({row.tobytes() for row in drawn}) == 1000


@pytest.mark.parametrize("compiled", [False, True])
def test_pytorch_in_a_cuda_graph(compiled):
    """The baseline of the benchmark runs."""
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this build of PyTorch sees no GPU")
    from speechvq.bench.cuda_baseline import GraphStep

    weights = random_weights(num_layers=4)
    GraphStep(weights, laws.conditioning_for(weights, 1, 4), compiled=compiled).generate(100)
