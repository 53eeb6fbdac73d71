"""A widened model says what it said, and its twins part as soon as they are trained."""

import sys
from pathlib import Path

import pytest
import torch
from tiny import TINY

from speechvq.config import Config
from speechvq.config_tree import override
from speechvq.model import VQVAE

sys.path.insert(0, str(Path(__file__).parents[2] / "recipes"))

from widen import widened


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = VQVAE(override(Config(), [change for change in TINY if not change.startswith("train.")]), ["a", "b"]).eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def told(model, speaker):
    ids = torch.randint(0, 16, (1, 10), generator=torch.Generator().manual_seed(1))
    return model.condition(ids, model.speaker(speaker))


def test_a_widened_model_says_the_same(model):
    classes = torch.randint(0, 256, (1, 640))
    wide = widened(model)
    assert wide.config.decoder.residual == 2 * model.config.decoder.residual
    with torch.no_grad():
        narrow, broad = (m.decoder(classes, told(m, torch.tensor([1]))) for m in (model, wide))
    assert narrow.std() > 0.1
    torch.testing.assert_close(broad, narrow, atol=1e-4, rtol=1e-4)
    wav = torch.randn(1, 1, 640) * 0.1
    assert torch.equal(wide.encode(wav), model.encode(wav))


def test_twins_are_taught_different_things(model):
    wide = widened(model).train()
    wav = torch.randn(2, 640) * 0.1
    wide(wav, torch.randint(0, 256, (2, 640)), torch.tensor([0, 1])).total.backward()
    for grad in (*wide.decoder.gate.grad.chunk(2, dim=2), wide.decoder.residual.grad):
        one, twin = grad.chunk(2, dim=-2)
        assert (one - twin).abs().max() > 0.1 * one.abs().max()
