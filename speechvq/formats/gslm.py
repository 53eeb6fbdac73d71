"""GSLM: `quantized.txt` (`name|71 71 12`), `train.txt` for its language model, `manifest.jsonl` for pGSLM.

`train.txt` is the units alone, as `fairseq-preprocess --only-source` takes them. pGSLM's manifest
holds `{"audio", "duration", "hubert_km100", "speaker"}` a line: the key is the name its reader looks for,
whatever K is. Limits: names must not hold `|`.
Source: fairseq, examples/textless_nlp/gslm and fairseq/data/codedataset.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from speechvq.errors import FormatError
from speechvq.formats.common import Batch, Meta, paths, quote
from speechvq.formats.text import decimals, find_file, named_lines, read_named_rows

CONSUMER = "GSLM, pGSLM (fairseq textless)"
EXAMPLE = "quantized.txt: p225-p225_001|71 71 12 12 57"


def write(directory: Path, batches: Iterator[Batch], meta: Meta) -> None:
    """Write quantized.txt, train.txt and manifest.jsonl."""
    vocabulary = decimals(meta.codebook_size)
    with (
        open(directory / "quantized.txt", "wb") as named,
        open(directory / "train.txt", "wb") as bare,
        open(directory / "manifest.jsonl", "wb") as manifest,
    ):
        for batch in batches:
            if bad := next((utt for utt in batch.utts if "|" in utt), None):
                raise FormatError(f"GSLM ends a name with '|', which '{bad}' holds: rename it")
            rows = vocabulary.write(batch.ids, batch.lengths)
            named.write(named_lines(batch.utts, rows, "|"))
            bare.write(b"".join([row + b"\n" for row in rows]))
            seconds = (batch.num_samples / meta.sample_rate).tolist()
            for path, time, row, speaker in zip(paths(batch), seconds, rows, batch.speakers, strict=True):
                values = (quote(path).encode(), time, row, quote(speaker).encode())
                manifest.write(b'{"audio": %b, "duration": %.6g, "hubert_km100": "%b", "speaker": %b}\n' % values)


def read(directory: Path, meta: Meta) -> Iterator[Batch]:
    """Read quantized.txt, or the only .txt there is."""
    return read_named_rows(find_file(directory, "quantized.txt", "*.txt"), b"|", b" ", "'name|71 71 12 ...'")
