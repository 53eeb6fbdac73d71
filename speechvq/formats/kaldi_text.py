"""Kaldi text: `units.txt` in a Kaldi data directory, one line `utt 71 71 12` an utterance.

Readable as `ark,t:units.txt` by Kaldi's integer-vector tables: integers stand without brackets.
Limits: without `speechvq.json` the length in samples and the gain are not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from speechvq.formats import kaldi_dir
from speechvq.formats.common import Batch, Meta
from speechvq.formats.text import decimals, read_named_rows, write_named_rows

CONSUMER = "Kaldi"
EXAMPLE = "units.txt: p225-p225_001 71 71 12 12 57"
_EXPECTED = "'utt 71 71 12 ...'"


def write(directory: Path, batches: Iterator[Batch], meta: Meta) -> None:
    """Write units.txt, utt2spk, spk2utt, utt2dur, and text and wav.scp where known."""
    write_named_rows(
        directory / "units.txt", kaldi_dir.beside(directory, batches, meta), decimals(meta.codebook_size), " "
    )


def read(directory: Path, meta: Meta) -> Iterator[Batch]:
    """Read units.txt."""
    return read_named_rows(directory / "units.txt", None, b" \t", _EXPECTED)
