"""What a PyTorch user would do on a GPU: a cached WaveNet step, replayed from a CUDA graph, eager and compiled.

`speechvq bench decode --backends cuda` runs it beside the engine, with the same weights and conditioning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from speechvq.engine import DecoderWeights
from speechvq.errors import BackendUnavailable

WARM_UP = 3  # runs of a step before its capture, as PyTorch asks for


@dataclass
class CachedStep:
    """One sample of B streams as a PyTorch program: weights joined to few large products, all state in place.

    Args:
        gate: [L, K R, 2R], taps oldest first.
        mix: [L, R, R + S], the residual's and the skip's weights beside each other.
        mix_bias: [L, R + S].
        embedding, hidden, hidden_bias, output, output_bias: as the decoder's, matrices transposed.
        frames: [N, L, B, 2R] conditioning; sample t takes frame t // hop_length, modulo N.
        rings: for each layer its past inputs [slots, B, R].
        previous: [B], the sample before.
        position: a counter of samples on the device.
        logits: [B, A] of the latest sample.
        dilations: of the layers.
        hop_length: samples of a frame.
    """

    gate: torch.Tensor
    mix: torch.Tensor
    mix_bias: torch.Tensor
    embedding: torch.Tensor
    hidden: torch.Tensor
    hidden_bias: torch.Tensor
    output: torch.Tensor
    output_bias: torch.Tensor
    frames: torch.Tensor
    rings: list[torch.Tensor]
    previous: torch.Tensor
    position: torch.Tensor
    logits: torch.Tensor
    dilations: tuple[int, ...]
    hop_length: int

    @classmethod
    def of(cls, weights: DecoderWeights, conditioning: np.ndarray, dtype: torch.dtype, device: str) -> CachedStep:
        """The step of a decoder.

        Args:
            weights: the decoder's.
            conditioning: float32 [B, L, 2R, N], used again and again.
            dtype: of weights and activations.
            device: `cuda`, or `cpu` to test it.
        """
        L, K, R = weights.num_layers, weights.kernel_size, weights.residual_channels
        batch = len(conditioning)
        residual = np.concatenate([weights.residual, np.zeros((1, R, R), np.float32)])
        residual_bias = np.concatenate([weights.residual_bias, np.zeros((1, R), np.float32)])
        skip_bias = np.zeros((L, weights.skip_channels), np.float32)
        skip_bias[0] = weights.skip_bias

        def tensor(array: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(device, dtype)

        return cls(
            gate=tensor(weights.gate.transpose(0, 1, 3, 2).reshape(L, K * R, 2 * R)),
            mix=tensor(np.concatenate([residual, weights.skip], axis=1).transpose(0, 2, 1)),
            mix_bias=tensor(np.concatenate([residual_bias, skip_bias], axis=1)),
            embedding=tensor(weights.embedding),
            hidden=tensor(weights.hidden.T),
            hidden_bias=tensor(weights.hidden_bias),
            output=tensor(weights.output.T),
            output_bias=tensor(weights.output_bias),
            frames=tensor(conditioning.transpose(3, 1, 0, 2)),
            rings=[torch.zeros((K - 1) * int(d), batch, R, device=device, dtype=dtype) for d in weights.dilations],
            previous=torch.full((batch,), weights.num_classes // 2, device=device),
            position=torch.zeros(1, dtype=torch.long, device=device),
            logits=torch.zeros(batch, weights.num_classes, device=device, dtype=dtype),
            dilations=tuple(int(d) for d in weights.dilations),
            hop_length=weights.hop_length,
        )

    def __call__(self) -> None:
        """Draw one sample of each stream."""
        frame = self.frames.index_select(0, self.position // self.hop_length % len(self.frames))[0]
        x, skip = self.embedding[self.previous], 0
        channels = x.shape[1]
        for layer, (ring, dilation) in enumerate(zip(self.rings, self.dilations, strict=True)):
            slots = len(ring)
            # slot t % slots holds the oldest input; those after it follow a dilation apart
            taps = [ring.index_select(0, (self.position + lag) % slots)[0] for lag in range(0, slots, dilation)]
            a = torch.addmm(frame[layer], torch.cat([*taps, x], dim=1), self.gate[layer])
            z = torch.tanh(a[:, :channels]) * torch.sigmoid(a[:, channels:])
            ring.index_copy_(0, self.position % slots, x[None])
            out = torch.addmm(self.mix_bias[layer], z, self.mix[layer])
            x, skip = x + out[:, :channels], skip + out[:, channels:]
        hidden = torch.relu(torch.addmm(self.hidden_bias, torch.relu(skip), self.hidden))
        self.logits.copy_(torch.addmm(self.output_bias, hidden, self.output))
        # The largest of logits less the log of an exponential draw is a draw from the softmax, without a host's help.
        self.previous.copy_((self.logits.float() - torch.empty_like(self.logits, dtype=torch.float32).exponential_().log()).argmax(1))
        self.position.add_(1)


class GraphStep:
    """A CachedStep on the GPU, recorded once as a CUDA graph and replayed for every sample.

    Args:
        weights: the decoder's.
        conditioning: float32 [B, L, 2R, N].
        precision: `float16` or `float32`, of weights and activations.
        compiled: by torch.compile before it is recorded.

    Raises:
        BackendUnavailable: PyTorch sees no GPU.
    """

    @torch.inference_mode()
    def __init__(self, weights: DecoderWeights, conditioning: np.ndarray, precision: str = "float16", compiled: bool = False):
        if not torch.cuda.is_available():
            raise BackendUnavailable("PyTorch sees no GPU: there is nothing to compare the cuda backend with")
        self._state = CachedStep.of(weights, conditioning, getattr(torch, precision), "cuda")
        step = torch.compile(self._state.__call__, fullgraph=True) if compiled else self._state
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                step()
        torch.cuda.synchronize()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            step()

    def generate(self, n: int) -> None:
        """Draw n samples of each stream, and wait for the last."""
        for _ in range(n):
            self._graph.replay()
        torch.cuda.synchronize()
