"""What the prepare scripts share: the command line, files that cannot be used, phone times, splits."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from speechvq import audio
from speechvq.alignment import Alignment, read_alignment, read_ctm
from speechvq.corpus import Utterance, write_data_dir
from speechvq.corpus_files import read_list
from speechvq.errors import AlignmentError, AudioError, CorpusError, SpeechVQError

SPLITS = Path(__file__).with_name("splits")
UNSEEN = "test_unseen"


def main_of(
    doc: str, add_arguments: Callable[[argparse.ArgumentParser], None], prepare: Callable[[argparse.Namespace], int | None]
) -> None:
    """Run a prepare script: exit code 0, 1 where files had to be left out, 2 where nothing could be done."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    args = parser.parse_args()
    try:
        sys.exit(1 if prepare(args) else 0)
    except SpeechVQError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        sys.exit(2)


def add_corpus_arguments(parser: argparse.ArgumentParser, alignments: bool = False) -> None:
    """Declare CORPUS_PATH, OUT_DIR and, for corpora that may have phone times, --alignments."""
    parser.add_argument("corpus", type=Path, metavar="CORPUS_PATH")
    parser.add_argument("out", type=Path, metavar="OUT_DIR")
    if alignments:
        parser.add_argument(
            "--alignments",
            type=Path,
            metavar="PATH",
            help="phone times: a folder of .TextGrid or .lab files, or a .ctm file (default: CORPUS_PATH/alignments if it is there)",
        )


def folder(path: Path, what: str) -> Path:
    """Require a folder.

    Raises:
        CorpusError: it is not there.
    """
    if not path.is_dir():
        raise CorpusError(f"{path}: no such folder; {what}")
    return path


def usable(utterances: Iterable[Utterance]) -> tuple[list[Utterance], int]:
    """Measure every file, and leave out with a warning those that cannot be read.

    Returns:
        the others with their durations, and how many were left out.
    """
    kept, unusable = [], 0
    for u in utterances:
        try:
            kept.append(replace(u, duration=audio.info(u.path).duration))
        except AudioError as error:
            print(f"left out: {error}", file=sys.stderr)
            unusable += 1
    return kept, unusable


def find_alignments(corpus: Path, given: Path | None) -> Callable[[str], Alignment | None]:
    """Find phone times.

    Args:
        corpus: whose folder `alignments` is looked at where no path is given.
        given: a folder searched for .TextGrid and .lab files, or a .ctm file.

    Returns:
        a function from a file's stem to its phone times, or None where there are none.

    Raises:
        AlignmentError: the path given holds none.
    """
    place = given or corpus / "alignments"
    if place.is_file():
        return read_ctm(place).get
    files = {p.stem: p for p in place.rglob("*") if p.suffix.lower() in (".textgrid", ".lab")} if place.is_dir() else {}
    if given and not files:
        raise AlignmentError(f"{given}: neither a .ctm file nor a folder with .TextGrid or .lab files")
    return lambda stem: read_alignment(files[stem]) if stem in files else None


def split(corpus: str, utterances: Iterable[Utterance]) -> dict[str, list[Utterance]]:
    """Share utterances out by the committed lists `splits/<corpus>.{dev,test,unseen_speakers}.txt`.

    Returns:
        the sets train, dev, test and test_unseen; what no list names is train.
    """
    unseen = set(read_list(SPLITS / f"{corpus}.unseen_speakers.txt"))
    place = {utt: name for name in ("dev", "test") for utt in read_list(SPLITS / f"{corpus}.{name}.txt")}
    sets: dict[str, list[Utterance]] = {"train": [], "dev": [], "test": [], UNSEEN: []}
    for u in utterances:
        sets[UNSEEN if u.speaker in unseen else place.get(u.utt, "train")].append(u)
    return sets


def write_sets(out: Path, sets: Mapping[str, list[Utterance]]) -> None:
    """Write OUT_DIR/all and a data directory for every set that is not empty.

    Each names in `held_out` the utterances of the sets other than train, so that training refuses them.
    """
    held_out = [u.utt for name, chosen in sets.items() if name != "train" for u in chosen]
    everything = [u for chosen in sets.values() for u in chosen]
    for name, chosen in {"all": everything, **sets}.items():
        if chosen:
            write_data_dir(out / name, chosen, held_out)
            minutes = sum(u.duration for u in chosen) / 60
            aligned = sum(u.alignment is not None for u in chosen)
            speakers = len({u.speaker for u in chosen})
            print(f"{out / name}: {len(chosen)} utterances, {speakers} speakers, {minutes:.1f} minutes, {aligned} with phone times")
