"""SlamKit: `features.jsonl` with units and durations, `tokens.jsonl` with them as `<Un71><Un12>`.

Every unit has its duration, so `--dedup` loses nothing; it is what SlamKit itself does by default.
Limits: utterances are named by the stem of `file_name`.
Source: SlamKit, cli/extract_features.py and slamkit/tokeniser/unit_tokeniser.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from speechvq.formats.common import Batch, Meta, paths, stems
from speechvq.formats.text import Lines, Vocabulary, decimals, durations_vocabulary, find_file, parse_ids, read_lines

CONSUMER = "SlamKit"
EXAMPLE = 'features.jsonl: {"units": [71, 12], "duration": [2, 2], "file_name": "p225/p225-p225_001.wav"}'
KEEPS_RUNS = True
_HEAD = b'{"units": ['
_EXPECTED = '{"units": [71, 12], "duration": [2, 2], "file_name": "path"}'


def write(directory: Path, batches: Iterator[Batch], meta: Meta) -> None:
    """Write features.jsonl and tokens.jsonl."""
    numbers = decimals(meta.codebook_size, ", ")
    tokens = Vocabulary(f"<Un{unit}>".encode() for unit in range(meta.codebook_size))
    with open(directory / "features.jsonl", "wb") as features, open(directory / "tokens.jsonl", "wb") as audio_repr:
        for batch in batches:
            durations = batch.durations if batch.durations is not None else np.ones(len(batch.ids), np.int64)
            names = [json.dumps(path).encode() for path in paths(batch)]
            units = numbers.write(batch.ids, batch.lengths)
            lasting = durations_vocabulary(durations, ", ").write(durations, batch.lengths)
            for unit, duration, name in zip(units, lasting, names, strict=True):
                features.write(b'{"units": [%b], "duration": [%b], "file_name": %b}\n' % (unit, duration, name))
            for name, text in zip(names, tokens.write(batch.ids, batch.lengths), strict=True):
                audio_repr.write(b'{"file_name": %b, "audio_repr": "%b"}\n' % (name, text))


def read(directory: Path, meta: Meta) -> Iterator[Batch]:
    """Read features.jsonl, or the only .jsonl there is; keys other than these three are left aside."""
    for block in read_lines(find_file(directory, "features.jsonl", "*.jsonl")):
        rows = [_usual(line) or _any(block, number) for number, line in enumerate(block.lines)]
        units, durations, names = zip(*rows, strict=True)
        ids, lengths = parse_ids(block, units, b", ", _EXPECTED)
        lasting, counts = parse_ids(block, durations, b", ", _EXPECTED)
        if wrong := np.flatnonzero(lengths != counts).tolist():
            raise block.fault(wrong[0], _EXPECTED)
        yield Batch(stems(names), ids, lengths, durations=lasting, audio=list(names))


def _usual(line: bytes) -> tuple[bytes, bytes, str] | None:
    """Units and durations as text, and the file's name, where the line is as SlamKit writes it: much the fastest."""
    units, first, rest = line.partition(b'], "duration": [')
    durations, second, name = rest.partition(b'], "file_name": ')
    if not (units.startswith(_HEAD) and first and second and name.endswith(b'"}')):
        return None
    try:
        return units[len(_HEAD) :], durations, json.loads(name[:-1].decode())
    except ValueError:
        return None


def _any(block: Lines, number: int) -> tuple[bytes, bytes, str]:
    """The same of any JSON object with these keys."""
    try:
        entry = json.loads(block.lines[number])
        units, durations = (" ".join(map(str, entry[key])).encode() for key in ("units", "duration"))
        return units, durations, str(entry["file_name"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise block.fault(number, _EXPECTED) from None
