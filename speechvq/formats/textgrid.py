"""Praat TextGrid: `<utt>.TextGrid` with a tier `units`, every run of one unit as an interval.

With a data directory that has phone times, the tier `phones` stands beside it. Repeats are kept, as
durations; `--dedup` therefore changes nothing. Limits: one file an utterance; the tier must have no gaps.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from speechvq.alignment import Alignment, Interval, read_textgrid, write_textgrid
from speechvq.errors import FormatError
from speechvq.formats.common import Batch, Meta

CONSUMER = "Praat"
EXAMPLE = 'p225-p225_001.TextGrid: tier "units": [0.000, 0.008] "71", [0.008, 0.016] "12"'
KEEPS_RUNS = True
_FILES_IN_BATCH = 64


def write(directory: Path, batches: Iterator[Batch], meta: Meta) -> None:
    """Write <utt>.TextGrid for every utterance."""
    for batch in batches:
        runs = batch.collapsed()
        for utt, ids, durations in zip(runs.utts, runs.rows(), runs.rows(runs.durations), strict=True):
            if "/" in utt:
                raise FormatError(f"'{utt}' cannot be the name of a file: rename it")
            times = (np.concatenate([[0], np.cumsum(durations)]) / meta.rate).tolist()
            labels = map(str, ids.tolist())
            tiers = {"units": Alignment(tuple(map(Interval, times[:-1], times[1:], labels)))}
            phones = meta.alignment(utt) if meta.alignment else None
            if phones:
                tiers["phones"] = phones
            write_textgrid(directory / f"{utt}.TextGrid", tiers, times[-1])


def read(directory: Path, meta: Meta) -> Iterator[Batch]:
    """Read every .TextGrid, sorted by name."""
    files = sorted(directory.glob("*.TextGrid"))
    if not files:
        raise FormatError(f"{directory} holds no .TextGrid: is this --format textgrid?")
    for start in range(0, len(files), _FILES_IN_BATCH):
        some = files[start : start + _FILES_IN_BATCH]
        rows = [_units(path, meta) for path in some]
        ids, durations = (np.concatenate([row[k] for row in rows]) for k in (0, 1))
        lengths = np.array([len(row[0]) for row in rows], np.int64)
        yield Batch([path.stem for path in some], ids, lengths, durations=durations)


def _units(path: Path, meta: Meta) -> tuple[np.ndarray, np.ndarray]:
    intervals = read_textgrid(path, "units").intervals
    try:
        ids = np.array([int(interval.label) for interval in intervals], np.int64)
    except ValueError:
        raise FormatError(f"{path}: the tier 'units' must hold numbers only, without gaps") from None
    starts = np.rint(np.array([i.start for i in intervals]) * meta.rate).astype(np.int64)
    ends = np.rint(np.array([i.end for i in intervals]) * meta.rate).astype(np.int64)
    if np.any(starts != np.concatenate([[0], ends[:-1]])[: len(starts)]):
        raise FormatError(f"{path}: the tier 'units' must begin at 0 and have no gaps")
    return ids, ends - starts
