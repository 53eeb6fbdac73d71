"""Random filters over a waveform: another microphone, another room, another voice's brilliance."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

ORDERS = 6
LOWEST_HZ, BEND_HZ = 50.0, 700.0
# Of the impulse response to either side, in seconds: the filters are smooth, so theirs are short.
REACH_SECONDS = 0.032


class RandomEqualiser(nn.Module):
    """While training, each signal's spectrum is tilted and bent at random; its loudness and its timing stay.

    The encoder then cannot tell by a recording's balance of highs and lows whose it is, so that this is
    left to the speaker vector. The gain in dB is a sum of cosines over the mel scale, the k-th 1 / k as large.

    Args:
        sample_rate: in Hz.
        decibels: standard deviation of the gain of the first, the tilt; 0 leaves signals as they are.
    """

    def __init__(self, sample_rate: int, decibels: float):
        super().__init__()
        self.decibels = decibels
        self.reach = round(REACH_SECONDS * sample_rate)
        hertz = torch.linspace(0, sample_rate / 2, self.reach + 1)
        low, high = (math.log1p(edge / BEND_HZ) for edge in (LOWEST_HZ, sample_rate / 2))
        place = ((torch.log1p(hertz / BEND_HZ) - low) / (high - low)).clamp(0, 1)
        order = torch.arange(1, ORDERS + 1)[:, None]
        self.register_buffer("curves", torch.cos(torch.pi * order * place) / order, persistent=False)

    def forward(self, wav: Tensor) -> Tensor:
        """[B, T] -> [B, T]."""
        if not (self.training and self.decibels):
            return wav
        amount = torch.randn(len(wav), ORDERS, device=wav.device) * self.decibels
        gain = 10 ** (amount @ self.curves / 20)
        # Zero phase: the response is even, and cut where it has died away.
        response = torch.fft.irfft(gain.to(torch.complex64)).roll(self.reach, dims=1)
        response = response * torch.hann_window(2 * self.reach, device=wav.device)
        size = wav.shape[1] + 2 * self.reach
        spectrum = torch.fft.rfft(wav, size) * torch.fft.rfft(response, size)
        filtered = torch.fft.irfft(spectrum, size)[:, self.reach : self.reach + wav.shape[1]]
        loudness = wav.square().mean(1) / filtered.square().mean(1).clamp(min=1e-12)
        return filtered * loudness.sqrt()[:, None]
