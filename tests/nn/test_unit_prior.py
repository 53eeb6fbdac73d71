"""The prior's network: what it may see, and that training and engines are one network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from speechvq.config import PriorConfig
from speechvq.engine import DecoderWeights, make_engine
from speechvq.nn.prior import UnitPrior, boundary, to_classes, to_ids


def made(codebook_size: int) -> UnitPrior:
    torch.manual_seed(0)
    prior = UnitPrior(PriorConfig(codebook_size=codebook_size, layers=4, residual=8, skip=12, dilation_cycle=3)).eval()
    with torch.no_grad():
        for parameter in (prior.output.weight, prior.gate_bias):
            parameter.normal_()
    return prior


@pytest.mark.parametrize("codebook_size", [2, 15, 16, 512])
def test_units_and_classes(codebook_size):
    ids = np.arange(codebook_size)
    classes = to_classes(ids, codebook_size)
    assert sorted([*classes, boundary(codebook_size)]) == list(range(codebook_size + 1))
    np.testing.assert_array_equal(to_ids(classes, codebook_size), ids)


def test_no_position_sees_what_follows_it():
    prior, classes = made(16), torch.randint(0, 17, (2, 20))
    before = prior(classes)
    changed = classes.clone()
    changed[:, 11:] = (changed[:, 11:] + 1) % 17
    after = prior(changed)
    torch.testing.assert_close(before[:, :11], after[:, :11])
    assert not torch.allclose(before[:, 11], after[:, 11])


@pytest.mark.parametrize("codebook_size", [15, 300])
def test_a_fresh_engine_begins_an_utterance(codebook_size):
    prior = made(codebook_size)
    classes = np.random.default_rng(0).integers(0, codebook_size + 1, (1, 40))
    with_start = np.concatenate([[[boundary(codebook_size)]], classes], axis=1)
    with torch.no_grad():
        expected = torch.log_softmax(prior(torch.from_numpy(with_start[:, :-1])).double(), -1).numpy()
    engine = make_engine(DecoderWeights.from_arrays(prior.weights(8)), "reference")
    state = engine.start(1, 0)
    engine.push(state, prior.gate_bias.detach().numpy()[None, :, :, None].repeat(5, axis=-1))
    np.testing.assert_allclose(engine.score(state, classes), expected, atol=1e-5)
