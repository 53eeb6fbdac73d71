"""The reference against a whole-sequence WaveNet written with convolutions of scipy, and its draws by hand."""

import numpy as np
import pytest
from laws import conditioning_for
from scipy.special import expit, log_softmax

from speechvq.engine import make_engine
from speechvq.engine.reference import ReferenceEngine, cumulative, draw
from speechvq.engine.weights import random_weights


def whole_sequence(weights, classes, conditioning):
    """Log-probabilities [T, A] of one stream, every layer over all time at once."""
    T, K = len(classes), weights.kernel_size
    x = weights.embedding.astype(np.float64)[np.concatenate([[weights.num_classes // 2], classes[:-1]])]
    skip = np.tile(weights.skip_bias.astype(np.float64), (T, 1))
    for layer, d in enumerate(weights.dilations):
        a = np.repeat(conditioning[layer].T, weights.hop_length, axis=0)[:T].astype(np.float64)
        for tap in range(K):
            lag = (K - 1 - tap) * d
            a[lag:] += x[: max(T - lag, 0)] @ weights.gate[layer, tap].T
        z = np.tanh(a[:, : weights.residual_channels]) * expit(a[:, weights.residual_channels :])
        skip += z @ weights.skip[layer].T
        if layer < weights.num_layers - 1:
            x = x + z @ weights.residual[layer].T + weights.residual_bias[layer]
    hidden = np.maximum(np.maximum(skip, 0) @ weights.hidden.T + weights.hidden_bias, 0)
    return log_softmax(hidden @ weights.output.T + weights.output_bias, axis=-1)


@pytest.mark.parametrize("kernel_size", [2, 3])
def test_step_by_step_equals_the_whole_sequence(kernel_size):
    weights = random_weights(num_layers=6, residual_channels=10, skip_channels=14, kernel_size=kernel_size, dilation_cycle=4)
    engine, conditioning = ReferenceEngine(weights), conditioning_for(weights, 2, 2)
    classes = np.random.default_rng(0).integers(0, 256, (2, 128))
    state = engine.start(2, 0)
    engine.push(state, conditioning)
    scores = engine.score(state, classes)
    for b in range(2):
        np.testing.assert_allclose(scores[b], whole_sequence(weights, classes[b], conditioning[b]), atol=2e-6)


def test_draw_takes_the_smallest_class_above_u():
    p = np.log(np.array([[0.1, 0.2, 0.3, 0.4]] * 4))
    u = np.array([0.0, 0.11, 0.59, 0.61])
    assert draw(p, u, 1.0, 1.0).tolist() == [0, 1, 2, 3]
    assert draw(p, u, 0.0, 1.0).tolist() == [3, 3, 3, 3]


def test_temperature_and_nucleus_by_hand():
    p = np.log(np.array([[0.1, 0.2, 0.3, 0.4]]))
    np.testing.assert_allclose(cumulative(p, 0.5, 1.0)[0], np.cumsum([0.01, 0.04, 0.09, 0.16]) / 0.3)
    np.testing.assert_allclose(cumulative(p, 1.0, 0.69)[0], [0, 0, 3 / 7, 1])  # 0.4 + 0.3 reach it: two classes
    np.testing.assert_allclose(cumulative(p, 1.0, 0.75)[0], [0, 2 / 9, 5 / 9, 1])
    equal = np.log(np.full((1, 4), 0.25))
    np.testing.assert_allclose(cumulative(equal, 1.0, 0.3)[0], [0.25, 0.5, 0.75, 1])  # equals stay together


def test_long_run_frequencies_are_the_distribution():
    p = np.log(np.array([[0.5, 0.25, 0.25]]))
    u = np.random.default_rng(0).random(20000)
    counts = np.bincount(draw(np.repeat(p, 20000, 0), u, 1.0, 1.0), minlength=3) / 20000
    np.testing.assert_allclose(counts, [0.5, 0.25, 0.25], atol=0.01)


def test_make_engine_gives_the_reference():
    assert make_engine(random_weights(), backend="reference").precision == "float64"
