"""ABX items: stretches of speech by phone, context and speaker, in the ZeroSpeech item format."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from speechvq.alignment import NOISE, SILENCE, Alignment, fold_phone
from speechvq.errors import InputError
from speechvq.files import atomic_file

HEADER = "#file onset offset #phone prev-phone next-phone speaker"


class Item(NamedTuple):
    """A phone with its neighbours: `onset` to `offset`, in seconds, spans all three."""

    file: str
    onset: float
    offset: float
    phone: str
    previous: str
    next: str
    speaker: str


def triphones(alignments: Mapping[str, Alignment], speakers: Mapping[str, str]) -> list[Item]:
    """The triphones of aligned utterances; those with silence, noise or a gap are left out.

    Args:
        alignments: phone times by utterance.
        speakers: by utterance.
    """
    items = []
    for utt, alignment in alignments.items():
        phones = [interval._replace(label=fold_phone(interval.label)) for interval in alignment]
        for left, centre, right in zip(phones, phones[1:], phones[2:], strict=False):
            whole = right.start - centre.end < 1e-3 and centre.start - left.end < 1e-3
            if whole and not {left.label, centre.label, right.label} & {SILENCE, NOISE}:
                items.append(Item(utt, left.start, right.end, centre.label, left.label, right.label, speakers[utt]))
    return items


def write_items(path: str | os.PathLike, items: Iterable[Item]) -> None:
    """Write an item file."""
    with atomic_file(path) as temporary, open(temporary, "w", encoding="utf-8") as out:
        out.write(HEADER + "\n")
        for item in items:
            out.write(f"{item.file} {item.onset:.4f} {item.offset:.4f} {' '.join(item[3:])}\n")


def read_items(path: str | os.PathLike) -> list[Item]:
    """Read an item file.

    Raises:
        InputError: it is missing, or a line is not an item.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as an item file ({error})") from None
    items = []
    for number, line in enumerate(lines, start=1):
        if line.startswith("#") or not line.strip():
            continue
        try:
            file, onset, offset, phone, previous, following, speaker = line.split()
            items.append(Item(file, float(onset), float(offset), phone, previous, following, speaker))
        except ValueError:
            raise InputError(f"{path} line {number}: expected '{HEADER[1:]}', got '{line}'") from None
    return items
