"""fairseq: `train.tsv`, `train.km` and `dict.km.txt`, for HuBERT and data2vec training.

`train.tsv` begins with the audio's root folder; then one line `path<TAB>samples` an utterance, and
`train.km` has its units on the same line, counted without the first. Give fairseq
`task.label_rate` = `unit_rate` of speechvq.json (-1 for deduplicated units).
Paths are those of the data directory where one is given, else `speaker/utt.wav`.
Limits: names are the stems of the paths, so two recordings of one stem cannot be read back.
Source: fairseq, fairseq/data/audio/hubert_dataset.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from speechvq.errors import FormatError
from speechvq.formats.common import Batch, Meta, paths, stems
from speechvq.formats.text import Lines, decimals, find_file, parse_ids, read_lines, split_names

CONSUMER = "fairseq HuBERT, data2vec"
EXAMPLE = "train.tsv: p225/p225_001.wav<TAB>32768    train.km: 71 71 12 12 57"
# A line of the .tsv is short but stands for a long one of the .km.
_TSV_BYTES = 1 << 18
_EXPECTED = "'path<TAB>samples'"


def write(directory: Path, batches: Iterator[Batch], meta: Meta) -> None:
    """Write train.tsv, train.km and dict.km.txt."""
    (directory / "dict.km.txt").write_text("".join(f"{unit} 1\n" for unit in range(meta.codebook_size)))
    vocabulary = decimals(meta.codebook_size)
    root = None
    with open(directory / "train.tsv", "w", encoding="utf-8") as tsv, open(directory / "train.km", "wb") as km:
        for batch in batches:
            recordings = paths(batch)
            if root is None:
                root = "/" if recordings[0].startswith("/") else "."
                tsv.write(f"{root}\n")
            rows = zip(recordings, batch.num_samples.tolist(), strict=True)
            tsv.write("".join([f"{path.lstrip('/')}\t{samples}\n" for path, samples in rows]))
            km.write(b"".join([row + b"\n" for row in vocabulary.write(batch.ids, batch.lengths)]))


def read(directory: Path, meta: Meta) -> Iterator[Batch]:
    """Read train.tsv and train.km (or the only pair there is)."""
    tsv, km = _pair(directory)
    labels = _rows(km)
    root = ""
    for block in read_lines(tsv, _TSV_BYTES):
        if block.first == 1:
            root = block.lines[0].decode("utf-8", "replace").rstrip("/") + "/"
            block = Lines(tsv, 2, block.lines[1:])
        names, samples = split_names(block, b"\t", _EXPECTED)
        counts, each = parse_ids(block, samples, b" ", _EXPECTED)
        if np.any(each != 1):
            raise block.fault(int(np.flatnonzero(each != 1)[0]), _EXPECTED)
        rows = list(islice(labels, len(names)))
        if len(rows) < len(names):
            raise FormatError(f"{km} has fewer lines than {tsv.name} has recordings: they do not belong together")
        ids = np.concatenate([*rows, np.zeros(0, np.int64)])
        lengths = np.array([len(row) for row in rows], np.int64)
        audio = names if root == "./" else [root + name for name in names]
        yield Batch(stems(names), ids, lengths, num_samples=counts, audio=audio)
    if next(labels, None) is not None:
        raise FormatError(f"{km} has more lines than {tsv.name} has recordings: they do not belong together")


def _pair(directory: Path) -> tuple[Path, Path]:
    tsv = find_file(directory, "train.tsv", "*.tsv")
    if not tsv.with_suffix(".km").exists():
        raise FormatError(f"{tsv} has no {tsv.with_suffix('.km').name} beside it: is this the right --format?")
    return tsv, tsv.with_suffix(".km")


def _rows(km: Path) -> Iterator[np.ndarray]:
    """The units of each line, one at a time."""
    for block in read_lines(km):
        ids, lengths = parse_ids(block, block.lines, b" ", "'71 71 12 ...'")
        ends = np.cumsum(lengths)
        yield from (ids[end - length : end] for end, length in zip(ends.tolist(), lengths.tolist(), strict=True))
