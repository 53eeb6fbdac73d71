"""Log-mel frames and cepstra whose frame n is centred on samples [n * hop, (n + 1) * hop), and their normalisation."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

N_FFT = 512
LOWEST_HZ = 50.0
WINDOW_SECONDS = 0.025
FLOOR = 1e-6
VARIANCE_FLOOR = 1e-2
# Stretches of the frequency axis that training draws from, on either side of none.
WARPS = 4


def mel_centres(sample_rate: int, bands: int) -> np.ndarray:
    """The middle of LogMel's bands in Hz, [bands]."""
    return _mel_edges(sample_rate, bands)[1:-1]


def mel_filters(sample_rate: int, bands: int) -> np.ndarray:
    """Triangles [bands, bins] of height 1 over the bins of a spectrum, each from one neighbour's middle to the other's.

    These are librosa's without its norm. It takes two seconds to import, which who waits for speech would wait longer.
    """
    edges = _mel_edges(sample_rate, bands)
    bins = np.linspace(0, sample_rate / 2, N_FFT // 2 + 1)
    rise = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    return np.maximum(0.0, np.minimum(rise, fall))


def _mel_edges(sample_rate: int, bands: int) -> np.ndarray:
    # Slaney 1998, Auditory Toolbox: linear below 1 kHz, 27 bands to a factor of 6.4 above.
    step, bend, factor = 200 / 3, 1000.0, np.log(6.4) / 27
    last = bend / step + np.log(sample_rate / 2 / bend) / factor
    mel = np.linspace(LOWEST_HZ / step, last, bands + 2)
    return np.where(mel < bend / step, mel * step, bend * np.exp(factor * (mel - bend / step)))


class LogMel(nn.Module):
    """Log-mel power of a waveform, scaled to about unit variance.

    Args:
        sample_rate: in Hz.
        hop_length: samples per frame.
        bands: of the Slaney mel scale, from 50 Hz to half the sample rate.
        warp: while training, each signal's frequencies are stretched by up to this share, as if by another speaker
            (vocal tract length perturbation, Jaitly and Hinton 2013).
    """

    def __init__(self, sample_rate: int, hop_length: int, bands: int = 80, warp: float = 0.0):
        super().__init__()
        self.hop_length = hop_length
        self.look_ahead = (N_FFT - hop_length + 1) // 2
        self.window_length = min(N_FFT, max(hop_length, round(WINDOW_SECONDS * sample_rate)))
        window = torch.hann_window(self.window_length)
        self.register_buffer("window", window / window.square().sum().sqrt(), persistent=False)
        self.register_buffer("filters", torch.from_numpy(mel_filters(sample_rate, bands).T.astype(np.float32)), persistent=False)
        self.warp = warp
        if warp:
            stretches = 1 + warp * np.linspace(-1, 1, 2 * WARPS + 1)
            warped = torch.stack([self.filters.T @ _stretching(stretch) for stretch in stretches])
            self.register_buffer("warped", warped.transpose(1, 2).contiguous(), persistent=False)

    def forward(self, wav: Tensor) -> Tensor:
        """[B, T] in [-1, 1] -> [B, bands, T / hop_length]."""
        before = (N_FFT - self.hop_length) // 2
        padded = F.pad(wav, (before, N_FFT - self.hop_length - before))
        spectrum = torch.stft(
            padded, N_FFT, self.hop_length, self.window_length, self.window, center=False, return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()
        filters = self.filters
        if self.training and self.warp:
            filters = self.warped[torch.randint(len(self.warped), (len(wav),), device=wav.device)]
        mel = power.transpose(1, 2) @ filters
        return ((mel + FLOOR).log().transpose(1, 2) + 7.0) / 3.0


class Cepstra(nn.Module):
    """Mel-frequency cepstra with first and second differences over time.

    Args:
        sample_rate: in Hz.
        hop_length: samples per frame.
        count: of cepstra; 3 * count channels come out.
        warp: as of LogMel.
    """

    def __init__(self, sample_rate: int, hop_length: int, count: int = 13, warp: float = 0.0):
        import scipy.fft

        super().__init__()
        self.mel = LogMel(sample_rate, hop_length, bands=40, warp=warp)
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


class SlidingNorm(nn.Module):
    """Mean and deviation of each channel taken away, over the frames around.

    What stays the same for seconds is the speaker and the room, not what is said. A window
    that slides, where others take the whole utterance, leaves long recordings to be encoded in pieces.

    Args:
        reach: frames to either side; fewer where the signal ends.
    """

    def __init__(self, reach: int):
        super().__init__()
        self.reach = reach

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, N] -> [B, C, N]."""
        frame = torch.arange(x.shape[-1], device=x.device)
        first, last = (frame - self.reach).clamp(min=0), (frame + self.reach + 1).clamp(max=len(frame))

        def around(values: Tensor) -> Tensor:
            sums = F.pad(values.cumsum(-1), (1, 0))
            return (sums[..., last] - sums[..., first]) / (last - first)

        exact = x.double()  # long running sums
        mean = around(exact)
        variance = (around(exact.square()) - mean.square()).clamp(min=0)
        return ((exact - mean) / (variance + VARIANCE_FLOOR).sqrt()).to(x.dtype)


def _stretching(stretch: float) -> Tensor:
    # Row k interpolates a spectrum at bin k * stretch; beyond a bend below the end, the line leads to the end.
    bins = N_FFT // 2
    k = np.arange(bins + 1.0)
    bend = 0.8 * bins / max(stretch, 1.0)
    position = np.where(k < bend, k * stretch, bins - (bins - bend * stretch) * (bins - k) / (bins - bend))
    low = np.minimum(position.astype(int), bins - 1)
    rows = np.zeros((bins + 1, bins + 1), np.float32)
    rows[np.arange(bins + 1), low] = 1 - (position - low)
    rows[np.arange(bins + 1), low + 1] = position - low
    return torch.from_numpy(rows)
