"""speechvq bench train: the decoder's forward and backward pass, beside a plain PyTorch build of the same network."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from speechvq.bench.decode import SIZES
from speechvq.errors import InputError

if TYPE_CHECKING:
    import torch

HELP = "Time the decoder's training step beside a plain PyTorch build of the same network."
EXAMPLE = """  speechvq bench train --sizes D
  speechvq bench train --device cuda --batch 32 --json"""

HOP = 64
CODE_DIM = 64


@dataclass
class Row:
    """One build's measurement; `nll_difference` is from ours, in nats a sample."""

    size: str
    build: str
    device: str
    batch: int
    crop: int
    samples_per_second: float
    ratio_to_plain: float
    nll_difference: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--sizes", default="A,D", metavar="LIST", help="decoder sizes to try, of A,B,C,D (A,D)")
    parser.add_argument("--batch", type=int, default=4, metavar="N", help="crops of a step (4)")
    parser.add_argument("--crop", type=int, default=4096, metavar="T", help="samples of a crop (4096)")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="measurements of each build, in turns; the median counts (7)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ...; bfloat16 on a GPU, as in training (cpu)")
    parser.add_argument("--json", action="store_true", help="print a JSON array of rows alone")


def run(args: argparse.Namespace) -> int:
    """Measure, and print a table or JSON."""
    import json

    if wrong := sorted(set(args.sizes.split(",")) - set(SIZES)):
        raise InputError(f"no decoder size {wrong[0]!r}: choose of {', '.join(SIZES)}")
    if args.crop % HOP:
        raise InputError(f"--crop should be a multiple of {HOP}, is {args.crop}")
    rows = [row for size in args.sizes.split(",") for row in _measure(size, args)]
    if args.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
        return 0
    print(f"{'size':5}{'build':16}{'device':8}{'batch':>6}{'crop':>7}{'samples/s':>11}{'x plain':>9}{'NLL diff':>11}")
    for r in rows:
        print(f"{r.size:5}{r.build:16}{r.device:8}{r.batch:6d}{r.crop:7d}{r.samples_per_second:11.0f}{r.ratio_to_plain:9.2f}{r.nll_difference:+11.6f}")
    return 0


def _measure(size: str, args: argparse.Namespace) -> list[Row]:
    import statistics
    import time

    import torch

    steps = _steps(size, args)
    losses = {name: step() for name, step in steps.items()}  # the first step also warms up, or compiles
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(args.rounds):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            if torch.device(args.device).type == "cuda":
                torch.cuda.synchronize()
            seconds[name].append(time.perf_counter() - began)
    speeds = {name: args.batch * args.crop / statistics.median(times) for name, times in seconds.items()}
    return [
        Row(size, name, args.device, args.batch, args.crop, speed, speed / speeds["plain"], losses[name] - losses["speechvq"])
        for name, speed in speeds.items()
    ]


def _steps(size: str, args: argparse.Namespace) -> dict[str, Callable[[], float]]:
    """A training step of each build, on the same weights, samples and conditioning; each returns its NLL."""
    import torch
    from torch.nn import functional as F

    from speechvq.bench.plain_wavenet import PlainWaveNet
    from speechvq.config import DecoderConfig
    from speechvq.nn.wavenet import CLASSES, WaveNetDecoder

    torch.manual_seed(0)
    layers, residual, skip = SIZES[size]
    ours = WaveNetDecoder(DecoderConfig(layers=layers, residual=residual, skip=skip), CODE_DIM, HOP).to(args.device)
    samples = torch.randint(0, CLASSES, (args.batch, args.crop), device=args.device)
    told = torch.randn(args.batch, layers, 2 * residual, args.crop // HOP, device=args.device, requires_grad=True)

    def step_of(decoder: torch.nn.Module) -> Callable[[], float]:
        def step() -> float:
            with torch.autocast(told.device.type, torch.bfloat16, enabled=told.device.type == "cuda"):
                logits = decoder(samples, told)
            loss = F.cross_entropy(logits.float(), samples)
            decoder.zero_grad()
            loss.backward()
            return loss.item()

        return step

    builds = {"speechvq": ours, "plain": PlainWaveNet(ours)}
    if told.device.type == "cuda":
        builds["plain, compiled"] = torch.compile(builds["plain"])
    return {name: step_of(build) for name, build in builds.items()}
