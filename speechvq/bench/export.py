"""speechvq bench export: how fast units are exported and imported, and in how much memory."""

from __future__ import annotations

import argparse

from speechvq.formats import FORMATS
from speechvq.options import whole

HELP = "Time exporting and importing of every format on random units."
EXAMPLE = """  speechvq bench export --utterances 1000000 --formats kaldi-text npz
  speechvq bench export --json"""

# One file an utterance: the disk decides, not we.
FILE_EACH = ("lhotse", "textgrid", "zerospeech2019")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--formats", nargs="+", choices=FORMATS, default=list(FORMATS), metavar="NAME", help="which (all)"
    )
    parser.add_argument(
        "--utterances", type=int, default=100_000, metavar="N", help="how many (100000; a hundredth for one file each)"
    )
    parser.add_argument("--units", type=int, default=100, metavar="N", help="units of an utterance on average (100)")
    parser.add_argument("--codebook-size", type=int, default=512, metavar="K", help="number of units (512)")
    parser.add_argument("--seed", type=whole(0), default=0, metavar="N", help="of the random units (0)")
    parser.add_argument(
        "--dir", metavar="DIR", help="where to write and remove the files (the system's temporary folder)"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON array")


def run(args: argparse.Namespace) -> int:
    """Time every format, each in a process of its own, so that memory is its own too."""
    import json
    import tempfile
    from multiprocessing import get_context
    from pathlib import Path

    results = []
    with tempfile.TemporaryDirectory(dir=args.dir) as folder:
        for name in args.formats:
            count = max(args.utterances // 100, 1) if name in FILE_EACH else args.utterances
            units = Path(folder) / f"units-{count}"
            if not units.exists():
                _random_units(units, count, args.units, args.codebook_size, args.seed)
            with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
                export = pool.apply(_measure, ("export", name, str(units), f"{folder}/out"))
                back = pool.apply(_measure, ("import", name, f"{folder}/out", f"{folder}/back"))
            results.append({"format": name, "utterances": count, "units": args.units} | export | back)
            if not args.json:
                _print(results[-1], first=len(results) == 1)
    if args.json:
        print(json.dumps(results, indent=1))
    return 0


def _random_units(path, count: int, mean: int, codebook_size: int, seed: int) -> None:
    """A units directory with utterances of `mean` units on average, in runs of two on average."""
    import numpy as np

    from speechvq.units import UnitsBatch, UnitsWriter

    rng = np.random.default_rng(seed)
    with UnitsWriter(path, codebook_size, 640, 16000) as writer:
        for start in range(0, count, 10_000):
            n = min(10_000, count - start)
            lengths = rng.integers(max(mean // 2, 1), mean + mean // 2 + 1, n)
            total = int(lengths.sum())
            ids = rng.integers(0, codebook_size, total)[np.cumsum(rng.random(total) < 0.5) % total]
            names = [f"s{(start + i) // 100:06d}" for i in range(n)]
            utts = [f"{speaker}-{start + i:08d}" for i, speaker in enumerate(names)]
            writer.add_batch(UnitsBatch(utts, ids, lengths, lengths * 640, np.zeros(n), names))


def _measure(task: str, name: str, source: str, target: str) -> dict:
    """Run one export or import; seconds by the clock and of the processor, and peak memory."""
    import resource
    import shutil
    import time

    from speechvq.formats.transfer import export_units, import_units
    from speechvq.units import UnitsDir

    def transfer() -> None:
        if task == "export":
            export_units(UnitsDir(source), name, target)
        else:
            import_units(source, name, target)

    shutil.rmtree(target, ignore_errors=True)
    started, processor = time.perf_counter(), time.process_time()
    transfer()
    return {
        f"{task}_seconds": round(time.perf_counter() - started, 3),
        f"{task}_cpu_seconds": round(time.process_time() - processor, 3),
        f"{task}_peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _print(row: dict, first: bool) -> None:
    """One line: utterances a second by the clock and by the processor (what they would be on an idle machine)."""
    tasks = ("export", "import")
    if first:
        heads = [f"{task} {what}" for task in tasks for what in ("/s", "/cpu-s", "MiB")]
        print(f"{'format':19}{'utterances':>11}" + "".join(f"{head:>15}" for head in heads))
    line = f"{row['format']:19}{row['utterances']:11,}"
    for task in tasks:
        clock, processor = (row["utterances"] / max(row[f"{task}_{kind}"], 1e-3) for kind in ("seconds", "cpu_seconds"))
        line += f"{clock:15,.0f}{processor:15,.0f}{row[f'{task}_peak_mib']:15,}"
    print(line, flush=True)
