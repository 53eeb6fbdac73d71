"""speech-resynthesis: `manifest.txt`, one Python dict a line, `{'audio': ..., 'vqvae256': '71 71 12', 'duration': ...}`.

The key is one of those its reader looks for, whatever K is. Lines are read as literals, never evaluated.
Limits: utterances are named by the audio's stem; the speaker only by the path, `speaker/utt.wav`
(`"multispkr": "parent_name"` in its configuration).
Source: speech-resynthesis, dataset.py.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from speechvq.formats.common import Batch, Meta, paths, stems
from speechvq.formats.text import decimals, find_file, parse_ids, read_lines

CONSUMER = "speech-resynthesis"
EXAMPLE = "manifest.txt: {'audio': 'p225/p225-p225_001.wav', 'vqvae256': '71 71 12 12 57', 'duration': 2.048}"
_KEYS = ("vqvae256", "cpc_km100", "hubert", "codes")
_EXPECTED = "{'audio': 'path', 'vqvae256': '71 71 12 ...', ...}"


def write(directory: Path, batches: Iterator[Batch], meta: Meta) -> None:
    """Write manifest.txt."""
    vocabulary = decimals(meta.codebook_size)
    with open(directory / "manifest.txt", "w", encoding="utf-8") as out:
        for batch in batches:
            rows = vocabulary.write(batch.ids, batch.lengths)
            seconds = (batch.num_samples / meta.sample_rate).tolist()
            columns = zip(paths(batch), rows, seconds, strict=True)
            out.write(
                "".join(
                    [
                        f"{{'audio': {path!r}, 'vqvae256': '{row.decode()}', 'duration': {time:.6g}}}\n"
                        for path, row, time in columns
                    ]
                )
            )


def read(directory: Path, meta: Meta) -> Iterator[Batch]:
    """Read manifest.txt, or the only .txt there is."""
    for block in read_lines(find_file(directory, "manifest.txt", "*.txt")):
        audio, rows = [], []
        for number, line in enumerate(block.lines):
            try:
                entry = ast.literal_eval(line.decode())
                units = next(entry[key] for key in _KEYS if key in entry)
                audio.append(str(entry["audio"]))
                rows.append(units.encode())
            except (
                ValueError,
                SyntaxError,
                TypeError,
                KeyError,
                AttributeError,
                StopIteration,
                RecursionError,
                MemoryError,
            ):
                raise block.fault(number, _EXPECTED) from None
        yield Batch(stems(audio), *parse_ids(block, rows, b" ", _EXPECTED), audio=audio)
