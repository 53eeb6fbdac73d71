#!/usr/bin/env python
"""Prepare LibriSpeech (Panayotov et al. 2015): OUT_DIR/{all,train,dev,test,test_unseen}.

Readers of the official dev and test subsets, and those the split list names, go to
test_unseen whole. Transcripts are optional. Licence: CC BY 4.0. https://www.openslr.org/12
"""

from __future__ import annotations

import argparse
from pathlib import Path

from prepare import UNSEEN, Batch, add_corpus_arguments, main_of, split, write_sets

from speechvq.errors import CorpusError


def read_genders(path: Path) -> dict[str, str]:
    """Read SPEAKERS.TXT: `id | M or F | ...`, comments after `;`."""
    if not path.is_file():
        return {}
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith(";")]
    rows = [[field.strip() for field in line.split("|")] for line in lines if "|" in line]
    return {row[0]: row[1].lower() for row in rows if row[1] in ("M", "F")}


def read_texts(chapter: Path) -> dict[str, str]:
    """Read the transcripts of a chapter, by utterance."""
    lines = [line for path in chapter.glob("*.trans.txt") for line in path.read_text(encoding="utf-8").splitlines()]
    return dict(line.split(" ", 1) for line in lines if " " in line)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_corpus_arguments(parser, alignments=True)
    parser.add_argument("--subsets", nargs="+", metavar="NAME", help="train-clean-100, dev-clean, ... (default: all there are)")


def prepare(args: argparse.Namespace) -> int:
    """Write the data directories; returns how many files could not be used."""
    names = args.subsets or sorted(p.name for p in args.corpus.glob("*-*") if p.is_dir())
    if not names:
        raise CorpusError(f"{args.corpus}: no subsets such as train-clean-100 in it")
    batch = Batch(args.corpus, args.alignments)
    genders = read_genders(args.corpus / "SPEAKERS.TXT")
    official: set[str] = set()
    for subset in names:
        chapters = sorted(p for p in (args.corpus / subset).glob("*/*") if p.is_dir())
        if not chapters:
            raise CorpusError(f"{args.corpus / subset}: no reader/chapter folders: give the folder that holds train-clean-100")
        for chapter in chapters:
            speaker, texts = chapter.parent.name, read_texts(chapter)
            if not subset.startswith("train"):
                official.add(speaker)
            for path in sorted(chapter.glob("*.flac")):
                batch.add(speaker, path.stem, path, texts.get(path.stem), genders.get(speaker))
    sets = split("librispeech", [u for u in batch.utterances if u.speaker not in official])
    sets[UNSEEN] += [u for u in batch.utterances if u.speaker in official]
    write_sets(args.out, sets)
    return batch.failed


if __name__ == "__main__":
    main_of(__doc__, add_arguments, prepare)
