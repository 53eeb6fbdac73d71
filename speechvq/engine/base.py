"""What every decoding engine does: conditioning goes in by frames, samples come out one at a time.

An engine holds weights and compiled code only. All that changes from sample to sample lies in an
`EngineState`, which the caller holds; so one engine serves any number of streams, and a stream can be
decoded in pieces of any length, in constant memory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from speechvq.engine.weights import DecoderWeights
from speechvq.errors import InputError, NeedConditioning


@dataclass
class EngineState:
    """Where B streams stand.

    Args:
        seeds: uint64 [B], the randomness of each stream.
        temperature: divides the logits; 0 takes the likeliest class.
        top_p: the nucleus; a class stays while those likelier than it hold less than this.
        samples: [B], each stream's latest sample, the next one's input.
        frames: conditioning not yet used up, frames on the first axis, otherwise as the engine likes it.
        position: samples done.
        first_frame: the frame that frames[0] is.
        private: the engine's own: history of the layers, scratch.
    """

    seeds: np.ndarray
    temperature: float
    top_p: float
    samples: np.ndarray
    frames: np.ndarray
    position: int = 0
    first_frame: int = 0
    private: Any = field(default=None, repr=False)

    @property
    def batch(self) -> int:
        """B."""
        return len(self.seeds)


class Engine(ABC):
    """A WaveNet sampler.

    Subclasses set `backend` and implement `_new_state`, `_pack_frames`, `_run` and `taps`.

    Args:
        weights: the decoder's weights.
        precision: how the engine holds them.
    """

    backend: str

    def __init__(self, weights: DecoderWeights, precision: str):
        self.weights = weights
        self.precision = precision

    def start(
        self, batch: int, seeds: int | Sequence[int], temperature: float = 1.0, top_p: float = 1.0
    ) -> EngineState:
        """Begin B streams, with silence behind them.

        Args:
            batch: B.
            seeds: one 64-bit seed for each stream; a single number gives stream b the seed `seeds + b`.
            temperature: divides the logits; 0 takes the likeliest class.
            top_p: the nucleus, in (0, 1]: a class can be drawn while those likelier than it hold less than this.

        Returns:
            The state, which `push`, `generate` and `score` advance.

        Raises:
            InputError: a number is out of its range, or the seeds are not as many as the streams.
        """
        if batch < 1:
            raise InputError(f"batch should be at least 1, is {batch}")
        if not (np.isfinite(temperature) and temperature >= 0):
            raise InputError(f"temperature should be 0 or more, is {temperature}")
        if not 0 < top_p <= 1:
            raise InputError(f"top_p should be above 0 and at most 1, is {top_p}")
        if isinstance(seeds, int | np.integer):
            seeds = [int(seeds) + b for b in range(batch)]
        if len(seeds) != batch:
            raise InputError(f"{batch} streams need as many seeds, given {len(seeds)}")
        weights = self.weights
        empty = np.zeros((batch, weights.num_layers, 2 * weights.residual_channels, 0), np.float32)
        state = EngineState(
            seeds=np.array([int(seed) % 2**64 for seed in seeds], np.uint64),
            temperature=float(temperature),
            top_p=float(top_p),
            samples=np.full(batch, weights.num_classes // 2, weights.sample_dtype),
            frames=self._pack_frames(empty),
        )
        state.private = self._new_state(state)
        return state

    def push(self, state: EngineState, conditioning: np.ndarray) -> None:
        """Hand over further frames of conditioning.

        Args:
            state: the streams.
            conditioning: float32 [B, L, 2R, n], the gate's bias included.

        Raises:
            InputError: the shape does not fit the weights and the batch, or a value is not finite.
        """
        weights = self.weights
        conditioning = np.asarray(conditioning, np.float32)
        expected = (state.batch, weights.num_layers, 2 * weights.residual_channels)
        if conditioning.ndim != 4 or conditioning.shape[:3] != expected:
            raise InputError(f"conditioning should be {[*expected, 'n']}, is {list(conditioning.shape)}")
        if not np.isfinite(conditioning).all():
            raise InputError("conditioning holds values that are not finite")
        used = state.position // weights.hop_length - state.first_frame
        state.frames = np.concatenate([state.frames[used:], self._pack_frames(conditioning)])
        state.first_frame += used

    def available(self, state: EngineState) -> int:
        """How many samples the pushed conditioning still allows."""
        return (state.first_frame + len(state.frames)) * self.weights.hop_length - state.position

    def generate(self, state: EngineState, n: int) -> np.ndarray:
        """Draw the next samples.

        Args:
            state: the streams; it moves on by n samples.
            n: how many samples.

        Returns:
            Amplitude classes [B, n], uint8 (uint16 where there are more than 256).

        Raises:
            NeedConditioning: more samples than the pushed frames cover; the state is unchanged.
        """
        self._need(state, n)
        samples, _ = self._run(state, n, None)
        self._advance(state, samples)
        return samples

    def score(self, state: EngineState, samples: np.ndarray) -> np.ndarray:
        """How likely each class was, given the true samples before it.

        Args:
            state: the streams; it moves on over the given samples as if it had drawn them.
            samples: amplitude classes [B, n].

        Returns:
            Log-probabilities, float32 [B, n, A], before temperature and nucleus.

        Raises:
            NeedConditioning: more samples than the pushed frames cover; the state is unchanged.
            InputError: the shape does not fit the batch, or a class does not exist.
        """
        samples = np.asarray(samples)
        if samples.ndim != 2 or len(samples) != state.batch:
            raise InputError(f"samples should be [{state.batch}, n], are {list(samples.shape)}")
        if samples.size and not (samples.min() >= 0 and samples.max() < self.weights.num_classes):
            raise InputError(f"samples should lie in 0..{self.weights.num_classes - 1}")
        samples = np.ascontiguousarray(samples, self.weights.sample_dtype)
        self._need(state, samples.shape[1])
        _, log_probabilities = self._run(state, samples.shape[1], samples)
        self._advance(state, samples)
        return log_probabilities

    def _need(self, state: EngineState, n: int) -> None:
        if n < 0:
            raise InputError(f"n should be at least 0, is {n}")
        if n > self.available(state):
            raise NeedConditioning(
                f"{n} samples asked for, the conditioning pushed so far covers {self.available(state)} more: "
                f"push further frames of {self.weights.hop_length} samples each"
            )

    def _advance(self, state: EngineState, samples: np.ndarray) -> None:
        if samples.shape[1]:
            state.samples = samples[:, -1].copy()
        state.position += samples.shape[1]

    @abstractmethod
    def _new_state(self, state: EngineState) -> Any:
        """The engine's private part of a fresh state."""

    @abstractmethod
    def _pack_frames(self, conditioning: np.ndarray) -> np.ndarray:
        """Conditioning [B, L, 2R, n] in the engine's own layout, frames on the first axis."""

    @abstractmethod
    def _run(self, state: EngineState, n: int, forced: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        """Compute n samples from state.position on; the frame of sample t is state.frames[t // hop - state.first_frame].

        Args:
            state: whose private part moves on; the public part is the base class's to move.
            n: how many samples, covered by the frames.
            forced: [B, n] samples to take instead of drawing, or None.

        Returns:
            The samples [B, n], and the log-probabilities float32 [B, n, A] where `forced` was given, else None.
        """

    @abstractmethod
    def taps(self, state: EngineState) -> dict[str, np.ndarray]:
        """The intermediate values of the latest sample, to find where two engines part.

        Returns:
            `gated` [B, L, R] (tanh times sigmoid), `residual` [B, L, R] (each layer's input), `skip` [B, S]
            (the sum, before its relu), `hidden` [B, S] (after its relu), `logits` [B, A]; an engine may leave
            out what it never holds.
        """
