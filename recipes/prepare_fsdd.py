#!/usr/bin/env python
"""Prepare the Free Spoken Digit Dataset: OUT_DIR/{all,train,dev,test,test_unseen}.

Files are recordings/{digit}_{speaker}_{n}.wav at 8 kHz. As its authors ask, numbers 0
to 4 are test. Licence: CC BY-SA 4.0. https://github.com/Jakobovski/free-spoken-digit-dataset
"""

from __future__ import annotations

import argparse

from prepare import Batch, add_corpus_arguments, main_of, split, write_sets

from speechvq.errors import CorpusError

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_corpus_arguments(parser, alignments=True)


def prepare(args: argparse.Namespace) -> int:
    """Write the data directories; returns how many files could not be used."""
    batch = Batch(args.corpus, args.alignments)
    files = sorted((args.corpus / "recordings").glob("[0-9]_*_*.wav"))
    if not files:
        raise CorpusError(f"{args.corpus}: no recordings/DIGIT_SPEAKER_NUMBER.wav in it")
    for path in files:
        digit, speaker, _ = path.stem.split("_")
        batch.add(speaker, path.stem, path, DIGITS[int(digit)])
    write_sets(args.out, split("fsdd", batch.utterances))
    return batch.failed


if __name__ == "__main__":
    main_of(__doc__, add_arguments, prepare)
