"""The fused decoder on a processor with vector instructions: packed weights, one compiled loop."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from speechvq.engine import cpu_loop
from speechvq.engine.base import Engine, EngineState
from speechvq.engine.cpu_compile import announced
from speechvq.engine.cpu_loop import PLAN
from speechvq.engine.cpu_pack import aligned, pack, pack_frames, round_up, slot_bytes
from speechvq.engine.cpu_pairing import ONE_THREAD, Pairing
from speechvq.engine.cpu_slots import SIGNED_PEAK, SIGNED_ZERO
from speechvq.engine.cpu_vectors import BLOCK
from speechvq.engine.simd import LINE, Float32, output_form
from speechvq.engine.weights import DecoderWeights


class Streams(NamedTuple):
    """What B streams carry from sample to sample, and the latest sample's values. R, S, A filled up."""

    history: np.ndarray  # uint8 [B, slots, slot bytes]: the rings of all layers, end to end
    past: np.ndarray  # float32 [B, L, 2R], what the past taps give the next sample
    x: np.ndarray  # float32 [B, R]
    z: np.ndarray  # uint8 [B, L, whole cache lines]: slots, whose unit never changes
    skip: np.ndarray  # float32 [B, S]
    hidden: np.ndarray  # float32 [B, S]
    slot: np.ndarray  # uint8 [B, slot bytes], of skip and then hidden
    logits: np.ndarray  # float32 [B, A]
    probabilities: np.ndarray  # float32 [B, A]
    blocks: np.ndarray  # float32 [B, A / BLOCK]


class FusedEngine(Engine):
    """Packed weights and one compiled loop.

    Args:
        weights: the decoder's weights.
        form: how weights and activations are held, a class of `simd`.
        threads: how many may work at once: two on one stream, any number on a batch.
    """

    backend = "cpu"

    def __init__(self, weights: DecoderWeights, form: type[Float32], threads: int):
        super().__init__(weights, form.precision)
        self.form, self.threads = form(), threads
        self._packed = pack(weights, form)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="speechvq-decode")
        self._pairing = Pairing()
        with announced(f"the {self.precision} decoder"):
            nothing = (self.form, np.zeros(1, PLAN), cpu_loop.ALONE, 0, 0, np.zeros(32, np.int64))
            self._pool.submit(cpu_loop.run, *nothing).result()  # starts a thread too, which `Pairing` should not time

    def _new_state(self, state: EngineState) -> Streams:
        w, form, B = self._packed, type(self.form), state.batch
        L, R = self.weights.num_layers, w.embedding.shape[1]
        S, A = len(w.skip_bias), len(w.output_bias)
        z = aligned((B, L, round_up(slot_bytes(form, R), LINE)), np.uint8)
        if form.is_integer:
            z[..., R : R + 4] = np.frombuffer(np.float32(1 / SIGNED_PEAK).tobytes(), np.uint8)
        return Streams(
            history=aligned((B, int(w.rings[-1]), slot_bytes(form, R)), np.uint8),
            past=aligned((B, L, 2 * R), np.float32),
            x=aligned((B, R), np.float32),
            z=z,
            skip=aligned((B, S), np.float32),
            hidden=aligned((B, S), np.float32),
            slot=aligned((B, slot_bytes(output_form(form), S)), np.uint8),
            logits=aligned((B, A), np.float32),
            probabilities=aligned((B, A), np.float32),
            blocks=aligned((B, A // BLOCK), np.float32),
        )

    def _pack_frames(self, conditioning: np.ndarray) -> np.ndarray:
        return pack_frames(conditioning, type(self.form))

    def _run(self, state: EngineState, n: int, forced: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        samples = np.zeros((state.batch, 1 + n), np.int64)  # the one before, then those given or drawn
        samples[:, 0] = state.samples
        if forced is not None:
            samples[:, 1:] = forced
        shape = (state.batch, 0 if forced is None else n, self.weights.num_classes)
        log_probabilities = np.zeros(shape, np.float32)
        plan = self._plan(state)
        plan["num_samples"], plan["samples"] = n, samples.ctypes.data
        plan["teacher"], plan["log_probabilities"] = forced is not None, log_probabilities.ctypes.data
        if self.threads >= 2 and state.batch == 1:
            self._run_stream(plan, n)
        else:
            self._run_batch(plan, state.batch)
        return samples[:, 1:].astype(self.weights.sample_dtype), None if forced is None else log_probabilities

    def _run_batch(self, plan: np.ndarray, batch: int) -> None:
        """Spread the streams over the threads."""
        workers = min(self.threads, batch)
        bounds = [batch * k // workers for k in range(workers + 1)]
        counters = np.zeros(32, np.int64)
        parts = [(self.form, plan, cpu_loop.ALONE, *bounds[k : k + 2], counters) for k in range(workers)]
        others = [self._pool.submit(cpu_loop.run, *part) for part in parts[1:]]
        cpu_loop.run(*parts[0])
        for other in others:
            other.result()

    def _run_stream(self, plan: np.ndarray, n: int) -> None:
        """One stream, on two threads for as long as that is faster."""
        done = 0
        while done < n:
            way, block = self._pairing.choose(n - done)
            plan["num_samples"], plan["tell_every"] = block, way
            began = time.perf_counter()
            if way == ONE_THREAD:
                self._run_batch(plan, 1)
            else:
                began = self._run_pair(plan)
            self._pairing.record(way, block, time.perf_counter() - began)
            plan["start"] += block
            plan["samples"] += block * 8
            plan["log_probabilities"] += block * 4 * self.weights.num_classes
            done += block

    def _run_pair(self, plan: np.ndarray) -> float:
        """One stream on two threads; returns when the second was awake."""
        counters = aligned((32,), np.int64)
        share = self._side_layers()

        def side() -> float:
            began = time.perf_counter()
            cpu_loop.run(self.form, plan, cpu_loop.SIDE, 0, share, counters)
            return began

        other = self._pool.submit(side)
        cpu_loop.run(self.form, plan, cpu_loop.CHAIN, 0, share, counters)
        return other.result()

    def _side_layers(self) -> int:
        """How many layers' past taps the side takes: measured best a little under half of what would balance.

        The balance is where the chain's own past taps last as long as the side's last layers; but what the side
        takes over, it must fetch from the other core.
        """
        w = self.weights
        R, S, A, L = w.residual_channels, w.skip_channels, w.num_classes, w.num_layers
        past, ending = (w.kernel_size - 1) * 2 * R * R, S * S + A * S
        return int(0.45 * max(L - ending / past, 0))

    def _plan(self, state: EngineState) -> np.ndarray:
        """The record that `cpu_loop` works from; of the job, what the state knows."""
        w, s, form = self._packed, state.private, type(self.form)
        R, S, A, rows = s.x.shape[1], s.skip.shape[1], s.logits.shape[1], 2 * form.lanes
        plan = np.zeros(1, PLAN)
        arrays = {name: value for name, value in (w._asdict() | s._asdict()).items() if isinstance(value, np.ndarray)}
        arrays |= {"frames": state.frames, "seeds": state.seeds, "dilations": self.weights.dilations}
        for name in set(arrays) & set(PLAN.names):
            plan[name] = arrays[name].ctypes.data
        for name, array, axis in (
            ("chain_step", w.chain_weights, 0),
            ("past_step", w.past_weights, 0),
            ("past_tap_step", w.past_weights, 1),
            ("skip_step", w.skip_weights, 0),
            ("history_step", s.history, 0),
            ("slot_bytes", s.history, 1),
            ("z_step", s.z, 1),
            ("slot_step", s.slot, 0),
            ("frames_step", state.frames, 0),
        ):
            plan[name] = array.strides[axis]
        for name, value in (
            ("layers", self.weights.num_layers),
            ("past_taps", self.weights.kernel_size - 1),
            ("R", R),
            ("z_bytes", R * form.activation_bytes),
            ("S", S),
            ("A", A),
            ("num_classes", self.weights.num_classes),
            ("hop_length", self.weights.hop_length),
            ("gate_groups", 2 * R // rows),
            ("residual_groups", R // rows),
            ("S_groups", S // rows),
            ("A_groups", A // rows),
            ("R_steps", R // form.columns),
            ("S_steps", S // form.columns),
            ("output_steps", S // output_form(form).columns),
            ("residual_at", w.residual_at),
            ("hidden_peak", w.hidden_peak),
            ("output_peak", w.output_peak),
            ("start", state.position),
            ("first_frame", state.first_frame),
            ("temperature", state.temperature),
            ("top_p", state.top_p),
        ):
            plan[name] = value
        return plan

    def taps(self, state: EngineState) -> dict[str, np.ndarray]:
        s, w = state.private, self.weights
        form, R, S, A = self.form, w.residual_channels, w.skip_channels, w.num_classes
        z = (s.z[..., :R] - float(SIGNED_ZERO)) / SIGNED_PEAK if form.is_integer else s.z.view(np.float32)[..., :R].copy()
        return {
            "gated": z,
            "skip": s.skip[:, :S].copy(),
            "hidden": np.maximum(s.hidden[:, :S], 0),
            "logits": s.logits[:, :A].copy(),
        }
