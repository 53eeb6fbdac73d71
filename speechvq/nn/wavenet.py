"""The WaveNet decoder, for training: all samples of a crop at once.

Activations are kept as [B, T, channels], so that every product over all samples is
one matrix product.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from speechvq.config import DecoderConfig, PriorConfig
from speechvq.nn.conv import ResidualStack
from speechvq.nn.layers import gated_layers

CLASSES = 256
SILENCE = CLASSES // 2


class WaveNet(nn.Module):
    """Gated residual layers that say what class comes next (van den Oord et al. 2016); subclasses say what the gates are told.

    Args:
        config: sizes.
        classes: A.
    """

    def __init__(self, config: DecoderConfig | PriorConfig, classes: int):
        super().__init__()
        L, R, S, A = config.layers, config.residual, config.skip, classes
        self.config = config
        self.embedding = nn.Parameter(_cosines(A, R))
        self.gate = nn.Parameter(torch.randn(L, config.kernel, 2 * R, R) / math.sqrt(config.kernel * R))
        self.residual = nn.Parameter(torch.randn(max(L - 1, 0), R, R) / math.sqrt(R))
        self.residual_bias = nn.Parameter(torch.zeros(max(L - 1, 0), R))
        self.skip = nn.Parameter(torch.randn(L, S, R) / math.sqrt(L * R / 4))
        self.skip_bias = nn.Parameter(torch.zeros(S))
        self.hidden = nn.Linear(S, S)
        self.output = nn.Linear(S, A)

    @property
    def matrices(self) -> list[Tensor]:
        """The weights that are products' matrices, or stacks of them."""
        return [self.gate, self.residual, self.skip, self.hidden.weight]

    def skips(self, previous: Tensor, told: Tensor, hidden_share: float = 0.0) -> Tensor:
        """The sum over the layers.

        Args:
            previous: [B, T] the class before each position.
            told: [B, N, L, 2R] conditioning, each frame for T / N positions.
            hidden_share: of the positions, which are not read (Bowman et al. 2016's word dropout).

        Returns:
            [B, T, S].
        """
        x = F.embedding(previous, self.embedding)
        if hidden_share:
            x = x * (torch.rand(previous.shape, device=x.device) >= hidden_share)[..., None]
        z = gated_layers(x, told, self.gate, self.residual, self.residual_bias, self.config.dilations)
        return F.linear(z.flatten(2), torch.cat(self.skip.unbind(0), dim=-1), self.skip_bias)

    def weights(self, hop_length: int) -> dict[str, np.ndarray]:
        """Plain arrays for the engines; docs/engine.md names the shapes."""
        named = {
            "embedding": self.embedding,
            "gate": self.gate,
            "residual": self.residual,
            "residual_bias": self.residual_bias,
            "skip": self.skip,
            "skip_bias": self.skip_bias,
            "hidden": self.hidden.weight,
            "hidden_bias": self.hidden.bias,
            "output": self.output.weight,
            "output_bias": self.output.bias,
        }
        arrays = {name: value.detach().float().cpu().numpy() for name, value in named.items()}
        return arrays | {"dilations": np.array(self.config.dilations, np.int64), "hop_length": np.int64(hop_length)}


class WaveNetDecoder(WaveNet):
    """A WaveNet over mu-law classes, told the units and the speaker (van den Oord et al. 2016; 2017, section 4.3).

    Args:
        config: sizes.
        code_dim: D of the units' vectors.
        hop_length: samples per unit.
    """

    def __init__(self, config: DecoderConfig, code_dim: int, hop_length: int):
        conditioner = Conditioner(config, code_dim)  # first, as it always drew its random numbers first
        super().__init__(config, CLASSES)
        self.hop_length = hop_length
        self.conditioner = conditioner
        with torch.no_grad():
            # Classes are loud-ness steps, not names: neighbours begin with like logits.
            self.output.weight.copy_(_cosines(CLASSES, config.skip) @ torch.diag(1 / (1 + torch.arange(config.skip))) / math.sqrt(config.skip))

    def condition(self, quantized: Tensor, speaker: Tensor) -> Tensor:
        """What every layer's gate is told, at frame rate.

        Args:
            quantized: [B, D, N] units' vectors.
            speaker: [B, E] speaker vectors.

        Returns:
            [B, L, 2R, N]; a sample takes its frame's column.
        """
        return self.conditioner.gates(self.conditioner(quantized, speaker))

    def forward(self, samples: Tensor, conditioning: Tensor) -> Tensor:
        """Logits of each sample, given those before it.

        Args:
            samples: [B, T] mu-law classes; T a multiple of the hop length.
            conditioning: [B, L, 2R, N].

        Returns:
            [B, A, T]; position t sees samples before t.
        """
        # The one place where "before t" happens: position t reads sample t - 1, the first one reads silence.
        previous = F.pad(samples[:, :-1], (1, 0), value=SILENCE)
        skip = self.skips(previous, conditioning.permute(0, 3, 1, 2))
        return self.output(F.relu(self.hidden(F.relu(skip)))).transpose(1, 2)


class Conditioner(nn.Module):
    """Non-causal dilated layers at frame rate that read units and speaker together.

    Args:
        config: sizes.
        code_dim: D.
    """

    def __init__(self, config: DecoderConfig, code_dim: int):
        super().__init__()
        self.shape = (config.layers, 2 * config.residual)
        self.enter = nn.Conv1d(code_dim + config.speaker_dim, config.condition_channels, 1)
        self.stack = ResidualStack(config.condition_channels, config.condition_layers, config.condition_layers)
        self.leave = nn.Conv1d(config.condition_channels, config.layers * 2 * config.residual, 1)
        nn.init.normal_(self.leave.weight, std=0.5 / math.sqrt(config.condition_channels))

    @property
    def look_ahead(self) -> int:
        """Frames to either side that a conditioning frame depends on."""
        return self.stack.look_ahead

    def forward(self, quantized: Tensor, speaker: Tensor) -> Tensor:
        """[B, D, N] and [B, E] -> [B, C, N]."""
        told = speaker[:, :, None].expand(-1, -1, quantized.shape[-1])
        return self.stack(self.enter(torch.cat([quantized, told], dim=1)))

    def gates(self, frames: Tensor) -> Tensor:
        """[B, C, N] -> [B, L, 2R, N]."""
        return self.leave(frames).unflatten(1, self.shape)


def _cosines(classes: int, channels: int) -> Tensor:
    # Slow to fast cosines over the classes: neighbours in loudness begin as neighbours, which random rows must learn.
    position = (torch.arange(classes) + 0.5) / classes
    return torch.cos(math.pi * position[:, None] * torch.arange(channels)[None])
