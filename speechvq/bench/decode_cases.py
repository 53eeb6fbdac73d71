"""What `speechvq bench decode` decodes, and with what."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from speechvq.engine import DecoderWeights, Engine, make_engine
from speechvq.engine.reference import ReferenceEngine
from speechvq.engine.weights import random_weights
from speechvq.errors import BackendUnavailable, InputError

NLL_SAMPLES = 16000  # of real speech: the reference takes a millisecond for each
SPECULATION = 8  # samples of the first look at an engine's speed


@dataclass
class Case:
    """A decoder with what it is conditioned on.

    Args:
        name: a size, or `model`.
        weights: the decoder's.
        conditioning: float32 [1, L, 2R, n].
        classes: [1, T], covered by the conditioning: real samples, or random ones.
        trained: whether they are real.
        sample_rate: in Hz.
    """

    name: str
    weights: DecoderWeights
    conditioning: np.ndarray
    classes: np.ndarray
    trained: bool
    sample_rate: int = 16000

    @cached_property
    def truth(self) -> np.ndarray:
        """The reference's log-probabilities [1, T, A]."""
        return engine_scores(ReferenceEngine(self.weights), self)


@dataclass
class Runner:
    """One way to decode a case: `generate(n)` draws n samples of every stream, `score()` gives log-probabilities."""

    case: Case
    backend: str
    precision: str
    threads: int
    batch: int
    generate: Callable[[int], object]
    score: Callable[[], np.ndarray] | None
    num_samples: int = SPECULATION

    def errors(self) -> tuple[float | None, float | None]:
        """Root mean square error of the centred logits, and the NLL's difference on real speech."""
        if self.score is None:
            return None, None
        given, truth = self.score(), self.case.truth
        classes = self.case.classes[..., None].astype(np.int64)
        error = given.astype(np.float64) - truth
        rms = float(np.sqrt(np.mean((error - error.mean(-1, keepdims=True)) ** 2)))
        nll = float(np.mean(np.take_along_axis(truth - given, classes, -1)))
        return rms, nll if self.case.trained else None

    def calibrate(self, seconds: float) -> None:
        """Choose how many samples take about so long."""
        self.generate(SPECULATION)
        self.num_samples = max(int(self.speed() / self.batch * seconds / 20), SPECULATION)
        self.num_samples = max(int(self.speed() / self.batch * seconds), SPECULATION)

    def speed(self) -> float:
        """Samples a second, all streams together."""
        began = time.perf_counter()
        self.generate(self.num_samples)
        return self.num_samples * self.batch / (time.perf_counter() - began)


def random_case(name: str, layers: int, residual: int, skip: int, seed: int, num_samples: int) -> Case:
    """Random weights of a size, random conditioning and samples."""
    rng = np.random.default_rng(seed)
    weights = random_weights(num_layers=layers, residual_channels=residual, skip_channels=skip, seed=seed)
    frames = -(-num_samples // weights.hop_length)
    conditioning = (0.5 * rng.standard_normal((1, layers, 2 * residual, frames))).astype(np.float32)
    return Case(name, weights, conditioning, rng.integers(0, 256, (1, num_samples)), trained=False)


def trained_case(model_dir: str, audio_path: str, speaker: str | None) -> Case:
    """A trained model's decoder, conditioned on the units of real speech."""
    import torch

    from speechvq import audio
    from speechvq.checkpoint import load_model

    model = load_model(model_dir)
    rate, hop = model.config.sample_rate, model.hop_length
    wav = audio.read(audio_path, rate)
    wav = audio.apply_gain(wav, audio.gain_db(wav))
    start = max((len(wav) - NLL_SAMPLES) // 2 // hop * hop, 0)
    piece = wav[start : start + NLL_SAMPLES // hop * hop]
    if len(piece) < hop:
        raise InputError(f"{audio_path} is shorter than one unit")
    piece = piece[: len(piece) // hop * hop]
    with torch.no_grad():
        ids = model.encode(torch.from_numpy(np.ascontiguousarray(piece))[None, None])
        vector = model.speaker_vector(speaker or model.speakers[0])
        conditioning = model.condition(ids, vector[None]).numpy()
    weights = DecoderWeights.from_arrays(model.decoder_weights())
    return Case("model", weights, conditioning, audio.mu_law_encode(piece)[None], trained=True, sample_rate=rate)


def engine_scores(engine: Engine, case: Case) -> np.ndarray:
    """Log-probabilities [1, T, A] of the case's samples."""
    state = engine.start(1, 0)
    engine.push(state, case.conditioning)
    return engine.score(state, case.classes)


def runners(case: Case, backends: list[str], threads: int | None, batch: int) -> Iterator[Runner]:
    """Every way that was asked for and runs here."""
    if "reference" in backends:
        yield _engine_runner(case, ReferenceEngine(case.weights), 1, 1)
    if "cpu" in backends:
        yield from _cpu_runners(case, threads, batch)
    if "cuda" in backends:
        yield from _cuda_runners(case, batch)
    if {"torch", "torchscript"} & set(backends):
        yield from _torch_runners(case, backends, threads, batch)


def _engine_runner(case: Case, engine: Engine, threads: int, batch: int) -> Runner:
    state = engine.start(batch, 0)
    frames = np.repeat(case.conditioning, batch, axis=0)

    def generate(n: int) -> None:
        nonlocal frames
        missing = -(-(n - engine.available(state)) // engine.weights.hop_length)
        if missing > frames.shape[-1]:
            frames = np.tile(frames, -(-missing // frames.shape[-1]))
        if missing > 0:  # in one piece: every push copies what is still there
            engine.push(state, frames[..., :missing])
        engine.generate(state, n)

    return Runner(case, engine.backend, engine.precision, threads, batch, generate, lambda: engine_scores(engine, case))


def _cpu_runners(case: Case, threads: int | None, batch: int) -> Iterator[Runner]:
    from speechvq.engine.cpu import available_forms, default_threads, make_cpu_engine

    most = threads or default_threads()
    yield _engine_runner(case, make_cpu_engine(case.weights, "float32", 1, "plain"), 1, 1)
    if available_forms()[0] == "plain":
        yield _engine_runner(case, make_cpu_engine(case.weights, "float32", most), most, batch)
        return
    for precision in ("float32", "float16", "int8"):
        for count, streams in dict.fromkeys([(1, 1), (min(most, 2), 1), (1, batch), (most, batch)]):
            yield _engine_runner(case, make_cpu_engine(case.weights, precision, count), count, streams)


def _cuda_runners(case: Case, batch: int) -> Iterator[Runner]:
    for precision in ("float32", "float16", "tensor16"):
        try:
            engine = make_engine(case.weights, "cuda", precision)
        except BackendUnavailable:
            continue
        for streams in dict.fromkeys([1, batch]):
            yield _engine_runner(case, engine, 1, streams)
            if precision != "tensor16":
                yield from _graph_runners(case, precision, streams)


def _graph_runners(case: Case, precision: str, streams: int) -> Iterator[Runner]:
    """PyTorch's cached step replayed from a CUDA graph, eager and compiled, on the engine's own terms."""
    from speechvq.bench.cuda_baseline import GraphStep

    frames = np.repeat(case.conditioning, streams, axis=0)
    for name, compiled in (("torch-graph", False), ("torch-graph-compiled", True)):
        step = GraphStep(case.weights, frames, precision, compiled)
        yield Runner(case, name, precision, 1, streams, step.generate, None)


def _torch_runners(case: Case, backends: list[str], threads: int | None, batch: int) -> Iterator[Runner]:
    from speechvq.batch import torch_threads
    from speechvq.bench.torch_step import TorchStep
    from speechvq.engine.cpu import default_threads

    for backend in ("torch", "torchscript"):
        if backend not in backends:
            continue
        for count, streams in dict.fromkeys([(1, 1), (threads or default_threads(), 1), (1, batch)]):
            scripted = backend == "torchscript"
            stepper = TorchStep(case.weights, np.repeat(case.conditioning, streams, axis=0), scripted)

            def generate(n: int, stepper=stepper, count=count) -> None:
                with torch_threads(count):
                    stepper.generate(n)

            def score(scripted=scripted) -> np.ndarray:
                return TorchStep(case.weights, case.conditioning, scripted).score(case.classes)

            yield Runner(case, backend, "float32", count, streams, generate, None if case.trained else score)
