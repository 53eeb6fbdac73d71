"""CTM: `units.ctm`, every run of one unit as a word, `utt 1 start duration unit`, in seconds.

Repeats are kept, as durations; `--dedup` therefore changes nothing. Times have six decimals, from which frames
come back exactly up to some hours of speech. Limits: files from elsewhere must have no gaps between units.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from speechvq.errors import FormatError
from speechvq.formats.common import Batch, Meta
from speechvq.formats.text import BLOCK_BYTES, Lines, decode_names, find_file, open_file

CONSUMER = "Kaldi scoring, NIST sclite"
EXAMPLE = "units.ctm: p225-p225_001 1 0.000000 0.008000 71"
KEEPS_RUNS = True
_EXPECTED = "'utt channel start duration unit', without gaps"
# A space, '1', three numbers of at most 20 characters with their spaces, a newline.
_LINE_BYTES = 80
# A line of no utterance, after which the last one is known to be whole.
_END = b"\0 1 0 0 0\n"


def write(directory: Path, batches: Iterator[Batch], meta: Meta) -> None:
    """Write units.ctm."""
    from speechvq.formats.kernels import ctm_lines

    with open(directory / "units.ctm", "wb") as out:
        for batch in batches:
            runs = batch.collapsed()
            starts, ends = frames(runs)
            names = [utt.encode() for utt in runs.utts]
            sizes = np.array([len(name) for name in names], np.int64)
            room = np.empty(int(((sizes + _LINE_BYTES) * runs.lengths).sum()), np.uint8)
            times = [micros(frame, meta) for frame in (starts, ends)]
            joined = np.frombuffer(b"".join(names), np.uint8)
            size = ctm_lines(joined, np.cumsum(sizes), runs.lengths, runs.ids, *times, room)
            out.write(room[:size].data)


def read(directory: Path, meta: Meta) -> Iterator[Batch]:
    """Read units.ctm, or the only .ctm there is; the lines of an utterance stand together."""
    path = find_file(directory, "units.ctm", "*.ctm")
    lines_before = 0
    rest = b""
    with open_file(path) as source:
        while block := source.read(BLOCK_BYTES):
            # The last utterance may go on in the next block.
            lines, cut = _parse(path, lines_before, rest + block[: block.rfind(b"\n") + 1])
            rest = cut + block[block.rfind(b"\n") + 1 :]
            if len(lines.ids):
                yield _batch(path, lines_before, lines, meta)
            lines_before += len(lines.ids)
    lines, cut = _parse(path, lines_before, rest + b"\n" * (not rest.endswith(b"\n")) + _END)
    if len(lines.ids):
        yield _batch(path, lines_before, lines, meta)


def frames(runs: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Where each run starts and ends, in units from the beginning of its utterance."""
    ends = np.cumsum(runs.durations)
    before = np.concatenate([[0], ends])
    first = before[np.cumsum(runs.lengths) - runs.lengths]
    offset = np.repeat(first, runs.lengths)
    return ends - runs.durations - offset, ends - offset


def micros(frame: np.ndarray, meta: Meta) -> np.ndarray:
    """Times of frame boundaries in whole microseconds."""
    return (frame.astype(np.int64) * meta.hop_length * 1_000_000 + meta.sample_rate // 2) // meta.sample_rate


class _Lines(NamedTuple):
    """Lines of a CTM as columns: times in microseconds, and which line begins an utterance."""

    utts: list[str]
    first: np.ndarray
    starts: np.ndarray
    durations: np.ndarray
    ids: np.ndarray


def _parse(path: Path, lines_before: int, text: bytes) -> tuple[_Lines, bytes]:
    """All utterances but the last, and the text of the last."""
    from speechvq.formats.kernels import parse_ctm

    count = text.count(b"\n")
    names = np.empty((count, 2), np.int64)
    numbers = np.empty((3, count), np.int64)
    first = np.zeros(count, np.bool_)
    bad = parse_ctm(np.frombuffer(text, np.uint8), names, first, numbers)
    if bad >= 0:
        line = text.split(b"\n", bad + 1)[bad]
        raise _fault(path, lines_before + bad, f"found '{line[:60].decode('utf-8', 'replace')}'")
    begins = np.flatnonzero(first)
    done = int(begins[-1]) if count else 0
    utts = decode_names([text[start:end] for start, end in names[begins[:-1]].tolist()], Lines(path, lines_before + 1, []))
    return _Lines(utts, first[:done], *numbers[:, :done]), text[names[done, 0] :] if count else b""


def _batch(path: Path, lines_before: int, lines: _Lines, meta: Meta) -> Batch:
    per_second = meta.sample_rate / meta.hop_length / 1e6
    starts = np.rint(lines.starts * per_second).astype(np.int64)
    ends = np.rint((lines.starts + lines.durations) * per_second).astype(np.int64)
    due = np.where(lines.first, 0, np.concatenate([[0], ends[:-1]]))
    wrong = np.flatnonzero((starts != due) | (ends < starts))
    if wrong.size:
        at = int(wrong[0])
        raise _fault(path, lines_before + at, f"unit {lines.ids[at]} does not begin where the one before it ends")
    lengths = np.diff(np.flatnonzero(lines.first), append=len(lines.ids))
    return Batch(lines.utts, lines.ids, lengths, durations=ends - starts)


def _fault(path: Path, line: int, found: str) -> FormatError:
    return FormatError(f"{path} line {line + 1}: expected {_EXPECTED}, {found}")
