"""The fused decoder on a processor with vector instructions: packed weights, one compiled loop."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from speechvq.engine import cpu_loop
from speechvq.engine.base import Engine, EngineState
from speechvq.engine.cpu_loop import Job, Streams
from speechvq.engine.cpu_pack import aligned, pack, pack_frames, slot_bytes
from speechvq.engine.cpu_vectors import BLOCK
from speechvq.engine.simd import Float32
from speechvq.engine.weights import DecoderWeights


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

    def _new_state(self, state: EngineState) -> Streams:
        w, form, B = self._packed, type(self.form), state.batch
        L, twice = w.gate_scale.shape
        R, S, A = twice // 2, len(w.skip_bias), len(w.output_bias)
        sums = np.int32 if form.is_integer else np.float32
        return Streams(
            history=aligned((B, int(w.rings[-1]), slot_bytes(form, R)), np.uint8),
            past=aligned((B, L, 2 * R), sums),
            x=aligned((B, R), np.float32),
            z=aligned((B, L, slot_bytes(form, R)), np.uint8),
            skip_sums=aligned((B, S), sums),
            sums=aligned((B, max(S, A)), sums),
            skip=aligned((B, S), np.float32),
            hidden=aligned((B, S), np.float32),
            slot=aligned((B, slot_bytes(form, S)), np.uint8),
            unit=aligned((B,), np.float32),
            logits=aligned((B, A), np.float32),
            probabilities=aligned((B, A), np.float32),
            blocks=aligned((B, A // BLOCK), np.float32),
        )

    def _pack_frames(self, conditioning: np.ndarray) -> np.ndarray:
        return pack_frames(conditioning, self.form.lanes)

    def _run(self, state: EngineState, n: int, forced: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        teacher = forced is not None
        job = Job(
            seeds=state.seeds,
            temperature=state.temperature,
            top_p=state.top_p,
            teacher=teacher,
            start=state.position,
            first_frame=state.first_frame,
            frames=state.frames,
            before=state.samples,
            samples=forced.copy() if teacher else np.zeros((state.batch, n), self.weights.sample_dtype),
            log_probabilities=np.zeros((state.batch, n if teacher else 0, self.weights.num_classes), np.float32),
        )
        if self.threads >= 2 and state.batch == 1 and n >= 2:
            self._run_pair(state.private, job)
        else:
            self._run_batch(state.private, job)
        return job.samples, job.log_probabilities if teacher else None

    def _run_batch(self, streams: Streams, job: Job) -> None:
        workers = min(self.threads, len(job.samples))
        bounds = [len(job.samples) * k // workers for k in range(workers + 1)]

        def part(k: int) -> None:
            cpu_loop.run(self.form, self._packed, streams, job, bounds[k], bounds[k + 1] - bounds[k])

        if workers == 1:
            part(0)
        else:
            list(self._pool.map(part, range(workers)))

    def _run_pair(self, streams: Streams, job: Job) -> None:
        counters = aligned((32,), np.int64)
        share = self.weights.num_layers // 2

        def part(side: bool) -> None:
            cpu_loop.run_pair(self.form, self._packed, streams, job, side, share, counters)

        side = self._pool.submit(part, True)
        part(False)
        side.result()

    def taps(self, state: EngineState) -> dict[str, np.ndarray]:
        s, w = state.private, self.weights
        form, R, S, A = self.form, w.residual_channels, w.skip_channels, w.num_classes
        z = s.z.view(np.int16 if form.is_integer else np.float32)[..., :R]
        return {
            "gated": z / self._packed.z_scale if form.is_integer else z.copy(),
            "skip": s.skip[:, :S].copy(),
            "hidden": np.maximum(s.hidden[:, :S], 0),
            "logits": s.logits[:, :A].copy(),
        }
