"""The CUDA kernel on the host, sample for sample against float64, whatever the order of its threads."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from emulator.emulator import COMPILER, NO_COMPILER, Deadlock, Emulator, EmulatorEngine
from laws import conditioning_for

from speechvq.engine.cuda import CudaEngine
from speechvq.engine.cuda_plan import Device
from speechvq.engine.reference import ReferenceEngine
from speechvq.engine.weights import random_weights

pytestmark = pytest.mark.skipif(not COMPILER, reason=NO_COMPILER)
SCHEDULES = range(9)  # 0 is kind, eight are hostile
BATCH, FRAMES, HOP = 2, 2, 6
SEEDS = (5, 6)

SMALL = dict(num_layers=4, residual_channels=16, skip_channels=24, num_classes=64)
THREE_TAPS = dict(num_layers=5, residual_channels=20, skip_channels=32, num_classes=50, kernel_size=3, dilation_cycle=3)
CASES = {
    "block": (SMALL, dict(blocks=1, resident=0)),
    "block_resident": (THREE_TAPS, dict(blocks=1, resident=3, folded=True)),
    "cluster8": (SMALL, dict(blocks=8)),
    "cluster16": (SMALL, dict(blocks=16, resident=1)),
    "cluster8_folded": (SMALL, dict(blocks=8, folded=True)),
    "cluster8_three_taps": (THREE_TAPS, dict(blocks=8, folded=True, resident=1)),
    "cluster8_streams": (SMALL, dict(blocks=8, streams=2)),
    "cluster8_half": (SMALL, dict(blocks=8, precision="float16")),
    "cluster8_half_folded": (SMALL, dict(blocks=8, folded=True, precision="float16")),
    "tensor": (SMALL, dict(blocks=1, streams=8, resident=0, precision="tensor16")),
}
# The fast suite meets every code path once: a cluster with folded layers, and the tensor cores.
SLOW = CASES.keys() - {"cluster8_folded", "tensor"}
over_cases = pytest.mark.parametrize(
    ("sizes", "options"),
    [pytest.param(*case, marks=pytest.mark.slow if name in SLOW else ()) for name, case in CASES.items()],
    ids=CASES,
)


def decode(engine, conditioning, samples=None, seeds=SEEDS):
    """Drawn classes, or the log-probabilities of given ones."""
    state = engine.start(len(seeds), seeds)
    engine.push(state, conditioning)
    n = conditioning.shape[-1] * engine.weights.hop_length
    return engine.generate(state, n) if samples is None else engine.score(state, samples)


def as_half(weights):
    """Weights rounded as a float16 engine holds them; biases and the embedding stay."""
    rounded = {name: getattr(weights, name).astype(np.float16).astype(np.float32) for name in
               ("gate", "residual", "skip", "hidden", "output")}  # fmt: skip
    return dataclasses.replace(weights, **rounded)


@over_cases
def test_every_schedule_draws_what_float64_draws(sizes, options):
    weights = random_weights(hop_length=HOP, **sizes)
    conditioning = conditioning_for(weights, BATCH, FRAMES)
    engine = EmulatorEngine(weights, **options)
    half = engine.precision != "float32"
    rounding = engine.layout(1).tensor or half and engine.layout(1).folded  # beyond that of the weights
    reference = ReferenceEngine(as_half(weights) if half else weights)
    expected, taps = None if rounding else decode(reference, conditioning), None
    for schedule in SCHEDULES:
        engine.launcher.schedule = schedule
        state = engine.start(BATCH, SEEDS)
        engine.push(state, conditioning)
        drawn = engine.generate(state, FRAMES * HOP)
        expected = drawn if expected is None else expected
        taps = engine.taps(state) if taps is None else taps
        np.testing.assert_array_equal(drawn, expected, err_msg=f"schedule {schedule}")
        for name, values in engine.taps(state).items():
            np.testing.assert_array_equal(values, taps[name], err_msg=f"schedule {schedule}, {name}")
    scores = decode(engine, conditioning, expected)
    np.testing.assert_allclose(scores, decode(reference, conditioning, expected), atol=0.02 if rounding else 2e-5, rtol=0)
    assert len(np.unique(expected)) > 5


@pytest.mark.slow
def test_size_b_on_a_full_cluster():
    weights = random_weights(num_layers=20, residual_channels=64, skip_channels=256, hop_length=4)
    conditioning = conditioning_for(weights, 1, 1)
    engine = EmulatorEngine(weights, blocks=16, threads=256, folded=True, resident=1)
    np.testing.assert_array_equal(
        decode(engine, conditioning, seeds=[11]), decode(ReferenceEngine(weights), conditioning, seeds=[11])
    )


@pytest.mark.slow
def test_bits_do_not_depend_on_the_cluster():
    """Dealing rows to more blocks changes no sum: float32 is one result, on one block as on sixteen."""
    weights = random_weights(hop_length=HOP, **SMALL)
    conditioning = conditioning_for(weights, BATCH, FRAMES)
    samples = np.random.default_rng(0).integers(0, 64, (BATCH, FRAMES * HOP))
    scores = [
        decode(EmulatorEngine(weights, blocks=blocks, resident=resident, threads=threads), conditioning, samples)
        for blocks, resident, threads in ((1, 0, 64), (8, 2, 64))
    ]
    np.testing.assert_array_equal(scores[1], scores[0])


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_audio_does_not_depend_on_the_batch(precision):
    weights = random_weights(hop_length=4, **(SMALL | dict(num_layers=2)))
    small_gpu = Device((9, 0), 232448, 32, 16)  # few multiprocessors, so that few streams fill them
    engine = CudaEngine(weights, precision, Emulator(schedule=1, device=small_gpu))
    batches = {1: (16, 1), 3: (16, 2), 9: (8, 4), 17: (1, 1)}
    assert {batch: (engine.layout(batch).blocks, engine.layout(batch).streams) for batch in batches} == batches
    conditioning = conditioning_for(weights, 17, 1)
    drawn = [decode(engine, conditioning[:batch], seeds=range(batch)) for batch in batches]
    for fewer, more in itertools.pairwise(drawn):
        np.testing.assert_array_equal(more[: len(fewer)], fewer)


# Deliberate faults, each a line that could be thought superfluous. The emulator must notice them all.
FAULTS = {
    "one buffer instead of two": ((("Vector<Residual> &z = s.z[l % 2];", "Vector<Residual> &z = s.z[0];"),), dict(blocks=8)),
    "only one warp arrives": (
        (("arrival_init(arrivals + thread(), WARPS)", "arrival_init(arrivals + thread(), 1)"),
         ("else if (thread() % 32 == 0) arrival_arrive(arrivals + k);", "")),
        dict(blocks=8, threads=256),
    ),
    "no wait for the residual": (
        (("if (more) exchange.take(STATE, STREAMS * RESIDUAL);", ""),),
        dict(blocks=8),
    ),
    "two buffers instead of four": (
        (("s.z[l % 4]", "s.z[l % 2]"), ("s.z[(l + 1) % 4]", "s.z[(l + 1) % 2]"), ("s.z[LAYERS % 4]", "s.z[LAYERS % 2]")),
        dict(blocks=8, folded=True),
    ),
    "drawn samples are not waited for": (
        (("        if (block == 0 && first + g < run.streams) run.audio[(u64)stream * run.samples + sample] = drawn;\n"
          "      }\n    }\n    block_sync();",
          "        if (block == 0 && first + g < run.streams) run.audio[(u64)stream * run.samples + sample] = drawn;\n"
          "      }\n    }\n"),),
        dict(blocks=1, resident=0),
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("edits", "options"), FAULTS.values(), ids=FAULTS)
def test_the_emulator_finds_races(edits, options):
    weights = random_weights(hop_length=HOP, **SMALL)
    conditioning = conditioning_for(weights, BATCH, FRAMES)
    expected = decode(ReferenceEngine(weights), conditioning)
    engine = EmulatorEngine(weights, edits=edits, **options)

    def fails(schedule: int) -> bool:
        engine.launcher.schedule = schedule
        try:
            return not np.array_equal(decode(engine, conditioning), expected)
        except Deadlock:
            return True

    assert any(fails(schedule) for schedule in SCHEDULES)
