"""speech-resynthesis: `manifest.txt`, one Python dict a line, `{'audio': ..., 'vqvae256': '71 71 12', 'duration': ...}`.

The key is one of those its reader looks for, whatever K is. Lines are read as literals, never evaluated.
Limits: utterances are named by the audio's stem; the speaker only by the path, `speaker/utt.wav`
(`"multispkr": "parent_name"` in its configuration).
Source: speech-resynthesis, dataset.py.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from speechvq.errors import FormatError
from speechvq.formats.common import Batch, Meta, paths, stems
from speechvq.formats.text import Lines, decimals, find_file, parse_ids, read_lines

CONSUMER = "speech-resynthesis"
EXAMPLE = "manifest.txt: {'audio': 'p225/p225-p225_001.wav', 'vqvae256': '71 71 12 12 57', 'duration': 2.048}"
_KEYS = ("vqvae256", "cpc_km100", "hubert", "codes")
_LINE = re.compile(rb"\{'audio': '([^'\\]*)', 'vqvae256': '([^'\\]*)', 'duration': [0-9.e+-]+\}")
_EXPECTED = "{'audio': 'path', 'vqvae256': '71 71 12 ...', ...}"


def write(directory: Path, batches: Iterator[Batch], meta: Meta) -> None:
    """Write manifest.txt."""
    vocabulary = decimals(meta.codebook_size)
    with open(directory / "manifest.txt", "wb") as out:
        for batch in batches:
            units = vocabulary.write(batch.ids, batch.lengths)
            seconds = (batch.num_samples / meta.sample_rate).tolist()
            for path, row, time in zip(paths(batch), units, seconds, strict=True):
                out.write(b"{'audio': %b, 'vqvae256': '%b', 'duration': %.6g}\n" % (repr(path).encode(), row, time))


def read(directory: Path, meta: Meta) -> Iterator[Batch]:
    """Read manifest.txt, or the only .txt there is."""
    for block in read_lines(find_file(directory, "manifest.txt", "*.txt")):
        try:
            audio, rows = zip(*[_usual(line) or _any(block, n) for n, line in enumerate(block.lines)], strict=True)
        except UnicodeDecodeError:
            raise FormatError(f"{block.path}: a name near line {block.first} is not UTF-8") from None
        yield Batch(stems(audio), *parse_ids(block, rows, b" ", _EXPECTED), audio=list(audio))


def _usual(line: bytes) -> tuple[str, bytes] | None:
    """Path and units, where the line is as this module writes it: much the fastest."""
    found = _LINE.fullmatch(line)
    return found and (found[1].decode(), found[2])


def _any(block: Lines, number: int) -> tuple[str, bytes]:
    """The same of any dict with one of the keys."""
    try:
        entry = ast.literal_eval(block.lines[number].decode())
        key = next(key for key in _KEYS if key in entry)
        return str(entry["audio"]), entry[key].encode()
    except (ValueError, SyntaxError, TypeError, KeyError, AttributeError, StopIteration, RecursionError, MemoryError):
        raise block.fault(number, _EXPECTED) from None
