#!/usr/bin/env python
"""Prepare VCTK (CSTR, University of Edinburgh): OUT_DIR/{all,train,dev,test,test_unseen}.

Takes the layout of version 0.80 (wav48/pXXX/pXXX_NNN.wav) and of 0.92
(wav48_silence_trimmed/pXXX/pXXX_NNN_micM.flac). In 0.92 the speakers p280 and p315
have no second microphone, so theirs is the first; p315 has no transcripts either.
Licence: CC BY 4.0 (0.92), ODC-By (0.80). https://datashare.ed.ac.uk/handle/10283/3443
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from prepare import Batch, add_corpus_arguments, main_of, split, write_sets

from speechvq.errors import CorpusError

GENDERS = {"m": "m", "male": "m", "f": "f", "female": "f"}


def recordings(corpus: Path, microphone: int) -> Iterator[tuple[str, str, Path]]:
    """Find the recordings of either layout.

    Args:
        corpus: folder of the corpus.
        microphone: 1 or 2, of version 0.92; the other where a recording lacks it.

    Yields:
        speaker, name (p225_001) and file.

    Raises:
        CorpusError: the folder holds neither layout.
    """
    if (corpus / "wav48_silence_trimmed").is_dir():
        wanted = f"mic{microphone}"
        chosen: dict[tuple[str, str], Path] = {}
        for path in sorted((corpus / "wav48_silence_trimmed").glob("*/*_mic[12].flac")):
            name, _, mic = path.stem.rpartition("_")
            if mic == wanted or (path.parent.name, name) not in chosen:
                chosen[path.parent.name, name] = path
        yield from ((speaker, name, path) for (speaker, name), path in chosen.items())
    elif (corpus / "wav48").is_dir():
        yield from ((path.parent.name, path.stem, path) for path in sorted((corpus / "wav48").glob("*/*.wav")))
    else:
        raise CorpusError(f"{corpus}: neither wav48 (VCTK 0.80) nor wav48_silence_trimmed (0.92) is in it")


def read_genders(path: Path) -> dict[str, str]:
    """Read speaker-info.txt: ID AGE GENDER ...; 0.80 leaves the `p` of the ids away."""
    if not path.is_file():
        return {}
    rows = [line.split() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()[1:] if line.strip()]
    return {f"p{r[0]}" if r[0].isdigit() else r[0]: GENDERS[r[2].lower()] for r in rows if r[2].lower() in GENDERS}


def read_text(path: Path) -> str | None:
    """Read a transcript; None where there is none."""
    return path.read_text(encoding="utf-8", errors="replace").strip() if path.is_file() else None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_corpus_arguments(parser, alignments=True)
    parser.add_argument("--mic", type=int, choices=(1, 2), default=2, help="microphone of version 0.92 (default 2)")


def prepare(args: argparse.Namespace) -> int:
    """Write the data directories; returns how many files could not be used."""
    batch = Batch(args.corpus, args.alignments)
    genders = read_genders(args.corpus / "speaker-info.txt")
    for speaker, name, path in recordings(args.corpus, args.mic):
        batch.add(speaker, name, path, read_text(args.corpus / "txt" / speaker / f"{name}.txt"), genders.get(speaker))
    write_sets(args.out, split("vctk", batch.utterances))
    return batch.failed


if __name__ == "__main__":
    main_of(__doc__, add_arguments, prepare)
