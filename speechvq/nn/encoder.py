"""The encoder: a waveform in, one vector per unit out."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from speechvq.config import EncoderConfig
from speechvq.nn.conv import ChannelNorm, ResidualStack, StridedConv
from speechvq.nn.features import Cepstra, LogMel, SlidingNorm

LONGEST_FEATURE_HOP = 160
CYCLE = 3


class Encoder(nn.Module):
    """Strided convolutions, compression, then dilated residual layers at frame rate.

    On a waveform the strided layers act as a learned filter bank: rectified, smoothed by
    the strides, and compressed by a logarithm, since speech energies span six decades.

    Args:
        config: sizes, and what the strided layers look at.
        sample_rate: of the waveform, in Hz.
    """

    def __init__(self, config: EncoderConfig, sample_rate: int):
        super().__init__()
        self.hop_length = config.hop_length
        if config.input == "waveform":
            self.front: nn.Module = LearnedFilters(config.strides, config.channels)
            strides, channels = (), config.channels
        else:
            feature_hop, strides = _feature_hop(config.strides)
            kinds = {"mel": (LogMel, 80), "mfcc": (Cepstra, 39)}
            kind, channels = kinds[config.input]
            self.front = kind(sample_rate, feature_hop, warp=config.warp)
        reach = round(config.normalise * sample_rate / self.front.hop_length)
        self.normalise = SlidingNorm(reach) if reach else nn.Identity()
        self.context = reach * self.front.hop_length
        self.strided = nn.ModuleList()
        for stride in strides or (1,):
            self.strided.append(StridedConv(channels, config.channels, stride))
            channels = config.channels
        self.stack = ResidualStack(config.channels, config.layers, CYCLE)
        self.project = nn.Sequential(
            ChannelNorm(config.channels),
            nn.Conv1d(config.channels, config.code_dim, 1),
            # Unit variance in each frame: an encoder whose outputs start tiny falls on one code and stays there.
            ChannelNorm(config.code_dim, affine=False),
        )

    @property
    def look_ahead(self) -> int:
        """Frames to either side that a unit depends on; chunks that overlap by it encode as the whole does."""
        samples, hop = self.front.look_ahead + self.context, self.front.hop_length
        for layer in self.strided:
            samples += max(layer.padding) * hop
            hop *= layer.stride
        return math.ceil(samples / self.hop_length) + self.stack.look_ahead

    @property
    def receptive_field(self) -> int:
        """Samples that one unit depends on, at most."""
        return (2 * self.look_ahead + 1) * self.hop_length

    def forward(self, wav: Tensor) -> Tensor:
        """Encode.

        Args:
            wav: [B, 1, T] in [-1, 1]; T a multiple of the hop length.

        Returns:
            [B, D, N], unit variance over D.
        """
        x = self.normalise(self.front(wav[:, 0]))
        for layer in self.strided:
            x = F.relu(layer(x))
        return self.project(self.stack(x))


class LearnedFilters(nn.Module):
    """The paper's strided convolutions on the waveform, with a logarithm at the end.

    Args:
        strides: of the layers; their product is the hop length.
        channels: of the output; layer i has min(channels, 32 * 2^i).
    """

    def __init__(self, strides: tuple[int, ...], channels: int):
        super().__init__()
        widths = [min(channels, 32 * 2**i) for i in range(len(strides) - 1)] + [channels]
        self.layers = nn.ModuleList(
            StridedConv(before, after, stride) for before, after, stride in zip([1, *widths], widths, strides, strict=False)
        )
        self.log_gain = nn.Parameter(torch.full((channels, 1), 5.0))
        self.hop_length = math.prod(strides)
        self.look_ahead = self.hop_length  # each window reaches half a stride beyond its own, which adds up to less

    def forward(self, wav: Tensor) -> Tensor:
        """[B, T] -> [B, channels, N]."""
        x = wav[:, None]
        for layer in self.layers:
            x = F.relu(layer(x))
        return torch.log1p(self.log_gain.exp() * x)


def _feature_hop(strides: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    # Features come at the longest hop of at most 10 ms that the strides allow; the other strides follow them.
    hop = 1
    for position, stride in enumerate(strides):
        if hop * stride > LONGEST_FEATURE_HOP:
            return hop, strides[position:]
        hop *= stride
    return hop, ()
