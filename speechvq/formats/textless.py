"""textlesslib: `transcript.units`, lines `name<TAB>71 12 57`, and `transcript.durations` with `--dedup`.

With durations nothing is lost by `--dedup`; without them (as textlesslib writes unless it is asked)
the units come back as they stand. F0 is not written.
Source: textlesslib, tools/distributed_transcribe/transcribe.py with --preserve_name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from speechvq.errors import FormatError
from speechvq.formats.common import Batch, Meta
from speechvq.formats.text import decimals, durations_vocabulary, find_file, named_lines, read_named_rows

CONSUMER = "textlesslib"
EXAMPLE = "transcript.units: p225-p225_001<TAB>71 12 57    transcript.durations: p225-p225_001<TAB>2 2 1"
KEEPS_RUNS = True


def write(directory: Path, batches: Iterator[Batch], meta: Meta) -> None:
    """Write transcript.units, and transcript.durations where runs are collapsed."""
    vocabulary = decimals(meta.codebook_size)
    with ExitStack() as stack:
        units = stack.enter_context(open(directory / "transcript.units", "wb"))
        if meta.dedup:
            durations = stack.enter_context(open(directory / "transcript.durations", "wb"))
        for batch in batches:
            units.write(named_lines(batch.utts, vocabulary.write(batch.ids, batch.lengths), "\t"))
            if meta.dedup:
                rows = durations_vocabulary(batch.durations).write(batch.durations, batch.lengths)
                durations.write(named_lines(batch.utts, rows, "\t"))


def read(directory: Path, meta: Meta) -> Iterator[Batch]:
    """Read transcript.units, or the only .units there is, and the .durations beside it."""
    path = find_file(directory, "transcript.units", "*.units")
    units = read_named_rows(path, b"\t", b" ", "'name<TAB>71 12 57 ...'")
    beside = path.with_suffix(".durations")
    if not beside.exists():
        yield from units
        return
    rows = _singles(read_named_rows(beside, b"\t", b" ", "'name<TAB>2 2 1 ...'"))
    for batch in units:
        durations = []
        for utt, length in zip(batch.utts, batch.lengths.tolist(), strict=True):
            name, row = next(rows, ("", None))
            if name != utt or len(row) != length:
                raise FormatError(f"{beside} does not give the durations of '{utt}' where {path.name} gives its units")
            durations.append(row)
        yield replace(batch, durations=np.concatenate([*durations, np.zeros(0, np.int64)]))


def _singles(batches: Iterator[Batch]) -> Iterator[tuple[str, np.ndarray]]:
    for batch in batches:
        yield from zip(batch.utts, batch.rows(), strict=True)
