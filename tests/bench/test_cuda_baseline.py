"""The PyTorch step that the GPU is compared with computes what the reference computes."""

import numpy as np
import pytest
import torch

from speechvq.bench.cuda_baseline import CachedStep, GraphStep
from speechvq.engine.reference import ReferenceEngine
from speechvq.engine.weights import random_weights
from speechvq.errors import BackendUnavailable


@pytest.mark.parametrize("kernel_size", [2, 3])
def test_step_equals_the_reference(kernel_size):
    weights = random_weights(num_layers=5, residual_channels=12, kernel_size=kernel_size, dilation_cycle=3, hop_length=4)
    conditioning = 0.5 * np.random.default_rng(1).standard_normal((2, 5, 24, 8)).astype(np.float32)
    step = CachedStep.of(weights, conditioning, torch.float32, "cpu")
    drawn, logits = [], []
    for _ in range(32):
        step()
        drawn.append(step.previous.numpy().copy())
        logits.append(step.logits.numpy().copy())
    engine = ReferenceEngine(weights)
    state = engine.start(2, 0)
    engine.push(state, conditioning)
    scores = engine.score(state, np.stack(drawn, axis=1))
    given = torch.log_softmax(torch.from_numpy(np.stack(logits, axis=1)), -1).numpy()
    np.testing.assert_allclose(given, scores, atol=1e-4)
    assert len(np.unique(drawn)) > 10


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu():
    with pytest.raises(BackendUnavailable, match="no GPU"):
        GraphStep(random_weights(), np.zeros((1, 4, 32, 1), np.float32))
