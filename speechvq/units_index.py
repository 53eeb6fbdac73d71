"""The index of a units directory: `index.tsv`, one row an utterance, held as columns."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from speechvq.errors import UnitsError

COLUMNS = ("utt", "offset", "N", "num_samples", "gain_db", "speaker")
_KINDS = (str, int, int, int, float, str)


@dataclass(frozen=True)
class UnitsEntry:
    """One row: where an utterance's ids lie in ids.npy, and what else is known of it."""

    utt: str
    offset: int
    num_units: int
    num_samples: int
    gain_db: float
    speaker: str


@dataclass(frozen=True)
class UnitsIndex:
    """All rows as columns, sorted by utterance; a name is found by bisection.

    Args:
        utts: n names, strictly increasing.
        offsets: [n] into ids.npy.
        lengths: [n] in units.
        num_samples: [n] of the audio before padding.
        gain_db: [n] in dB.
        speakers: n names, empty where unknown.
    """

    utts: list[str]
    offsets: np.ndarray
    lengths: np.ndarray
    num_samples: np.ndarray
    gain_db: np.ndarray
    speakers: list[str]

    def __len__(self) -> int:
        return len(self.utts)

    @property
    def end(self) -> int:
        """How many ids the rows speak of."""
        return int((self.offsets + self.lengths).max(initial=0))

    def row(self, utt: str) -> int | None:
        """The row of an utterance, or None."""
        row = bisect_left(self.utts, utt)
        return row if row < len(self) and self.utts[row] == utt else None

    def entry(self, row: int) -> UnitsEntry:
        """One row as an object."""
        numbers = (int(c[row]) for c in (self.offsets, self.lengths, self.num_samples))
        return UnitsEntry(self.utts[row], *numbers, float(self.gain_db[row]), self.speakers[row])


def read_index(path: Path) -> UnitsIndex:
    """Read index.tsv.

    Raises:
        UnitsError: it is missing, unsorted, or a row does not fit the columns.
    """
    try:
        lines = open(path, encoding="utf-8")
    except FileNotFoundError:
        raise UnitsError(f"{path} is missing: write the units directory again") from None
    utts, speakers, known = [], [], {}
    width = len(COLUMNS)
    numbers = [[np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]]
    with lines:
        if tuple(next(lines, "").rstrip("\n").split("\t")) != COLUMNS:
            raise UnitsError(f"{path} must begin with the columns {' '.join(COLUMNS)}")
        while block := lines.readlines(1 << 20):
            # One split for the whole block: a list for every line would take twice as long.
            cells = "".join(block).replace("\n", "\t").split("\t")
            names, *fields, voices = (cells[column : len(block) * width : width] for column in range(width))
            try:
                if any(line.count("\t") != width - 1 for line in block):
                    raise ValueError
                for parts, kind, field in zip(numbers, _KINDS[1:5], fields, strict=True):
                    parts.append(np.array(list(map(kind, field)), parts[0].dtype))
            except ValueError:
                raise UnitsError(_name_bad_row(path)) from None
            utts.extend(names)
            speakers.extend(known.setdefault(voice, voice) for voice in voices)
    if any(a >= b for a, b in pairwise(utts)):
        raise UnitsError(f"{path} is not sorted by utterance, or names one twice: write the units directory again")
    return UnitsIndex(utts, *(np.concatenate(parts) for parts in numbers), speakers)


def format_rows(rows: Iterable[tuple]) -> str:
    """The lines of index.tsv for rows in the order of the columns."""
    return "".join([f"{u}\t{o}\t{n}\t{s}\t{g:.4f}\t{k}\n" for u, o, n, s, g, k in rows])


def sort_index(path: Path) -> None:
    """Sort the rows of index.tsv by utterance, in place."""
    with open(path, encoding="utf-8") as lines:
        header = next(lines)
        rows = sorted(lines, key=lambda line: line.partition("\t")[0])
    with open(path, "w", encoding="utf-8") as out:
        out.write(header)
        out.writelines(rows)


def _name_bad_row(path: Path) -> str:
    with open(path, encoding="utf-8") as lines:
        next(lines)
        for number, line in enumerate(lines, start=2):
            try:
                for kind, field in zip(_KINDS, line.rstrip("\n").split("\t"), strict=True):
                    kind(field)
            except ValueError:
                return f"{path} line {number} does not have the columns {' '.join(COLUMNS)}"
    return f"{path} does not have the columns {' '.join(COLUMNS)}"
