"""Phone times: intervals of an utterance, and the files that hold them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from speechvq.errors import AlignmentError
from speechvq.files import atomic_file

SILENCE = "SIL"
NOISE = "SPN"
# The 39 phones of the CMU dictionary; with silence and noise the 41 classes of the VQ-VAE paper.
PHONES = (
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY", "JH", "K",
    "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH",
)

_FOLDED = {phone: phone for phone in PHONES}
_FOLDED |= dict.fromkeys(("", "SIL", "SP", "PAU", "H#", "#", "_", "<EPS>"), SILENCE)
_FOLDED |= dict.fromkeys(("SPN", "NSN", "NOISE", "BRTH", "<UNK>"), NOISE)
_FOLDED |= {"AX": "AH", "IX": "IH", "AXR": "ER", "UX": "UW", "EL": "L", "EM": "M", "EN": "N", "DX": "T", "HV": "HH"}

# Neighbours in files with rounded times may overlap by as much; more is a fault.
_ROUNDING_SECONDS = 0.002


class Interval(NamedTuple):
    """A label from `start` to `end`, in seconds."""

    start: float
    end: float
    label: str


@dataclass(frozen=True)
class Alignment:
    """The labels of one utterance, in order and disjoint; between them nothing is marked.

    Args:
        intervals: any order; empty ones are dropped.

    Raises:
        AlignmentError: an interval ends before it starts or before 0, or overlaps
            the next one by more than rounding explains.
    """

    intervals: tuple[Interval, ...]

    def __init__(self, intervals: Iterable[tuple[float, float, str]]):
        object.__setattr__(self, "intervals", _disjoint(intervals))

    def __len__(self) -> int:
        return len(self.intervals)

    def __iter__(self) -> Iterator[Interval]:
        return iter(self.intervals)

    @property
    def end(self) -> float:
        """Where the last interval ends, in seconds."""
        return self.intervals[-1].end if self.intervals else 0.0

    def frame_labels(self, num_frames: int, hop_length: int, sample_rate: int) -> np.ndarray:
        """The label at the centre of each frame.

        Args:
            num_frames: N.
            hop_length: samples per frame.
            sample_rate: in Hz.

        Returns:
            str [N]; empty where nothing is marked, which `fold_phone` calls silence.
        """
        centres = (np.arange(num_frames) + 0.5) * hop_length / sample_rate
        starts = np.array([i.start for i in self.intervals])
        ends = np.array([i.end for i in self.intervals] + [-1.0])
        labels = np.array([i.label for i in self.intervals] + [""])
        # Before the first interval the index is -1: the empty label at the end.
        index = np.searchsorted(starts, centres, side="right") - 1
        return np.where(centres < ends[index], labels[index], "")


def fold_phone(label: str) -> str:
    """Fold a phone label to the 39 of the CMU dictionary, SIL or SPN.

    Args:
        label: ARPABET in either case, with or without stress or word-position marks
            (`ah0`, `AH_B`); anything of another phone set is returned as it is.

    Returns:
        the folded label; SIL for pauses and for no label at all.
    """
    plain = re.sub(r"(?<=[A-Z])(?:[012])?(?:_[BIES])?$", "", label.upper())
    return _FOLDED.get(plain, label)


def read_ctm(path: str | os.PathLike) -> dict[str, Alignment]:
    """Read NIST CTM lines: `utterance channel start duration label [confidence]`, in seconds.

    Args:
        path: the file; lines that begin with `;;` are comments.

    Returns:
        alignments by utterance.

    Raises:
        AlignmentError: the file is missing, or the line that is wrong.
    """
    intervals: dict[str, list[Interval]] = {}
    for number, line in enumerate(_read_text(path).splitlines(), start=1):
        if not line.strip() or line.startswith(";;"):
            continue
        fields = line.split()
        try:
            utt, _, start, duration, label = fields[:5]
            intervals.setdefault(utt, []).append(Interval(float(start), float(start) + float(duration), label))
        except ValueError:
            raise AlignmentError(f"{path} line {number}: expected 'utt channel start duration label', got '{line}'") from None
    return {utt: _named(path, utt, intervals[utt]) for utt in intervals}


def write_ctm(path: str | os.PathLike, alignments: Mapping[str, Alignment]) -> None:
    """Write CTM, sorted by utterance, times to 0.1 ms; unlabelled intervals are left out.

    Args:
        path: the file.
        alignments: by utterance.

    Raises:
        AlignmentError: a label with white space, which CTM cannot hold.
    """
    with atomic_file(path) as temporary, open(temporary, "w", encoding="utf-8") as out:
        for utt in sorted(alignments):
            for start, end, label in alignments[utt]:
                if len(label.split()) > 1:
                    raise AlignmentError(f"{path}: CTM cannot hold the label '{label}' of {utt}, it has white space")
                if label:
                    out.write(f"{utt} 1 {start:.4f} {round(end, 4) - round(start, 4):.4f} {label}\n")


def read_textgrid(path: str | os.PathLike, tier: str = "phones") -> Alignment:
    """Read one interval tier of a Praat TextGrid, long or short, in UTF-8 or UTF-16.

    Args:
        path: the file.
        tier: its name, in either case; `speaker - phones` also answers to `phones`.

    Raises:
        AlignmentError: the file is missing or no TextGrid, or has no such tier.
    """
    values = iter(_textgrid_values(_read_text(path)))
    tiers = {}
    try:
        if next(values) != "ooTextFile" or next(values) != "TextGrid":
            raise AlignmentError(f"{path}: not a text TextGrid: save it from Praat as 'text file' or 'short text file'")
        next(values), next(values)
        if next(values) != "<exists>":
            raise AlignmentError(f"{path}: holds no tiers")
        for _ in range(int(next(values))):
            kind, name = next(values), next(values)
            next(values), next(values)
            count = int(next(values))
            if kind == "IntervalTier":
                tiers[name] = [(float(next(values)), float(next(values)), next(values).strip()) for _ in range(count)]
            else:
                [(next(values), next(values)) for _ in range(count)]
    except (StopIteration, ValueError, RuntimeError):
        raise AlignmentError(f"{path}: ends early or is not a TextGrid") from None
    for name, intervals in tiers.items():
        if name.lower().rsplit(" - ", 1)[-1] == tier.lower():
            return _named(path, tier, intervals)
    raise AlignmentError(f"{path}: no interval tier '{tier}', it has {', '.join(tiers) or 'none'}")


def write_textgrid(path: str | os.PathLike, tiers: Mapping[str, Alignment], duration: float) -> None:
    """Write a Praat TextGrid in the long format; what is not marked becomes an empty interval.

    Args:
        path: the file.
        tiers: alignments by tier name.
        duration: of the audio, in seconds; the tiers end there.
    """
    duration = max([duration] + [alignment.end for alignment in tiers.values()])
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {duration:.6f}"]
    lines += ["tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, alignment) in enumerate(tiers.items(), start=1):
        intervals = list(_without_gaps(alignment, duration))
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f"        name = {_quoted(name)}"]
        lines += ["        xmin = 0", f"        xmax = {duration:.6f}", f"        intervals: size = {len(intervals)}"]
        for index, (start, end, label) in enumerate(intervals, start=1):
            lines += [f"        intervals [{index}]:", f"            xmin = {start:.6f}", f"            xmax = {end:.6f}"]
            lines += [f"            text = {_quoted(label)}"]
    with atomic_file(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_labels(path: str | os.PathLike) -> Alignment:
    """Read HTK or HTS labels: `start end label ...` in units of 100 ns.

    Args:
        path: the file; of full-context labels the phone between `-` and `+` is taken.

    Raises:
        AlignmentError: the file is missing, or the line that is wrong.
    """
    intervals = []
    for number, line in enumerate(_read_text(path).splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        try:
            start, end, label = int(fields[0]), int(fields[1]), fields[2]
        except (ValueError, IndexError):
            raise AlignmentError(f"{path} line {number}: expected 'start end label' in 100 ns, got '{line}'") from None
        context = re.match(r"[^-]*-([^+]+)\+", label)
        intervals.append((start / 1e7, end / 1e7, context.group(1) if context else label))
    return _named(path, "", intervals)


def read_alignment(path: str | os.PathLike) -> Alignment:
    """Read the phones of one utterance from a .TextGrid or .lab file.

    Raises:
        AlignmentError: the suffix is another, or the file is wrong.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".textgrid":
        return read_textgrid(path)
    if suffix == ".lab":
        return read_labels(path)
    raise AlignmentError(f"{path}: phone times must be .TextGrid or .lab files")


def _disjoint(intervals: Iterable[tuple[float, float, str]]) -> tuple[Interval, ...]:
    ordered = sorted(Interval(*i) for i in intervals)
    kept: list[Interval] = []
    for i in ordered:
        if not 0 <= i.start <= i.end < float("inf"):
            raise AlignmentError(f"'{i.label}' goes from {i.start} to {i.end} s")
        if i.start == i.end:
            continue
        if kept and kept[-1].end > i.start:
            if kept[-1].end - i.start > _ROUNDING_SECONDS:
                raise AlignmentError(f"'{kept[-1].label}' ends at {kept[-1].end:.4f} s, after '{i.label}' starts at {i.start:.4f} s")
            kept[-1] = kept[-1]._replace(end=i.start)
        kept.append(i)
    return tuple(kept)


def _named(path: str | os.PathLike, what: str, intervals: Iterable[tuple[float, float, str]]) -> Alignment:
    try:
        return Alignment(intervals)
    except AlignmentError as error:
        raise AlignmentError(f"{path}{': ' * bool(what)}{what}: {error}") from None


def _read_text(path: str | os.PathLike) -> str:
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise AlignmentError(f"{path}: cannot be read ({error.strerror})") from None
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise AlignmentError(f"{path}: not text in UTF-8 or UTF-16") from None


def _textgrid_values(text: str) -> Iterator[str]:
    # In either format the values are the strings, the free-standing numbers and the flags; all else is prose.
    for string, value in re.findall(r'"((?:[^"]|"")*)"|(?<!\S)(-?[\d.]+(?:[eE][-+]?\d+)?|<exists>|<absent>)(?!\S)', text):
        yield value or string.replace('""', '"')


def _without_gaps(alignment: Alignment, duration: float) -> Iterator[Interval]:
    at = 0.0
    for interval in alignment:
        if interval.start > at:
            yield Interval(at, interval.start, "")
        yield interval
        at = interval.end
    if at < duration:
        yield Interval(at, duration, "")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
