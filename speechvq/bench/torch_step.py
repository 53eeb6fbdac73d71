"""What a PyTorch user would do on a processor: a cached WaveNet step in a loop, eager and in TorchScript."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from speechvq.engine import DecoderWeights


def step(
    code: Tensor,
    rings: list[Tensor],
    time: int,
    frame: Tensor,
    dilations: list[int],
    embedding: Tensor,
    gates: list[Tensor],
    mixes: list[Tensor],
    mix_biases: list[Tensor],
    skip_bias: Tensor,
    hidden: Tensor,
    hidden_bias: Tensor,
    output: Tensor,
    output_bias: Tensor,
) -> Tensor:
    """Logits [B, A] from the previous samples [B], conditioning [L, B, 2R], and each layer's ring [slots, B, R]."""
    x = embedding[code]
    R = x.size(1)
    skip = skip_bias.expand(x.size(0), -1)
    for layer in range(len(dilations)):
        ring = rings[layer]
        slots = ring.size(0)
        ring[time % slots].copy_(x)
        past = gates[layer].size(0) // R - 1
        inputs = [ring[(time - (past - tap) * dilations[layer]) % slots] for tap in range(past)]
        a = torch.addmm(frame[layer], torch.cat(inputs + [x], 1), gates[layer])
        mixed = torch.addmm(mix_biases[layer], torch.tanh(a[:, :R]) * torch.sigmoid(a[:, R:]), mixes[layer])
        x = x + mixed[:, :R]
        skip = skip + mixed[:, R:]
    top = torch.relu(torch.addmm(hidden_bias, torch.relu(skip), hidden))
    return torch.addmm(output_bias, top, output)


class TorchStep:
    """A decoder as a cached PyTorch step; `generate` continues where it stopped.

    Args:
        weights: the decoder's weights.
        conditioning: float32 [B, L, 2R, n], taken again from its beginning when it ends.
        scripted: compile the step with TorchScript.
    """

    def __init__(self, weights: DecoderWeights, conditioning: np.ndarray, scripted: bool = False):
        w, last = weights, weights.num_layers - 1
        matrix = [np.concatenate(list(w.gate[layer]), axis=1) for layer in range(w.num_layers)]
        nothing = np.zeros((w.residual_channels, w.residual_channels), np.float32)
        residual = [*w.residual, nothing]
        bias = [*w.residual_bias, nothing[0]]
        self._parts = (
            torch.from_numpy(w.embedding),
            [torch.from_numpy(m.T.copy()) for m in matrix],
            [torch.from_numpy(np.concatenate([residual[k], w.skip[k]]).T.copy()) for k in range(last + 1)],
            [torch.from_numpy(np.concatenate([bias[k], np.zeros(w.skip_channels, np.float32)])) for k in range(last + 1)],
            *(torch.from_numpy(v) for v in (w.skip_bias, w.hidden.T.copy(), w.hidden_bias, w.output.T.copy(), w.output_bias)),
        )
        batch = len(conditioning)
        self._dilations = [int(d) for d in w.dilations]
        self._rings = [torch.zeros((w.kernel_size - 1) * d + 1, batch, w.residual_channels) for d in self._dilations]
        self._frames = torch.from_numpy(np.ascontiguousarray(np.moveaxis(conditioning, (3, 1), (0, 1))))
        self._hop_length, self._time = w.hop_length, 0
        self._code = torch.full((batch,), w.num_classes // 2)
        self._step = torch.jit.script(step) if scripted else step

    @torch.no_grad()
    def generate(self, n: int) -> np.ndarray:
        """Draw n samples [B, n]."""
        drawn = []
        for _ in range(n):
            self._code = torch.multinomial(torch.softmax(self._next(), 1), 1)[:, 0]
            drawn.append(self._code)
        return torch.stack(drawn, 1).numpy()

    @torch.no_grad()
    def score(self, classes: np.ndarray) -> np.ndarray:
        """Log-probabilities [B, n, A] of given classes [B, n]."""
        scores = []
        for t in range(classes.shape[1]):
            scores.append(torch.log_softmax(self._next(), 1))
            self._code = torch.from_numpy(classes[:, t].astype(np.int64))
        return torch.stack(scores, 1).numpy()

    def _next(self) -> Tensor:
        frame = self._frames[self._time // self._hop_length % len(self._frames)]
        logits = self._step(self._code, self._rings, self._time, frame, self._dilations, *self._parts)
        self._time += 1
        return logits
