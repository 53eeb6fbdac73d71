"""The training form of the WaveNet against the engine's float64 reference, and its causality."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from speechvq.config import DecoderConfig
from speechvq.engine import DecoderWeights, make_engine
from speechvq.nn.wavenet import WaveNetDecoder

HOP, D = 8, 5


def decoder(kernel: int = 2, layers: int = 5, condition_layers: int = 2) -> WaveNetDecoder:
    torch.manual_seed(0)
    config = DecoderConfig(
        layers=layers, residual=6, skip=10, kernel=kernel, dilation_cycle=3, condition_channels=7, condition_layers=condition_layers, speaker_dim=4
    )
    made = WaveNetDecoder(config, D, HOP).eval()
    for name, value in made.named_parameters():
        if "bias" in name:
            torch.nn.init.normal_(value, std=0.3)
    return made


@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.parametrize("layers", [1, 5])
def test_training_and_engine_are_one_network(kernel, layers):
    made = decoder(kernel, layers)
    samples = torch.randint(0, 256, (2, 9 * HOP))
    with torch.no_grad():
        conditioning = made.condition(torch.randn(2, D, 9), torch.randn(2, 4))
        expected = torch.log_softmax(made(samples, conditioning).double(), dim=1).transpose(1, 2).numpy()
    engine = make_engine(DecoderWeights.from_arrays(made.weights(HOP)), "reference")
    state = engine.start(2, [0, 1])
    engine.push(state, conditioning.numpy())
    scored = engine.score(state, samples.numpy().astype(np.uint8))
    np.testing.assert_allclose(scored, expected, atol=2e-5)


def test_a_position_sees_samples_before_it_only():
    made = decoder()
    samples = torch.randint(0, 256, (1, 6 * HOP))
    conditioning = torch.randn(1, 5, 12, 6)
    changed = samples.clone()
    changed[0, 20] = (changed[0, 20] + 100) % 256
    with torch.no_grad():
        difference = (made(samples, conditioning) - made(changed, conditioning)).abs().sum(1)[0]
    assert (difference[:21] == 0).all()
    assert difference[21] > 0


def test_a_frame_reaches_its_own_samples_and_later_ones():
    made = decoder()
    samples = torch.randint(0, 256, (1, 6 * HOP))
    conditioning = torch.randn(1, 5, 12, 6)
    changed = conditioning.clone()
    changed[..., 3] += 1.0
    with torch.no_grad():
        difference = (made(samples, conditioning) - made(samples, changed)).abs().sum(1)[0]
    assert (difference[: 3 * HOP] == 0).all()
    assert difference[3 * HOP] > 0


def test_conditioning_looks_no_further_than_it_says():
    made = decoder(condition_layers=3)
    for block in made.conditioner.stack:
        torch.nn.init.normal_(block.mix.weight, std=0.2)
    look = made.conditioner.look_ahead
    frames = 2 * look + 5
    quantized = torch.randn(1, D, frames, requires_grad=True)
    made.condition(quantized, torch.randn(1, 4))[..., frames // 2].pow(2).sum().backward()
    touched = quantized.grad[0].abs().sum(0).nonzero()[:, 0]
    assert (touched.min(), touched.max()) == (frames // 2 - look, frames // 2 + look)
