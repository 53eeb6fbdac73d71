"""Convolutions that keep frames aligned with the samples they describe."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

KERNEL = 3


class StridedConv(nn.Module):
    """A convolution of window 2 * stride whose output n is centred on input frame n.

    Args:
        channels_in: of the input.
        channels_out: of the output.
        stride: how many input steps make one output step; 1 is a convolution of window 3.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int):
        super().__init__()
        self.stride = stride
        self.window = 2 * stride if stride > 1 else KERNEL
        before = (self.window - stride) // 2
        self.padding = (before, self.window - stride - before)
        self.conv = nn.Conv1d(channels_in, channels_out, self.window, stride)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")
        nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T] -> [B, C', T / stride]."""
        return self.conv(F.pad(x, self.padding))


class ResidualBlock(nn.Module):
    """A normalised, non-causal dilated convolution of window 3, added to its input.

    Args:
        channels: of input and output.
        dilation: distance of the outer taps, in frames.
    """

    def __init__(self, channels: int, dilation: int):
        super().__init__()
        self.dilation = dilation
        self.norm = ChannelNorm(channels)
        self.conv = nn.Conv1d(channels, channels, KERNEL, dilation=dilation, padding=dilation)
        self.mix = nn.Conv1d(channels, channels, 1)
        # Each block begins as the identity, so that depth never hides the input from the layers behind.
        nn.init.zeros_(self.mix.weight)
        nn.init.zeros_(self.mix.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, N] -> [B, C, N]."""
        return x + self.mix(F.relu(self.conv(self.norm(x))))


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of each frame; no frame sees another.

    Args:
        channels: of the input.
        affine: learn a scale and a shift for each channel.
    """

    def __init__(self, channels: int, affine: bool = True):
        super().__init__()
        self.norm = nn.LayerNorm(channels, elementwise_affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, N] -> [B, C, N]."""
        return self.norm(x.transpose(1, 2)).transpose(1, 2)


class ResidualStack(nn.Sequential):
    """Residual blocks whose dilations are powers of two, again and again.

    Args:
        channels: of input and output.
        layers: how many blocks.
        cycle: dilations are 1, 2, ... 2^(cycle - 1), then 1 again.
    """

    def __init__(self, channels: int, layers: int, cycle: int):
        super().__init__(*(ResidualBlock(channels, 2 ** (layer % cycle)) for layer in range(layers)))

    @property
    def look_ahead(self) -> int:
        """Frames to either side that an output depends on."""
        return sum(block.dilation for block in self)


def count_parameters(module: nn.Module) -> int:
    """Number of trained values in a module."""
    return sum(p.numel() for p in module.parameters())
