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
from speechvq.formats.text import Vocabulary, decimals, durations_vocabulary, find_file, read_lines

CONSUMER = "SlamKit"
EXAMPLE = 'features.jsonl: {"units": [71, 12], "duration": [2, 2], "file_name": "p225/p225-p225_001.wav"}'
KEEPS_RUNS = True
_EXPECTED = '{"units": [71, 12], "duration": [2, 2], "file_name": "path"}'


def write(directory: Path, batches: Iterator[Batch], meta: Meta) -> None:
    """Write features.jsonl and tokens.jsonl."""
    numbers = decimals(meta.codebook_size, ", ")
    tokens = Vocabulary(f"<Un{unit}>".encode() for unit in range(meta.codebook_size))
    with open(directory / "features.jsonl", "w") as features, open(directory / "tokens.jsonl", "w") as audio_repr:
        for batch in batches:
            names = [json.dumps(path) for path in paths(batch)]
            durations = batch.durations if batch.durations is not None else np.ones(len(batch.ids), np.int64)
            columns = (
                names,
                numbers.write(batch.ids, batch.lengths),
                durations_vocabulary(durations, ", ").write(durations, batch.lengths),
                tokens.write(batch.ids, batch.lengths),
            )
            rows = [(name, u.decode(), d.decode(), t.decode()) for name, u, d, t in zip(*columns, strict=True)]
            features.write(
                "".join([f'{{"units": [{u}], "duration": [{d}], "file_name": {name}}}\n' for name, u, d, _ in rows])
            )
            audio_repr.write("".join([f'{{"file_name": {name}, "audio_repr": "{t}"}}\n' for name, _, _, t in rows]))


def read(directory: Path, meta: Meta) -> Iterator[Batch]:
    """Read features.jsonl, or the only .jsonl there is."""
    for block in read_lines(find_file(directory, "features.jsonl", "*.jsonl")):
        audio, units, durations, lengths = [], [], [], []
        for number, line in enumerate(block.lines):
            try:
                entry = json.loads(line)
                row, lasting = entry["units"], entry["duration"]
                if len(row) != len(lasting):
                    raise ValueError
                audio.append(str(entry["file_name"]))
                units.append(np.array(row, np.int64))
                durations.append(np.array(lasting, np.int64))
                lengths.append(len(row))
            except (ValueError, KeyError, TypeError, OverflowError):
                raise block.fault(number, _EXPECTED) from None
        yield Batch(
            stems(audio), np.concatenate(units), np.array(lengths, np.int64), np.concatenate(durations), audio=audio
        )
