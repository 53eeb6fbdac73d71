#!/usr/bin/env python
"""Prepare recordings of one's own, CORPUS_PATH/SPEAKER/**/*.wav: OUT_DIR/{all,train,dev,test,test_unseen}.

Any format that can be read will do. A file x.txt beside x.wav is its transcript. Of
each speaker a tenth is dev and a tenth test, drawn by the utterance's name and not by
chance; the speakers named by --unseen are test_unseen whole.
"""

from __future__ import annotations

import argparse
import re
import zlib
from collections.abc import Iterable
from pathlib import Path

from prepare import UNSEEN, Batch, add_corpus_arguments, main_of, write_sets

from speechvq.audio import READABLE
from speechvq.corpus import Utterance
from speechvq.errors import CorpusError

HELD_OUT_SHARE = 10


def safe_name(name: str) -> str:
    """Make a name fit for an id: what sorts before '-' in the C locale, and '-', become '_'."""
    return re.sub(r"[^\w.]", "_", name)


def speakers(corpus: Path) -> dict[str, list[Path]]:
    """Find the speakers and their audio files.

    Raises:
        CorpusError: there are none, or two speakers' names become one.
    """
    found: dict[str, list[Path]] = {}
    for folder in sorted(p for p in corpus.iterdir() if p.is_dir()) if corpus.is_dir() else []:
        files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in READABLE and p.is_file())
        if files and safe_name(folder.name) in found:
            raise CorpusError(f"{folder}: another folder is also called '{safe_name(folder.name)}' once made safe: rename one")
        if files:
            found[safe_name(folder.name)] = files
    if not found:
        raise CorpusError(f"{corpus}: no SPEAKER/*.wav in it (one folder for each speaker)")
    return found


def split_by_name(utterances: Iterable[Utterance], unseen: set[str]) -> dict[str, list[Utterance]]:
    """Share each speaker's utterances out in the order of their names' checksums."""
    sets: dict[str, list[Utterance]] = {"train": [], "dev": [], "test": [], UNSEEN: []}
    by_speaker: dict[str, list[Utterance]] = {}
    for u in utterances:
        by_speaker.setdefault(u.speaker, []).append(u)
    for speaker, own in by_speaker.items():
        if speaker in unseen:
            sets[UNSEEN] += own
            continue
        own.sort(key=lambda u: (zlib.crc32(u.utt.encode()), u.utt))
        share = -(-len(own) // HELD_OUT_SHARE) if len(own) >= 3 else 0
        sets["test"] += own[:share]
        sets["dev"] += own[share : 2 * share]
        sets["train"] += own[2 * share :]
    return sets


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_corpus_arguments(parser, alignments=True)
    parser.add_argument("--unseen", nargs="+", default=[], metavar="SPEAKER", help="kept out of training whole")


def prepare(args: argparse.Namespace) -> int:
    """Write the data directories; returns how many files could not be used."""
    batch = Batch(args.corpus, args.alignments)
    found = speakers(args.corpus)
    unseen = {safe_name(name) for name in args.unseen}
    if unseen - set(found):
        raise CorpusError(f"{args.corpus}: no speaker '{min(unseen - set(found))}', it has {', '.join(found)}")
    for speaker, files in found.items():
        for path in files:
            text = path.with_suffix(".txt")
            words = text.read_text(encoding="utf-8", errors="replace").strip() if text.is_file() else None
            batch.add(speaker, safe_name(path.stem), path, words)
    write_sets(args.out, split_by_name(batch.utterances, unseen))
    return batch.failed


if __name__ == "__main__":
    main_of(__doc__, add_arguments, prepare)
