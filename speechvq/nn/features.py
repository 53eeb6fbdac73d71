"""Log-mel frames and cepstra whose frame n is centred on samples [n * hop, (n + 1) * hop)."""

from __future__ import annotations

import librosa
import numpy as np
import scipy.fft
import torch
from torch import Tensor, nn
from torch.nn import functional as F

N_FFT = 512
WINDOW_SECONDS = 0.025
FLOOR = 1e-6


class LogMel(nn.Module):
    """Log-mel power of a waveform, scaled to about unit variance.

    Args:
        sample_rate: in Hz.
        hop_length: samples per frame.
        bands: of the Slaney mel scale, from 50 Hz to half the sample rate.
    """

    def __init__(self, sample_rate: int, hop_length: int, bands: int = 80):
        super().__init__()
        self.hop_length = hop_length
        self.look_ahead = (N_FFT - hop_length + 1) // 2
        self.window_length = min(N_FFT, max(hop_length, round(WINDOW_SECONDS * sample_rate)))
        window = torch.hann_window(self.window_length)
        filters = librosa.filters.mel(sr=sample_rate, n_fft=N_FFT, n_mels=bands, fmin=50.0, norm=None)
        self.register_buffer("window", window / window.square().sum().sqrt(), persistent=False)
        self.register_buffer("filters", torch.from_numpy(np.ascontiguousarray(filters.T)), persistent=False)

    def forward(self, wav: Tensor) -> Tensor:
        """[B, T] in [-1, 1] -> [B, bands, T / hop_length]."""
        before = (N_FFT - self.hop_length) // 2
        padded = F.pad(wav, (before, N_FFT - self.hop_length - before))
        spectrum = torch.stft(
            padded, N_FFT, self.hop_length, self.window_length, self.window, center=False, return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()
        mel = power.transpose(1, 2) @ self.filters
        return ((mel + FLOOR).log().transpose(1, 2) + 7.0) / 3.0


class Cepstra(nn.Module):
    """Mel-frequency cepstra with first and second differences over time.

    Args:
        sample_rate: in Hz.
        hop_length: samples per frame.
        count: of cepstra; 3 * count channels come out.
    """

    def __init__(self, sample_rate: int, hop_length: int, count: int = 13):
        super().__init__()
        self.mel = LogMel(sample_rate, hop_length, bands=40)
        # Divided so that the first cepstrum does not drown the others.
        basis = scipy.fft.dct(np.eye(40), norm="ortho")[:, :count] / np.sqrt(10.0)
        self.register_buffer("basis", torch.from_numpy(basis.astype(np.float32)), persistent=False)
        # Slopes over 20 ms to either side, whatever the frame rate, in least-squares form.
        reach = max(1, round(0.02 * sample_rate / hop_length))
        slope = torch.arange(-reach, reach + 1, dtype=torch.float32)
        self.register_buffer("slope", (slope / slope.square().sum() * reach)[None, None], persistent=False)
        self.hop_length = hop_length
        self.look_ahead = self.mel.look_ahead + 2 * reach * hop_length

    def forward(self, wav: Tensor) -> Tensor:
        """[B, T] in [-1, 1] -> [B, 3 * count, T / hop_length]."""
        static = (self.mel(wav).transpose(1, 2) @ self.basis).transpose(1, 2)
        delta = self._difference(static)
        return torch.cat([static, delta, self._difference(delta)], dim=1)

    def _difference(self, x: Tensor) -> Tensor:
        B, C, N = x.shape
        reach = self.slope.shape[-1] // 2
        padded = F.pad(x.reshape(B * C, 1, N), (reach, reach), mode="replicate")
        return F.conv1d(padded, self.slope).reshape(B, C, N)
