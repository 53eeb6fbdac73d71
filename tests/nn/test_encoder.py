"""The encoder: its frames lie where they should, and see no further than they say."""

from __future__ import annotations

import pytest
import torch

from speechvq.config import EncoderConfig
from speechvq.nn.encoder import Encoder

STRIDES = {64: (2,) * 6, 128: (2,) * 7, 640: (5, 4, 4, 2, 2, 2), 60: (3, 4, 5)}


def encoder(kind: str, hop: int, normalise: float = 0.0) -> Encoder:
    torch.manual_seed(0)
    config = EncoderConfig(input=kind, strides=STRIDES[hop], channels=32, layers=3, code_dim=8, normalise=normalise)
    made = Encoder(config, 16000).eval()
    for block in made.stack:
        torch.nn.init.normal_(block.mix.weight, std=0.2)  # blocks begin as the identity, which would hide their reach
    return made


@pytest.mark.parametrize("hop", STRIDES)
@pytest.mark.parametrize("kind", ["waveform", "mel", "mfcc"])
def test_one_frame_a_hop(kind, hop):
    made = encoder(kind, hop)
    z = made(torch.randn(2, 1, hop * 12))
    assert z.shape == (2, 8, 12)
    assert made.hop_length == hop
    assert torch.allclose(z.var(1, correction=0), torch.ones(2, 12), atol=1e-2)


@pytest.mark.parametrize("hop", STRIDES)
@pytest.mark.parametrize(("kind", "normalise"), [("waveform", 0), ("mel", 0), ("mfcc", 0), ("waveform", 0.1), ("mel", 0.1)])
def test_look_ahead_bounds_what_a_frame_sees(kind, normalise, hop):
    made = encoder(kind, hop, normalise)
    look, frames = made.look_ahead, 2 * made.look_ahead + 9
    middle = frames // 2
    wav = torch.randn(1, 1, hop * frames, requires_grad=True)
    made(wav)[0, :, middle].pow(2)[:3].sum().backward()
    weight = wav.grad[0, 0].abs().reshape(frames, hop).sum(1)
    touched = (weight > 1e-10 * weight.max()).nonzero()[:, 0]  # running sums round, in float64
    assert middle - look <= touched.min() <= middle <= touched.max() <= middle + look
    # What it sees lies evenly about its own frame.
    assert abs((touched.min() + touched.max()) / 2 - middle) <= 1


def test_loudness_is_heard_through_a_logarithm():
    made = encoder("waveform", 64)
    quiet, loud = torch.randn(1, 640) * 1e-3, torch.randn(1, 640)
    assert made.front(loud).mean() < 100 * made.front(quiet).mean(), "a thousand times the amplitude"
