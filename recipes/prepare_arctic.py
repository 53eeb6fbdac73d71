#!/usr/bin/env python
"""Prepare CMU ARCTIC (Kominek & Black 2003): OUT_DIR/{all,train,dev,test}.

All speakers read the same sentences, and dev and test hold the same numbers of each:
parallel targets for conversion. Licence: free use. http://festvox.org/cmu_arctic
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from prepare import Batch, add_corpus_arguments, main_of, split, write_sets

from speechvq.errors import CorpusError

GENDERS = {"awb": "m", "bdl": "m", "clb": "f", "jmk": "m", "ksp": "m", "rms": "m", "slt": "f"}


def voices(corpus: Path) -> dict[str, Path]:
    """Find the folders cmu_us_NAME_arctic, by name.

    Raises:
        CorpusError: there are none.
    """
    folders = [corpus] if corpus.name.startswith("cmu_us_") else sorted(corpus.glob("cmu_us_*_arctic*"))
    found = {folder.name.split("_")[2]: folder for folder in folders if (folder / "wav").is_dir()}
    if not found:
        raise CorpusError(f"{corpus}: no folders cmu_us_NAME_arctic with wav/ in it")
    return found


def read_texts(path: Path) -> dict[str, str]:
    """Read etc/txt.done.data: one `( name "text" )` a line."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return dict(re.findall(r'^\(\s*(\S+)\s+"(.*)"\s*\)\s*$', text, re.MULTILINE))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_corpus_arguments(parser, alignments=True)
    parser.add_argument("--speakers", nargs="+", metavar="NAME", help="such as bdl slt (default: all there are)")


def prepare(args: argparse.Namespace) -> int:
    """Write the data directories; returns how many files could not be used."""
    batch = Batch(args.corpus, args.alignments)
    found = voices(args.corpus)
    for speaker in args.speakers or found:
        if speaker not in found:
            raise CorpusError(f"{args.corpus}: no speaker '{speaker}', it has {', '.join(found)}")
        texts = read_texts(found[speaker] / "etc" / "txt.done.data")
        for path in sorted(p for p in (found[speaker] / "wav").iterdir() if p.suffix in (".wav", ".flac")):
            batch.add(speaker, path.stem, path, texts.get(path.stem), GENDERS.get(speaker))
    write_sets(args.out, split("arctic", batch.utterances))
    return batch.failed


if __name__ == "__main__":
    main_of(__doc__, add_arguments, prepare)
