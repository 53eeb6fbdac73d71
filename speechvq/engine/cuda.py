"""Decoding on a GPU: the host's part of wavenet.cu."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

import numpy as np

from speechvq.engine.base import Engine, EngineState
from speechvq.engine.cuda_layout import Layout, Run
from speechvq.engine.cuda_plan import Device, choose_layout
from speechvq.engine.reference import log_softmax
from speechvq.engine.weights import DecoderWeights
from speechvq.errors import BackendUnavailable, InputError

PRECISIONS = {"auto": "float16", "float16": "float16", "float32": "float32", "tensor16": "tensor16"}
GREEDY = 1e30  # what logits are multiplied with at temperature 0 or next to it: all but the likeliest vanish
MOST_SAMPLES = 2**32 - 2**20  # the kernel counts them in 32 bits: three days of 16 kHz
LAUNCH_SAMPLES = 8192  # of a launch, so that an interrupt is heeded
LOGIT_BYTES = 1 << 28  # of one launch's logits, while scoring


class Buffer(Protocol):
    """Memory of the device."""

    address: int
    nbytes: int

    def read(self, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        """Copy its beginning to the host."""


class Launcher(Protocol):
    """All that the engine asks of a device: a GPU in `cuda_driver`, a host's emulation of one in the tests."""

    device: Device

    def load(self, layout: Layout) -> Any:
        """Make the kernel ready for a layout."""

    def buffer(self, contents: np.ndarray) -> Buffer:
        """Device memory with a copy of an array."""

    def zeros(self, nbytes: int) -> Buffer:
        """Device memory set to zero."""

    def launch(self, kernel: Any, layout: Layout, run: Run) -> None:
        """Run the kernel to its end."""


@dataclass
class CudaState:
    """What a state keeps on the device."""

    layout: Layout
    rings: Buffer
    seeds: Buffer
    taps: Buffer
    frames: np.ndarray | None = field(default=None, repr=False)  # the host's array that is now on the device
    conditioning: Buffer | None = None


class CudaEngine(Engine):
    """WaveNet sampling on an NVIDIA GPU.

    Args:
        weights: the decoder's weights.
        precision: `float32`; `float16` for weights of 16 bits and sums of 32; `tensor16` for activations of 16 bits as
            well, on tensor cores, for hundreds of streams at once; `auto` is float16.
        launcher: the device, None for the current GPU.

    Raises:
        BackendUnavailable: no GPU, driver or NVRTC; a GPU that is too old or too small; or an unknown precision.
    """

    backend = "cuda"

    def __init__(self, weights: DecoderWeights, precision: str = "auto", launcher: Launcher | None = None):
        if precision not in PRECISIONS:
            raise BackendUnavailable(f"it computes in float32, float16 or tensor16, not in {precision}")
        super().__init__(weights, PRECISIONS[precision])
        self._ready = cache(self._prepare)
        if launcher is not None:
            self.launcher = launcher
            return
        from speechvq.engine.cuda_driver import CudaDriver

        self.launcher = CudaDriver()
        self._decode_one()

    def _decode_one(self) -> None:
        """Draw a single sample: what cannot run fails while another engine can still be chosen."""
        weights = self.weights
        state = self.start(1, 0)
        self.push(state, np.zeros((1, weights.num_layers, 2 * weights.residual_channels, 1), np.float32))
        self.generate(state, 1)

    def layout(self, batch: int) -> Layout:
        """How this many streams are dealt out over the device."""
        return choose_layout(self.weights, self.precision, batch, self.launcher.device)

    def _prepare(self, layout: Layout) -> tuple[Any, Buffer, Buffer]:
        """The compiled kernel, the weights and the embedding on the device."""
        return (
            self.launcher.load(layout),
            self.launcher.buffer(layout.pack_weights(self.weights)),
            self.launcher.buffer(layout.pack_embedding(self.weights)),
        )

    def _new_state(self, state: EngineState) -> CudaState:
        layout = self.layout(state.batch)
        padded = -(-state.batch // layout.streams) * layout.streams
        zeros = self.launcher.zeros
        return CudaState(
            layout,
            rings=zeros(padded * layout.ring_slots * 2 * layout.padded_residual * 4),
            seeds=self.launcher.buffer(state.seeds),
            taps=zeros(padded * layout.taps_size * 4),
        )

    def _pack_frames(self, conditioning: np.ndarray) -> np.ndarray:
        return self.layout(len(conditioning)).pack_conditioning(conditioning, self.weights)

    def _run(self, state: EngineState, n: int, forced: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        weights, batch = self.weights, state.batch
        samples = np.zeros((batch, n), weights.sample_dtype)
        log_probabilities = None if forced is None else np.zeros((batch, n, weights.num_classes), np.float32)
        step = LAUNCH_SAMPLES
        if forced is not None:
            step = max(1, min(step, LOGIT_BYTES // (4 * batch * weights.num_classes)))
        previous = state.samples
        for begin in range(0, n, step):
            part = slice(begin, min(begin + step, n))
            given = None if forced is None else np.ascontiguousarray(forced[:, part])
            drawn, logits = self._launch(state, state.position + begin, part.stop - begin, previous, given)
            samples[:, part], previous = drawn, drawn[:, -1]
            if forced is not None:
                log_probabilities[:, part] = log_softmax(logits)
        return samples, log_probabilities

    def _launch(
        self, state: EngineState, time: int, n: int, previous: np.ndarray, given: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        private: CudaState = state.private
        if time + n > MOST_SAMPLES:
            raise InputError(f"a stream can have {MOST_SAMPLES} samples on a GPU, asked for {time + n}")
        layout, batch, dtype = private.layout, state.batch, state.samples.dtype
        buffer, zeros = self.launcher.buffer, self.launcher.zeros
        kernel, weights, embedding = self._ready(layout)
        if private.frames is not state.frames:
            private.frames, private.conditioning = state.frames, buffer(state.frames)
        audio = zeros(batch * n * dtype.itemsize)
        previous, given = buffer(np.ascontiguousarray(previous)), None if given is None else buffer(given)
        logits = None if given is None else zeros(batch * n * layout.classes * 4)
        run = Run(
            weights=weights.address, embedding=embedding.address, conditioning=private.conditioning.address,
            rings=private.rings.address, seeds=private.seeds.address, previous=previous.address,
            given=given and given.address, audio=audio.address, logits=logits and logits.address, taps=private.taps.address,
            streams=batch, samples=n, time=time, first_frame=state.first_frame,
            sharpness=1 / max(state.temperature, 1 / GREEDY), top_p=state.top_p,
        )  # fmt: skip
        self.launcher.launch(kernel, layout, run)
        drawn = audio.read(dtype, (batch, n))
        return drawn, None if logits is None else logits.read(np.float32, (batch, n, layout.classes))

    def taps(self, state: EngineState) -> dict[str, np.ndarray]:
        layout, weights = state.private.layout, self.weights
        L, R = weights.num_layers, weights.residual_channels
        whole = state.private.taps.read(np.float32, (state.batch, layout.taps_size))
        taps = {name: whole[:, at : at + size] for name, (at, size) in layout.tap_sizes.items()}
        for name in ("gated", "residual"):
            taps[name] = taps[name].reshape(state.batch, L, -1)[:, :, :R]
        for name, size in (("skip", weights.skip_channels), ("hidden", weights.skip_channels), ("logits", weights.num_classes)):
            taps[name] = taps[name][:, :size]
        return taps
