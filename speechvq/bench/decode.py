"""speechvq bench decode: every decoding engine that runs here, beside PyTorch on the same weights in the same run."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass

from speechvq.errors import InputError
from speechvq.options import whole

HELP = "Time decoding: every engine that runs here, beside a cached PyTorch step and TorchScript's."
EXAMPLE = """  speechvq bench decode --sizes A,D --seconds 5
  speechvq bench decode --model exp/vctk64/best --audio speech.wav --json"""

# Layers, residual and skip channels; all with 256 classes, kernel 2, dilations 1..512.
SIZES = {"A": (20, 64, 128), "B": (20, 64, 256), "C": (30, 128, 256), "D": (20, 32, 128)}
BACKENDS = ("reference", "cpu", "cuda", "torch", "torchscript")
ROUNDS = 7
SCORED = 256  # samples over which random weights are compared with the reference


@dataclass
class Row:
    """One engine's measurement; `nll_difference` (nats a sample, against float64) needs a trained model and speech."""

    size: str
    backend: str
    precision: str
    threads: int
    batch: int
    samples_per_second: float = 0.0
    times_real_time: float = 0.0
    ratio_to_torch: float = 0.0
    logit_rms: float | None = None
    nll_difference: float | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--sizes", default="A,B,C,D", metavar="LIST", help="decoder sizes to try with random weights (A,B,C,D)")
    parser.add_argument("--backends", default=",".join(BACKENDS), metavar="LIST", help="of reference,cpu,cuda,torch,torchscript (all that run)")
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="streams of the rows that decode several (8)")
    parser.add_argument("--seconds", type=float, default=0.4, metavar="S", help="how long each of 7 rounds takes an engine (0.4)")
    parser.add_argument("--threads", type=whole(1), metavar="N", help="most threads; one a core where left out")
    parser.add_argument("--model", metavar="DIR", help="measure this trained model's decoder instead of random weights")
    parser.add_argument("--audio", metavar="PATH", help="real speech for --model, on which the NLL is compared")
    parser.add_argument("--speaker", metavar="NAME", help="who speaks in --audio; the first speaker where left out")
    parser.add_argument("--seed", type=whole(0), default=0, metavar="N", help="of the random weights (0)")
    parser.add_argument("--json", action="store_true", help="print a JSON array of rows alone")


def run(args: argparse.Namespace) -> int:
    """Measure, and print a table or JSON."""
    import json

    backends = args.backends.split(",")
    if wrong := sorted(set(backends) - set(BACKENDS)):
        raise InputError(f"no backend {wrong[0]!r}: choose of {', '.join(BACKENDS)}")
    if (args.model is None) != (args.audio is None):
        raise InputError("--model and --audio go together: a trained model, and speech to score with it")
    if not args.json:
        print(_machine())
    rows = []
    for case in _cases(args):
        measured = _measure(case, backends, args)
        rows += measured
        if not args.json:
            _print(measured)
    if args.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
    return 0


def _cases(args: argparse.Namespace):
    from speechvq.bench.decode_cases import random_case, trained_case

    if args.model:
        yield trained_case(args.model, args.audio, args.speaker)
        return
    for size in args.sizes.split(","):
        if size not in SIZES:
            raise InputError(f"no decoder size {size!r}: choose of {', '.join(SIZES)}")
        yield random_case(size, *SIZES[size], seed=args.seed, num_samples=SCORED)


def _measure(case, backends: list[str], args: argparse.Namespace) -> list[Row]:
    """All runners of a case, in turns, so that what else the machine does falls on all alike."""
    import statistics

    from speechvq.bench.decode_cases import runners

    pairs = []
    for runner in runners(case, backends, args.threads, args.batch):
        row = Row(case.name, runner.backend, runner.precision, runner.threads, runner.batch)
        row.logit_rms, row.nll_difference = runner.errors()
        runner.calibrate(args.seconds)
        pairs.append((row, runner))
    speeds = [[runner.speed() for _, runner in pairs] for _ in range(ROUNDS)]
    for (row, _), measured in zip(pairs, zip(*speeds, strict=True), strict=True):
        row.samples_per_second = statistics.median(measured)
        row.times_real_time = row.samples_per_second / case.sample_rate
    eager = max((row.samples_per_second for row, _ in pairs if row.backend == "torch" and row.batch == 1), default=0.0)
    for row, _ in pairs:
        row.ratio_to_torch = row.samples_per_second / eager if eager else 0.0
    return [row for row, _ in pairs]


def _machine() -> str:
    import os
    import platform

    import numba
    import numpy as np
    import torch
    from llvmlite import binding

    from speechvq.engine.cpu import available_forms

    return (
        f"{binding.get_host_cpu_name()} ({platform.machine()}), {os.cpu_count()} cores, code: {', '.join(available_forms())}; "
        f"Python {platform.python_version()}, numpy {np.__version__}, numba {numba.__version__}, torch {torch.__version__}"
    )


def _print(rows: list[Row]) -> None:
    print(f"\n{'size':5}{'backend':12}{'precision':10}{'threads':>8}{'batch':>6}{'samples/s':>11}{'x real':>8}{'x torch':>9}{'logit rms':>11}{'NLL diff':>10}")
    for r in rows:
        rms = "" if r.logit_rms is None else f"{r.logit_rms:.2g}"
        nll = "" if r.nll_difference is None else f"{r.nll_difference:+.4f}"
        print(
            f"{r.size:5}{r.backend:12}{r.precision:10}{r.threads:8d}{r.batch:6d}{r.samples_per_second:11.0f}"
            f"{r.times_real_time:8.2f}{r.ratio_to_torch:9.1f}{rms:>11}{nll:>10}"
        )
