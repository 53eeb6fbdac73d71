"""The random equaliser: it colours, and leaves loudness, timing and the trained model alone."""

import numpy as np
import pytest
import torch

from speechvq.config import EncoderConfig
from speechvq.nn.encoder import Encoder
from speechvq.nn.equaliser import RandomEqualiser

RATE = 16000


def equalised(wav: torch.Tensor, decibels: float = 8.0) -> torch.Tensor:
    torch.manual_seed(3)
    return RandomEqualiser(RATE, decibels).train()(wav)


def test_the_tilt_has_the_spread_that_was_asked_for():
    wav = torch.zeros(2000, 2048)
    wav[:, 1024] = 1.0
    spectrum = torch.fft.rfft(equalised(wav)).abs()
    # From 1 to 6 kHz, where cosines of all orders are smooth against the 64 ms of the response.
    low, high = spectrum[:, 128], spectrum[:, 768]
    place = np.log1p(np.array([1000, 6000]) / 700) - np.log1p(50 / 700)
    place /= np.log1p(8000 / 700) - np.log1p(50 / 700)
    order = np.arange(1, 7)
    difference = (np.cos(np.pi * order * place[0]) - np.cos(np.pi * order * place[1])) / order
    by_hand = 8.0 * np.sqrt((difference**2).sum())
    assert (20 * torch.log10(low / high)).std().item() == pytest.approx(by_hand, rel=0.05)


def test_loudness_and_timing_stay():
    wav = torch.randn(8, 4096, generator=torch.Generator().manual_seed(0))
    heard = equalised(wav)
    assert heard.shape == wav.shape
    torch.testing.assert_close(heard.square().mean(1), wav.square().mean(1))
    across = torch.fft.irfft(torch.fft.rfft(heard) * torch.fft.rfft(wav).conj())
    assert (across.argmax(1) == 0).all()
    assert (heard - wav).square().mean() > 0.05 * wav.square().mean()


def test_only_training_hears_it():
    made = Encoder(EncoderConfig(channels=16, layers=1, code_dim=8, equalise=8.0), RATE)
    plain = Encoder(EncoderConfig(channels=16, layers=1, code_dim=8), RATE)
    plain.load_state_dict(made.state_dict())  # a model directory is the same with and without
    wav = torch.randn(1, 1, 1280) * 0.1
    assert torch.equal(made.eval()(wav), plain.eval()(wav))
    assert not torch.allclose(made.train()(wav), plain.train()(wav), atol=1e-3)
