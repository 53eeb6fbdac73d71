"""Lines of text in blocks: files to lines, lines to ids, ids to lines."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from speechvq.errors import FormatError
from speechvq.formats.common import Batch

BLOCK_BYTES = 1 << 21


class Vocabulary:
    """How each unit is written.

    Args:
        tokens: K byte strings, the separator that follows each included.
        trailing: bytes to drop at the end of a row, the length of that separator.
    """

    def __init__(self, tokens: Iterable[bytes], trailing: int = 0):
        tokens = list(tokens)
        self._bytes = np.frombuffer(b"".join(tokens), np.uint8)
        self._starts = np.concatenate([[0], np.cumsum([len(token) for token in tokens])]).astype(np.int64)
        self._longest = max((len(token) for token in tokens), default=0)
        self._trailing = trailing

    def write(self, ids: np.ndarray, lengths: np.ndarray) -> list[bytes]:
        """The text of each row.

        Args:
            ids: [sum of lengths].
            lengths: [n].
        """
        from speechvq.formats.kernels import join_tokens

        out = np.empty(len(ids) * self._longest, np.uint8)
        ends = np.empty(len(lengths), np.int64)
        join_tokens(ids, lengths, self._bytes, self._starts, out, ends)
        text = out[: ends[-1] if len(ends) else 0].tobytes()
        drop = self._trailing
        return [text[start : max(end - drop, start)] for start, end in pairwise([0, *ends.tolist()])]


def decimals(size: int, separator: str = " ") -> Vocabulary:
    """Units written as decimal numbers.

    Args:
        size: numbers below this can be written.
        separator: what stands between two.
    """
    return Vocabulary((f"{unit}{separator}".encode() for unit in range(size)), len(separator))


def durations_vocabulary(durations: np.ndarray, separator: str = " ") -> Vocabulary:
    """Decimal numbers as far as these durations need."""
    return decimals(int(durations.max(initial=0)) + 1, separator)


@dataclass(frozen=True)
class Lines:
    """A block of a text file.

    Args:
        path: the file.
        first: number of the first line, from 1.
        lines: without their newlines.
    """

    path: Path
    first: int
    lines: list[bytes]

    def fault(self, row: int, expected: str) -> FormatError:
        """The error that names a line."""
        shown = self.lines[row][:60].decode("utf-8", "replace")
        return FormatError(f"{self.path} line {self.first + row}: expected {expected}, found '{shown}'")


def read_lines(path: str | os.PathLike, block_bytes: int | None = None) -> Iterator[Lines]:
    """Read a text file block by block, in bounded memory.

    Args:
        path: the file.
        block_bytes: about how much to read at a time; BLOCK_BYTES where not given.

    Raises:
        FormatError: there is no such file.
    """
    path = Path(path)
    first = 1
    with open_file(path) as source:
        while lines := source.readlines(block_bytes or BLOCK_BYTES):
            yield Lines(path, first, [line.rstrip(b"\r\n") for line in lines])
            first += len(lines)


def open_file(path: Path):
    """Open a file for reading bytes, or say which one is missing."""
    try:
        return open(path, "rb")
    except OSError as error:
        raise FormatError(f"{path} cannot be read ({error.strerror}): is this the right --format?") from None


def find_file(directory: Path, name: str, pattern: str) -> Path:
    """The file of that name, or else the only one that fits the pattern: others name theirs freely.

    Raises:
        FormatError: there is none, or several.
    """
    if (directory / name).exists():
        return directory / name
    found = sorted(directory.glob(pattern))
    if len(found) != 1:
        names = ", ".join(path.name for path in found[:5]) or "none"
        raise FormatError(f"{directory} should hold {name}, or one file {pattern}; it holds {names}")
    return found[0]


def split_names(block: Lines, separator: bytes | None, expected: str) -> tuple[list[str], list[bytes]]:
    """Cut each line at the first separator into a name and the rest.

    Args:
        block: the lines.
        separator: None cuts at white space, and lets a line hold a name only.
        expected: the line that should have stood there, for the error.
    """
    names, rests = [], []
    for row, line in enumerate(block.lines):
        parts = line.split(separator, 1)
        if len(parts) != 2 and not (separator is None and len(parts) == 1):
            raise block.fault(row, expected)
        names.append(parts[0])
        rests.append(parts[1] if len(parts) == 2 else b"")
    return decode_names(names, block), rests


def decode_names(names: list[bytes], block: Lines) -> list[str]:
    """Names as text."""
    try:
        return b"\n".join(names).decode().split("\n") if names else []
    except UnicodeDecodeError:
        raise FormatError(f"{block.path}: a name near line {block.first} is not UTF-8") from None


def parse_ids(block: Lines, rows: list[bytes], separators: bytes, expected: str) -> tuple[np.ndarray, np.ndarray]:
    """Read the integers of each row.

    Args:
        block: where the rows are from, for the error.
        rows: n texts.
        separators: the bytes that may stand around numbers.
        expected: the line that should have stood there.

    Returns:
        ids [sum of lengths] and lengths [n].
    """
    from speechvq.formats.kernels import byte_set, parse_integers

    text = np.frombuffer(b"\n".join([*rows, b""]), np.uint8)
    ids = np.empty(len(text) // 2 + 1, np.int64)
    lengths = np.zeros(len(rows), np.int64)
    bad, count = parse_integers(text, byte_set(separators), ids, lengths)
    if bad >= 0:
        raise block.fault(bad, expected)
    return ids[:count], lengths


def read_named_rows(path: Path, separator: bytes | None, separators: bytes, expected: str) -> Iterator[Batch]:
    """Read a file of lines `name separator integers`, the commonest form of all."""
    for block in read_lines(path):
        names, rows = split_names(block, separator, expected)
        yield Batch(names, *parse_ids(block, rows, separators, expected))


def write_named_rows(path: Path, batches: Iterator[Batch], vocabulary: Vocabulary, separator: str) -> None:
    """Write lines `name separator units`."""
    with open(path, "wb") as out:
        for batch in batches:
            out.write(named_lines(batch.utts, vocabulary.write(batch.ids, batch.lengths), separator))


def named_lines(names: list[str], rows: list[bytes], separator: str) -> bytes:
    """The bytes of lines `name separator row`."""
    cut = separator.encode()
    names = "\n".join(names).encode().split(b"\n") if names else []
    return b"".join([name + cut + row + b"\n" for name, row in zip(names, rows, strict=True)])
