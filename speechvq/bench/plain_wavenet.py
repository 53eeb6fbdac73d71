"""The WaveNet as it is usually written: one Conv1d for each product, channels before time."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from speechvq.nn.wavenet import SILENCE, WaveNetDecoder


class PlainWaveNet(nn.Module):
    """The same network as a decoder, on a copy of its weights.

    Args:
        decoder: to copy.
    """

    def __init__(self, decoder: WaveNetDecoder):
        super().__init__()
        config = decoder.config
        R, S, K = config.residual, config.skip, config.kernel
        self.hop_length = decoder.hop_length
        self.embedding = nn.Embedding.from_pretrained(decoder.embedding.detach().clone(), freeze=False)
        self.gates = nn.ModuleList(nn.Conv1d(R, 2 * R, K, dilation=dilation, bias=False) for dilation in config.dilations)
        self.residuals = nn.ModuleList(nn.Conv1d(R, R, 1) for _ in config.dilations[1:])
        self.skips = nn.ModuleList(nn.Conv1d(R, S, 1, bias=False) for _ in config.dilations)
        self.skip_bias = nn.Parameter(decoder.skip_bias.detach().clone())
        self.hidden, self.output = nn.Conv1d(S, S, 1), nn.Conv1d(S, len(decoder.embedding), 1)
        self.to(decoder.embedding.device)
        with torch.no_grad():
            for conv, weight in zip(self.gates, decoder.gate, strict=True):
                conv.weight.copy_(weight.permute(1, 2, 0))
            for conv, weight, bias in zip(self.residuals, decoder.residual, decoder.residual_bias, strict=True):
                conv.weight.copy_(weight[..., None])
                conv.bias.copy_(bias)
            for conv, weight in zip(self.skips, decoder.skip, strict=True):
                conv.weight.copy_(weight[..., None])
            for conv, linear in ((self.hidden, decoder.hidden), (self.output, decoder.output)):
                conv.weight.copy_(linear.weight[..., None])
                conv.bias.copy_(linear.bias)

    def forward(self, samples: Tensor, conditioning: Tensor) -> Tensor:
        """Logits [B, A, T] of samples [B, T], given conditioning [B, L, 2R, N]."""
        x = self.embedding(F.pad(samples[:, :-1], (1, 0), value=SILENCE)).transpose(1, 2)
        told = conditioning.repeat_interleave(self.hop_length, dim=-1)
        skip = self.skip_bias[:, None]
        for layer, gate in enumerate(self.gates):
            reach = gate.dilation[0] * (gate.kernel_size[0] - 1)
            a, b = (gate(F.pad(x, (reach, 0))) + told[:, layer]).chunk(2, dim=1)
            z = torch.tanh(a) * torch.sigmoid(b)
            skip = skip + self.skips[layer](z)
            if layer < len(self.residuals):
                x = x + self.residuals[layer](z)
        return self.output(F.relu(self.hidden(F.relu(skip))))
