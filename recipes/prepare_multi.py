#!/usr/bin/env python
"""Prepare several corpora as one: OUT_DIR/{all,train,dev,test,test_unseen}, and each by itself in OUT_DIR/parts.

CORPUS_PATH holds any of cmu_arctic, LibriSpeech, VCTK-Corpus and VCTK-Corpus-0.92, each as its own
prepare script takes it. What one recipe holds out is held out here, except that the speakers of
`splits/multi.voices.txt` are voices; an utterance that both editions of VCTK have is taken from the later one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import prepare_arctic
import prepare_librispeech
import prepare_vctk
from prepare import SPLITS, UNSEEN, add_corpus_arguments, main_of, split, write_sets

from speechvq.corpus import DataDir, Utterance
from speechvq.corpus_files import read_list
from speechvq.errors import CorpusError

# In the order in which an utterance's first home counts.
CORPORA = {
    "cmu_arctic": prepare_arctic,
    "LibriSpeech": prepare_librispeech,
    "VCTK-Corpus-0.92": prepare_vctk,
    "VCTK-Corpus": prepare_vctk,
}
SETS = ("train", "dev", "test", UNSEEN)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_corpus_arguments(parser)


def prepare(args: argparse.Namespace) -> int:
    """Write the data directories; returns how many files could not be used."""
    found = [name for name in CORPORA if (args.corpus / name).is_dir()]
    if not found:
        raise CorpusError(f"{args.corpus}: holds none of {', '.join(CORPORA)}")
    failed = 0
    homes: dict[str, tuple[str, Utterance]] = {}
    for name in found:
        part = args.out / "parts" / name
        failed += CORPORA[name].prepare(_arguments(CORPORA[name], args.corpus / name, part))
        for kind in SETS:
            if (part / kind).is_dir():
                data = DataDir(part / kind)
                for utt in data.utterances:
                    homes.setdefault(utt, (kind, data.utterance(utt)))
    sets = {kind: [u for home, u in homes.values() if home == kind] for kind in SETS}
    voices = read_list(SPLITS / "multi.voices.txt")
    freed = split("multi", [u for u in sets[UNSEEN] if u.speaker in voices])
    sets[UNSEEN] = [u for u in sets[UNSEEN] if u.speaker not in voices]
    write_sets(args.out, {kind: chosen + freed[kind] for kind, chosen in sets.items()})
    return failed


def _arguments(script, corpus: Path, out: Path) -> argparse.Namespace:
    """A script's own defaults for a corpus."""
    parser = argparse.ArgumentParser()
    script.add_arguments(parser)
    return parser.parse_args([str(corpus), str(out)])


if __name__ == "__main__":
    main_of(__doc__, add_arguments, prepare)
