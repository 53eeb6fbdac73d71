"""Plain numba loops in float32: what runs on any processor, and what the panels are compared with."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numba import njit

from speechvq.engine.base import Engine, EngineState
from speechvq.engine.cpu_compile import announced, cached, sources_digest
from speechvq.engine.cpu_draw import keep_nucleus, pick, sharpness, uniform_at
from speechvq.engine.weights import DecoderWeights


class PlainWeights(NamedTuple):
    """Matrices transposed, so that the inner loop runs over rows and needs no reassociation to be vectorised."""

    embedding: np.ndarray  # [A, R]
    gate: np.ndarray  # [L, K, R, 2R]
    residual: np.ndarray  # [L-1, R, R]
    residual_bias: np.ndarray
    skip: np.ndarray  # [L, R, S]
    skip_bias: np.ndarray
    hidden: np.ndarray  # [S, S]
    hidden_bias: np.ndarray
    output: np.ndarray  # [S, A]
    output_bias: np.ndarray
    dilations: np.ndarray
    hop_length: int


class PlainScratch(NamedTuple):
    """One stream's history (a ring for each layer, end to end) and the latest sample's values."""

    history: np.ndarray  # [sum of rings, R]
    rings: np.ndarray  # [L+1], where each ring begins
    residual: np.ndarray  # [L, R]
    gate: np.ndarray  # [2R]
    gated: np.ndarray  # [L, R]
    skip: np.ndarray
    rectified: np.ndarray
    hidden: np.ndarray
    logits: np.ndarray
    probabilities: np.ndarray


@njit(nogil=True)
def add_product(matrix, x, out):
    """out += matrix.T @ x, in the order of x."""
    for k in range(len(x)):
        for i in range(len(out)):
            out[i] += matrix[k, i] * x[k]


@njit(nogil=True)
def rectified(values, out):
    """out = relu(values)."""
    for i in range(len(values)):
        out[i] = max(values[i], np.float32(0))


@njit(nogil=True)
def copy(values, out):
    """out = values: a loop compiles in a tenth of the time that assigning an array takes."""
    for i in range(len(values)):
        out[i] = values[i]


@njit(nogil=True)
def step(w, s, time, previous, conditioning):
    """One sample's logits, from the previous sample and one frame of conditioning [L, 2R]."""
    layers, taps, channels = w.gate.shape[0], w.gate.shape[1], w.gate.shape[2]
    copy(w.embedding[previous], s.residual[0])
    copy(w.skip_bias, s.skip)
    for layer in range(layers):
        dilation, first = w.dilations[layer], s.rings[layer]
        ring = s.rings[layer + 1] - first
        x, z = s.residual[layer], s.gated[layer]
        copy(x, s.history[first + time % ring])
        copy(conditioning[layer], s.gate)
        for tap in range(taps):
            past = time - (taps - 1 - tap) * dilation
            if past >= 0:
                add_product(w.gate[layer, tap], s.history[first + past % ring], s.gate)
        for i in range(channels):
            z[i] = math.tanh(s.gate[i]) / (np.float32(1) + math.exp(-s.gate[channels + i]))
        add_product(w.skip[layer], z, s.skip)
        if layer < layers - 1:
            for i in range(channels):
                s.residual[layer + 1, i] = x[i] + w.residual_bias[layer, i]
            add_product(w.residual[layer], z, s.residual[layer + 1])
    copy(w.hidden_bias, s.hidden)
    rectified(s.skip, s.rectified)
    add_product(w.hidden, s.rectified, s.hidden)
    rectified(s.hidden, s.hidden)
    copy(w.output_bias, s.logits)
    add_product(w.output, s.hidden, s.logits)


def _entry(digest):
    @cached
    def decode(w, s, b, start, frames, first_frame, seed, temperature, top_p, teacher, samples, log_probabilities):
        """Draw stream b's samples [B, 1 + n] after the first; with a teacher, score them: [B, n, A]."""
        scale = np.float32(1) if teacher else sharpness(temperature)
        for i in range(samples.shape[1] - 1):
            time = start + i
            step(w, s, time, samples[b, i], frames[time // w.hop_length - first_frame, b])
            top, total = np.float32(-np.inf), np.float32(0)
            for k in range(len(s.logits)):
                top = max(top, s.logits[k])
            for k in range(len(s.logits)):
                s.probabilities[k] = math.exp((s.logits[k] - top) * scale)
                total += s.probabilities[k]
            if teacher:
                for k in range(len(s.logits)):
                    log_probabilities[b, i, k] = s.logits[k] - top - math.log(total)
            else:
                if top_p < 1:
                    keep_nucleus(s.probabilities, np.float32(top_p))
                samples[b, i + 1] = pick(s.probabilities, uniform_at(seed, time))
        return digest

    return decode


decode = _entry(sources_digest())


class PlainEngine(Engine):
    """Plain loops, one stream after another on each thread.

    Args:
        weights: the decoder's weights.
        threads: over which the streams of a batch are spread.
    """

    backend = "cpu"

    def __init__(self, weights: DecoderWeights, threads: int = 1):
        super().__init__(weights, "float32")
        self.threads = threads
        w = weights
        transposed = {
            name: np.ascontiguousarray(np.swapaxes(getattr(w, name), -1, -2))
            for name in ("gate", "residual", "skip", "hidden", "output")
        }
        self._weights = PlainWeights(**{name: getattr(w, name) for name in PlainWeights._fields} | transposed)
        with announced("the plain decoder"):
            self._run(self.start(1, 0), 0, None)

    def _new_state(self, state: EngineState) -> list[PlainScratch]:
        return [self._scratch() for _ in range(state.batch)]

    def _scratch(self) -> PlainScratch:
        w = self.weights
        L, R, S, A = w.num_layers, w.residual_channels, w.skip_channels, w.num_classes
        rings = np.concatenate([[0], np.cumsum((w.kernel_size - 1) * w.dilations + 1)])
        shapes = [(rings[-1], R), None, (L, R), (2 * R,), (L, R), (S,), (S,), (S,), (A,), (A,)]
        return PlainScratch(*[rings if shape is None else np.zeros(shape, np.float32) for shape in shapes])

    def _pack_frames(self, conditioning: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.moveaxis(conditioning, -1, 0))

    def _run(self, state: EngineState, n: int, forced: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        teacher = forced is not None
        samples = np.zeros((state.batch, 1 + n), np.int64)  # the one before, then those given or drawn
        samples[:, 0] = state.samples
        if teacher:
            samples[:, 1:] = forced
        log_probabilities = np.zeros((state.batch, n if teacher else 0, self.weights.num_classes), np.float32)

        def stream(b: int) -> None:
            decode(
                self._weights, state.private[b], b, state.position, state.frames, state.first_frame, state.seeds[b],
                state.temperature, state.top_p, teacher, samples, log_probabilities,
            )  # fmt: skip

        with ThreadPoolExecutor(min(self.threads, state.batch)) as pool:
            list(pool.map(stream, range(state.batch)))
        return samples[:, 1:].astype(self.weights.sample_dtype), log_probabilities if teacher else None

    def taps(self, state: EngineState) -> dict[str, np.ndarray]:
        names = ("residual", "gated", "skip", "hidden", "logits")
        return {name: np.stack([getattr(scratch, name) for scratch in state.private]) for name in names}
