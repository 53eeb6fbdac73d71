"""What the prepare scripts share: the command line, files that cannot be used, phone times, splits."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
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


class Batch:
    """The utterances of a corpus, gathered one by one; a file that cannot be used is reported and left out.

    Args:
        corpus: whose folder `alignments` holds phone times, if it is there.
        alignments: a folder searched for .TextGrid and .lab files, or a .ctm file, to take instead.
            Files are called as the recordings and lie in a folder called as the speaker, unless
            their own name has the speaker's in it.

    Attributes:
        utterances: so far.
        failed: how many files could not be used.

    Raises:
        AlignmentError: the alignments given are not there.
    """

    def __init__(self, corpus: Path, alignments: Path | None = None):
        self.utterances: list[Utterance] = []
        self.failed = 0
        self._phones = _phone_times(corpus, alignments)

    def add(self, speaker: str, name: str, path: Path, text: str | None = None, gender: str | None = None) -> None:
        """Add an utterance.

        Args:
            speaker: its speaker's id.
            name: of the recording; the utterance id, with the speaker put before it where it is not there yet.
            path: its audio file.
            text: what is said.
            gender: of the speaker.
        """
        utt = name if name.startswith(f"{speaker}-") else f"{speaker}-{name}"
        try:
            duration = audio.info(path).duration
        except AudioError as error:
            self._report(error)
            return
        try:
            alignment = self._phones(speaker, name)
        except AlignmentError as error:
            self._report(error)
            alignment = None
        self.utterances.append(Utterance(utt, speaker, path, text, alignment=alignment, gender=gender, duration=duration))

    def _report(self, error: Exception) -> None:
        print(f"left out: {error}", file=sys.stderr)
        self.failed += 1


def _phone_times(corpus: Path, given: Path | None) -> Callable[[str, str], Alignment | None]:
    place = given or corpus / "alignments"
    if place.is_file():
        ctm = read_ctm(place)
        return lambda speaker, name: next((ctm[key] for key in _keys(speaker, name) if key in ctm), None)
    files = [p for p in place.rglob("*") if p.suffix.lower() in (".textgrid", ".lab")] if place.is_dir() else []
    if given and not files:
        raise AlignmentError(f"{given}: neither a .ctm file nor a folder with .TextGrid or .lab files")
    by_name = {p.stem: p for p in files} | {f"{p.parent.name}-{p.stem}": p for p in files}

    def find(speaker: str, name: str) -> Alignment | None:
        path = next((by_name[key] for key in _keys(speaker, name) if key in by_name), None)
        return read_alignment(path) if path else None

    return find


def _keys(speaker: str, name: str) -> list[str]:
    # In parallel corpora speakers share names: a name counts alone only where it tells the speaker.
    return [f"{speaker}-{name}", name] if speaker in name else [f"{speaker}-{name}"]


def split(corpus: str, utterances: Iterable[Utterance]) -> dict[str, list[Utterance]]:
    """Share utterances out by the committed lists `splits/<corpus>.{dev,test,unseen_speakers}.txt`.

    In an excerpt a speaker of dev may have nothing in train; it goes to test, because a
    validation loss needs speakers that the decoder has learnt.

    Returns:
        the sets train, dev, test and test_unseen; what no list names is train.
    """
    unseen = set(read_list(SPLITS / f"{corpus}.unseen_speakers.txt"))
    place = {utt: name for name in ("dev", "test") for utt in read_list(SPLITS / f"{corpus}.{name}.txt")}
    sets: dict[str, list[Utterance]] = {"train": [], "dev": [], "test": [], UNSEEN: []}
    for u in utterances:
        sets[UNSEEN if u.speaker in unseen else place.get(u.utt, "train")].append(u)
    learnt = {u.speaker for u in sets["train"]}
    sets["test"] += [u for u in sets["dev"] if u.speaker not in learnt]
    sets["dev"] = [u for u in sets["dev"] if u.speaker in learnt]
    return sets


def write_sets(out: Path, sets: Mapping[str, list[Utterance]]) -> None:
    """Write OUT_DIR/all and a data directory for every set that is not empty.

    Each names in `held_out` the utterances of the sets other than train, so that training refuses them.
    """
    held_out = [u.utt for name, chosen in sets.items() if name != "train" for u in chosen]
    everything = [u for chosen in sets.values() for u in chosen]
    if not everything:
        raise CorpusError(f"{out}: no audio that can be used, so nothing was written")
    for name, chosen in {"all": everything, **sets}.items():
        if chosen:
            write_data_dir(out / name, chosen, held_out)
            minutes = sum(u.duration for u in chosen) / 60
            aligned = sum(u.alignment is not None for u in chosen)
            speakers = len({u.speaker for u in chosen})
            print(f"{out / name}: {len(chosen)} utterances, {speakers} speakers, {minutes:.1f} minutes, {aligned} with phone times")
