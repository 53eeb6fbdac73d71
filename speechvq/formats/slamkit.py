"""SlamKit: `features.jsonl` with units and durations, `tokens.jsonl` with them as `<Un71><Un12>`.

Every unit has its duration, so `--dedup` loses nothing; it is what SlamKit itself does by default.
Limits: utterances are named by the stem of `file_name`.
Source: SlamKit, cli/extract_features.py and slamkit/tokeniser/unit_tokeniser.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from speechvq.formats.common import Batch, Meta, paths, stems
from speechvq.formats.text import Lines, Vocabulary, decimals, durations_vocabulary, find_file, parse_ids, read_lines

CONSUMER = "SlamKit"
EXAMPLE = 'features.jsonl: {"units": [71, 12], "duration": [2, 2], "file_name": "p225/p225-p225_001.wav"}'
KEEPS_RUNS = True
_LINE = re.compile(rb'\{"units": \[([^]]*)\], "duration": \[([^]]*)\], "file_name": ("(?:[^"\\]|\\.)*")\}')
_EXPECTED = '{"units": [71, 12], "duration": [2, 2], "file_name": "path"}'


def write(directory: Path, batches: Iterator[Batch], meta: Meta) -> None:
    """Write features.jsonl and tokens.jsonl."""
    numbers = decimals(meta.codebook_size, ", ")
    tokens = Vocabulary(f"<Un{unit}>".encode() for unit in range(meta.codebook_size))
    with open(directory / "features.jsonl", "wb") as features, open(directory / "tokens.jsonl", "wb") as audio_repr:
        for batch in batches:
            durations = batch.durations if batch.durations is not None else np.ones(len(batch.ids), np.int64)
            names = [json.encoder.encode_basestring_ascii(path).encode() for path in paths(batch)]
            units = numbers.write(batch.ids, batch.lengths)
            lasting = durations_vocabulary(durations, ", ").write(durations, batch.lengths)
            rows = zip(units, lasting, names, strict=True)
            features.write(b"".join([b'{"units": [%b], "duration": [%b], "file_name": %b}\n' % row for row in rows]))
            rows = zip(names, tokens.write(batch.ids, batch.lengths), strict=True)
            audio_repr.write(b"".join([b'{"file_name": %b, "audio_repr": "%b"}\n' % row for row in rows]))


def read(directory: Path, meta: Meta) -> Iterator[Batch]:
    """Read features.jsonl, or the only .jsonl there is; keys other than these three are left aside."""
    for block in read_lines(find_file(directory, "features.jsonl", "*.jsonl")):
        units, durations, names = _usual(block.lines) or _any(block)
        ids, lengths = parse_ids(block, units, b", ", _EXPECTED)
        lasting, counts = parse_ids(block, durations, b", ", _EXPECTED)
        if wrong := np.flatnonzero(lengths != counts).tolist():
            raise block.fault(wrong[0], _EXPECTED)
        yield Batch(stems(names), ids, lengths, durations=lasting, audio=list(names))


_Columns = tuple[list[bytes], list[bytes], list[str]]


def _usual(lines: list[bytes]) -> _Columns | None:
    """Units and durations as text, and files' names, where all lines are as SlamKit writes them: much the fastest."""
    cut = [_LINE.fullmatch(line) for line in lines]
    if not all(cut):
        return None
    units, durations, quoted = map(list, zip(*(found.groups() for found in cut), strict=True))
    try:
        names = json.loads(b"[" + b",".join(quoted) + b"]")
    except ValueError:
        return None
    return (units, durations, names) if len(names) == len(lines) else None


def _any(block: Lines) -> _Columns:
    """The same of any JSON objects with these keys."""
    units, durations, names = [], [], []
    for number, line in enumerate(block.lines):
        try:
            entry = json.loads(line)
            unit, duration = (" ".join(map(str, entry[key])).encode() for key in ("units", "duration"))
            names.append(str(entry["file_name"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            raise block.fault(number, _EXPECTED) from None
        units.append(unit)
        durations.append(duration)
    return units, durations, names
