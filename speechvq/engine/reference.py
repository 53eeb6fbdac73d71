"""The engine to read: float64 numpy, one sample at a time. All others are measured against it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from speechvq.engine.base import Engine, EngineState
from speechvq.engine.philox import uniform
from speechvq.engine.weights import DecoderWeights


@dataclass
class ReferenceState:
    """The past inputs of each layer, newest last, and the latest sample's intermediate values."""

    history: list[np.ndarray]
    taps: dict[str, np.ndarray] = field(default_factory=dict)


class ReferenceEngine(Engine):
    """WaveNet sampling as the equations say it; see `DecoderWeights`.

    Args:
        weights: the decoder's weights.
        precision: `auto` or `float64`, the only one there is.
    """

    backend = "reference"

    def __init__(self, weights: DecoderWeights, precision: str = "auto"):
        super().__init__(weights, "float64")
        as_float64 = {name: getattr(weights, name).astype(np.float64) for name in _FLOAT_FIELDS}
        self._weights = DecoderWeights(**as_float64, dilations=weights.dilations, hop_length=weights.hop_length)

    def _new_state(self, state: EngineState) -> ReferenceState:
        w = self.weights
        spans = (w.kernel_size - 1) * w.dilations + 1
        return ReferenceState([np.zeros((state.batch, span, w.residual_channels)) for span in spans])

    def _pack_frames(self, conditioning: np.ndarray) -> np.ndarray:
        return np.moveaxis(conditioning, -1, 0).astype(np.float64)

    def _run(self, state: EngineState, n: int, forced: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        w = self.weights
        samples = np.zeros((state.batch, n), w.sample_dtype)
        log_probabilities = np.zeros((state.batch, n, w.num_classes))
        previous = state.samples
        for i in range(n):
            t = state.position + i
            conditioning = state.frames[t // w.hop_length - state.first_frame]
            log_probabilities[:, i] = log_softmax(self._step(state.private, previous, conditioning))
            if forced is None:
                u = uniform(state.seeds, t)
                samples[:, i] = draw(log_probabilities[:, i], u, state.temperature, state.top_p)
            else:
                samples[:, i] = forced[:, i]
            previous = samples[:, i]
        return samples, None if forced is None else log_probabilities.astype(np.float32)

    def _step(self, state: ReferenceState, previous: np.ndarray, conditioning: np.ndarray) -> np.ndarray:
        """Logits [B, A] of the next sample, from the previous one [B] and a frame [B, L, 2R]."""
        w = self._weights
        R = w.residual_channels
        x, skip, inputs, gated = w.embedding[previous], w.skip_bias, [], []
        for layer, dilation in enumerate(w.dilations):
            history = state.history[layer] = np.roll(state.history[layer], -1, axis=1)
            history[:, -1] = x
            a = conditioning[:, layer] + np.einsum("kij,bkj->bi", w.gate[layer], history[:, ::dilation])
            z = np.tanh(a[:, :R]) / (1 + np.exp(-a[:, R:]))
            inputs.append(x)
            gated.append(z)
            skip = skip + z @ w.skip[layer].T
            if layer < w.num_layers - 1:
                x = x + z @ w.residual[layer].T + w.residual_bias[layer]
        hidden = np.maximum(np.maximum(skip, 0) @ w.hidden.T + w.hidden_bias, 0)
        logits = hidden @ w.output.T + w.output_bias
        state.taps = {
            "residual": np.stack(inputs, axis=1),
            "gated": np.stack(gated, axis=1),
            "skip": skip,
            "hidden": hidden,
            "logits": logits,
        }
        return logits

    def taps(self, state: EngineState) -> dict[str, np.ndarray]:
        return state.private.taps


_FLOAT_FIELDS = [name for name in DecoderWeights.__dataclass_fields__ if name not in ("dilations", "hop_length")]


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Normalised log-probabilities along the last axis."""
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def cumulative(log_probabilities: np.ndarray, temperature: float, top_p: float) -> np.ndarray:
    """Cumulative distribution that a sample is drawn from.

    Args:
        log_probabilities: [B, A].
        temperature: divides the logits; 0 leaves the likeliest class alone.
        top_p: a class keeps its probability while those likelier than it hold less than this; equals stay together.

    Returns:
        [B, A], rising to 1.
    """
    if temperature == 0:
        p = (log_probabilities == log_probabilities.max(-1, keepdims=True)).astype(np.float64)
    else:
        p = np.exp(log_softmax(log_probabilities / temperature))
    if top_p < 1:
        likelier = (p[:, None, :] > p[:, :, None]) @ p[:, :, None]
        p = np.where(likelier[..., 0] < top_p * p.sum(-1, keepdims=True), p, 0)
    total = np.cumsum(p, axis=-1)
    return total / total[..., -1:]


def draw(log_probabilities: np.ndarray, u: np.ndarray, temperature: float, top_p: float) -> np.ndarray:
    """The smallest class whose cumulative probability is above u.

    Args:
        log_probabilities: [B, A].
        u: [B], in [0, 1).
        temperature: as in `cumulative`.
        top_p: as in `cumulative`.

    Returns:
        Classes [B].
    """
    return (cumulative(log_probabilities, temperature, top_p) > u[:, None]).argmax(-1)
