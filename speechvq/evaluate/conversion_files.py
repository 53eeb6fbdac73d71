"""Which converted recording is of which utterance, and whose voice it should have."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from speechvq import audio
from speechvq.corpus import DataDir
from speechvq.errors import InputError
from speechvq.sphinx.words import normalize


@dataclass(frozen=True)
class Conversion:
    """A recording made from an utterance; a reconstruction where `target` is its own speaker."""

    path: Path
    utt: str
    source: str
    target: str

    @property
    def is_reconstruction(self) -> bool:
        return self.source == self.target


def find_conversions(
    directory: str | os.PathLike, data: DataDir, listed: str | os.PathLike | None = None
) -> tuple[list[Conversion], list[str]]:
    """Find converted recordings.

    Args:
        directory: holds `SPEAKER/UTTERANCE.wav`, or the outputs of a list.
        data: of the source utterances.
        listed: the `input,speaker,output` list that was converted, whose inputs are
            audio files of `data` or its utterances.

    Returns:
        conversions sorted by file, and a line for each that cannot be judged.

    Raises:
        InputError: none can be.
    """
    found: list[Conversion] = []
    faults: list[str] = []
    by_file = _utterances_by_file(data) if listed else {}
    for path, given, target in _listed(Path(directory), listed) if listed else _by_folder(Path(directory)):
        utt = given if given in data else by_file.get(os.path.realpath(given), Path(given).stem)
        if utt not in data:
            faults.append(f"{path}: {data.path} holds no utterance for '{given}'")
        elif not path.is_file():
            faults.append(f"{path}: was not converted")
        else:
            found.append(Conversion(path, utt, data.utt2spk[utt], target))
    if not found:
        reason = faults[0] if faults else "it holds no SPEAKER/UTTERANCE.wav, and no --list was given"
        raise InputError(f"{directory}: nothing to judge: {reason}")
    return sorted(found, key=lambda c: str(c.path)), faults


class Parallel:
    """Other recordings of an utterance's sentence.

    Args:
        corpora: where to look, the first first.
    """

    def __init__(self, *corpora: DataDir):
        self._where: dict[tuple[str, tuple[str, ...]], tuple[DataDir, str]] = {}
        for data in corpora:
            for utt, text in data.text.items():
                self._where.setdefault((data.utt2spk[utt], tuple(normalize(text))), (data, utt))

    def find(self, speaker: str, text: str | None) -> tuple[DataDir, str] | None:
        """The data directory and utterance in which a speaker says a text, or None."""
        words = tuple(normalize(text or ""))
        return self._where.get((speaker, words)) if words else None


def _by_folder(directory: Path) -> Iterator[tuple[Path, str, str]]:
    for path in sorted(directory.glob("*/*")):
        if path.suffix.lower() in audio.READABLE:
            yield path, path.stem, path.parent.name


def _listed(directory: Path, listed: str | os.PathLike) -> Iterator[tuple[Path, str, str]]:
    try:
        with open(listed, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        yield from ((directory / row["output"], row["input"], row["speaker"]) for row in rows)
    except OSError as error:
        raise InputError(f"{listed}: cannot be read ({error.strerror})") from None
    except (KeyError, TypeError):
        raise InputError(f"{listed} must have the columns input,speaker,output") from None


def _utterances_by_file(data: DataDir) -> dict[str, str]:
    described = (data.utterance(utt) for utt in data.utterances)
    return {os.path.realpath(u.path): u.utt for u in described if u.start is None}
