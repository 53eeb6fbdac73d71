"""ZeroSpeech 2019 and 2020: `<utt>.txt`, one vector a line, which is the unit as one-hot numbers.

The challenge's bitrate counts different lines, and its ABX takes any distance between vectors; one-hot
vectors serve both. Files from elsewhere may hold any vectors: equal lines are one unit, numbered as they first occur,
file after file. Limits: K up to 4,096, because a line has K numbers; one file an utterance.
Source: zerospeech.com, tasks of 2019, "unit discovery" and the bitrate.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from speechvq.errors import FormatError
from speechvq.formats.common import Batch, Meta
from speechvq.formats.text import Vocabulary, open_file

CONSUMER = "ZeroSpeech 2019, 2020"
EXAMPLE = "p225-p225_001.txt: 0 0 1 0 (one line a unit, K numbers, 1 at the unit)"
MAX_UNITS = 4096
_FILES_IN_BATCH = 64


def write(directory: Path, batches: Iterator[Batch], meta: Meta) -> None:
    """Write <utt>.txt for every utterance."""
    size = meta.codebook_size
    if size > MAX_UNITS:
        raise FormatError(
            f"a line of zerospeech2019 has a number for each unit: {size} units are more than {MAX_UNITS}"
        )
    lines = Vocabulary(_one_hot(unit, size) for unit in range(size))
    for batch in batches:
        for utt, row in zip(batch.utts, batch.rows(), strict=True):
            if "/" in utt:
                raise FormatError(f"'{utt}' cannot be the name of a file: rename it")
            (directory / f"{utt}.txt").write_bytes(lines.write(row, np.array([len(row)]))[0])


def read(directory: Path, meta: Meta) -> Iterator[Batch]:
    """Read every .txt, sorted by name."""
    files = sorted(directory.glob("*.txt"))
    if not files:
        raise FormatError(f"{directory} holds no .txt: is this --format zerospeech2019?")
    known = {_one_hot(unit, meta.codebook_size): unit for unit in range(min(meta.codebook_size, MAX_UNITS))}
    numbered: dict[bytes, int] = {}
    for start in range(0, len(files), _FILES_IN_BATCH):
        rows = [_ids(path, known, numbered) for path in files[start : start + _FILES_IN_BATCH]]
        names = [path.stem for path in files[start : start + _FILES_IN_BATCH]]
        yield Batch(names, np.concatenate(rows), np.array([len(row) for row in rows], np.int64))


def _one_hot(unit: int, size: int) -> bytes:
    line = bytearray(b"0 " * size)
    line[2 * unit] = ord("1")
    line[-1] = ord("\n")
    return bytes(line)


def _ids(path: Path, known: dict[bytes, int], numbered: dict[bytes, int]) -> np.ndarray:
    with open_file(path) as source:
        lines = [line if line.endswith(b"\n") else line + b"\n" for line in source]
    if not numbered and all(line in known for line in lines):
        return np.array([known[line] for line in lines], np.int64)
    for line in lines:
        try:
            values = line.split()
            [float(value) for value in values]
        except ValueError:
            values = []
        if not values:
            raise FormatError(
                f"{path}: expected a vector on every line, found '{line[:60].decode('utf-8', 'replace').strip()}'"
            )
    return np.array([numbered.setdefault(line, len(numbered)) for line in lines], np.int64)
