"""ESPnet asr2: files for `data/<set>/` of its discrete-unit recipe; unit i is the character U+4E00 + i.

`text.ts.vqvae_kmK` holds all units, `text.rm.vqvae_kmK` runs collapsed (name it with
`--src_lang vqvae_kmK` and `--src_case ts` or `rm`, and start at stage 5);
`pseudo_labels_kmK.txt` the numbers; `distinct_cjk_token_lists` goes to `exp/kmeans/`.
With `--dedup` only `text.rm` is written, and runs are lost.
Limits: K below 20,900, as ESPnet warns; more have no CJK character.
Source: ESPnet, egs2/TEMPLATE/asr2/asr2.sh, stage 4b.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from speechvq.errors import FormatError
from speechvq.formats import kaldi_dir
from speechvq.formats.common import Batch, Meta
from speechvq.formats.text import Vocabulary, decimals, named_lines, read_lines, read_named_rows, split_names

CONSUMER = "ESPnet asr2, speechlm"
EXAMPLE = "text.ts.vqvae_km512: p225-p225_001 乇乇丌丌丹"
FIRST_CHARACTER = 0x4E00
MAX_UNITS = 20900


def write(directory: Path, batches: Iterator[Batch], meta: Meta) -> None:
    """Write the texts, the numbers, the token list, utt2spk, spk2utt, and text and wav.scp where known."""
    size = meta.codebook_size
    if size >= MAX_UNITS:
        raise FormatError(f"ESPnet writes units as CJK characters, of which there are {MAX_UNITS}: {size} are too many")
    glyphs = [chr(FIRST_CHARACTER + unit) for unit in range(size)]
    (directory / "distinct_cjk_token_lists").write_text(
        "".join(f"{unit} {glyph}\n" for unit, glyph in enumerate(glyphs)), encoding="utf-8"
    )
    characters = Vocabulary(glyph.encode() for glyph in glyphs)
    numbers = decimals(size)
    with ExitStack() as stack:

        def create(name: str):
            return stack.enter_context(open(directory / name, "wb"))

        collapsed_text = create(f"text.rm.vqvae_km{size}")
        if not meta.dedup:
            text, labels = create(f"text.ts.vqvae_km{size}"), create(f"pseudo_labels_km{size}.txt")
        for batch in kaldi_dir.beside(directory, batches, meta):
            runs = batch.collapsed()
            collapsed_text.write(named_lines(runs.utts, characters.write(runs.ids, runs.lengths), " "))
            if not meta.dedup:
                text.write(named_lines(batch.utts, characters.write(batch.ids, batch.lengths), " "))
                labels.write(named_lines(batch.utts, numbers.write(batch.ids, batch.lengths), " "))


def read(directory: Path, meta: Meta) -> Iterator[Batch]:
    """Read pseudo_labels_km*.txt where there, else text.ts.*, else (deduplicated) text.rm.*."""
    for pattern in ("pseudo_labels_km*.txt", "text.ts.*", "text.rm.*"):
        found = sorted(directory.glob(pattern))
        if len(found) > 1:
            raise FormatError(f"{directory} holds {', '.join(p.name for p in found)}: leave one")
        if found and pattern.startswith("pseudo"):
            return read_named_rows(found[0], None, b" \t", "'utt 71 71 12 ...'")
        if found:
            return _read_characters(found[0])
    raise FormatError(f"{directory} holds no pseudo_labels_km*.txt, text.ts.* or text.rm.*: is this --format espnet?")


def _read_characters(path: Path) -> Iterator[Batch]:
    for block in read_lines(path):
        names, rows = split_names(block, None, "'utt' and CJK characters")
        try:
            texts = [row.decode() for row in rows]
        except UnicodeDecodeError:
            raise FormatError(f"{path}: near line {block.first} is not UTF-8") from None
        ids = np.frombuffer("".join(texts).encode("utf-32-le"), np.uint32).astype(np.int64) - FIRST_CHARACTER
        lengths = np.array([len(text) for text in texts], np.int64)
        if ids.size and (ids.min() < 0 or ids.max() >= MAX_UNITS):
            position = int(np.flatnonzero((ids < 0) | (ids >= MAX_UNITS))[0])
            raise block.fault(int(np.searchsorted(np.cumsum(lengths), position, side="right")), "CJK characters only")
        yield Batch(names, ids, lengths)
