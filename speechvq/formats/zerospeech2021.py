"""ZeroSpeech 2021: `quantized_outputs.txt`, lines `utt<TAB>26,26,41`.

Limits: without `speechvq.json` the length in samples and the gain are not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from speechvq.formats.common import Batch, Meta
from speechvq.formats.text import decimals, read_named_rows, write_named_rows

CONSUMER = "ZeroSpeech 2021 baselines"
EXAMPLE = "quantized_outputs.txt: p225-p225_001<TAB>71,71,12,12,57"


def write(directory: Path, batches: Iterator[Batch], meta: Meta) -> None:
    """Write quantized_outputs.txt."""
    write_named_rows(directory / "quantized_outputs.txt", batches, decimals(meta.codebook_size, ","), "\t")


def read(directory: Path, meta: Meta) -> Iterator[Batch]:
    """Read quantized_outputs.txt."""
    return read_named_rows(directory / "quantized_outputs.txt", b"\t", b",", "'utt<TAB>71,71,12 ...'")
