"""The text files of a Kaldi data directory: a key, a space and the rest of the line, sorted by key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from speechvq.files import atomic_file

REQUIRED = ("wav.scp", "utt2spk", "spk2utt")
BY_UTTERANCE = ("utt2spk", "text", "utt2dur", "segments")
TABLES = ("wav.scp", "spk2utt", *BY_UTTERANCE, "spk2gender")

Rows = list[tuple[str, str]]


def byte_order(text: str) -> bytes:
    """Sorting key of the C locale."""
    return text.encode("utf-8", "surrogateescape")


def read_table(path: Path) -> Rows:
    """Read the rows of a file in their order; what is not UTF-8 is kept as surrogates."""
    # Not read_text, which would take a stray carriage return for the end of a line.
    lines = path.read_bytes().decode("utf-8", "surrogateescape").split("\n")
    return [_row(line) for line in lines if line.strip()]


def read_tables(directory: Path) -> dict[str, Rows]:
    """Read every file of a data directory that is there, by name."""
    return {name: read_table(directory / name) for name in TABLES if (directory / name).is_file()}


def write_table(path: Path, rows: Mapping[str, str]) -> None:
    """Write a file, sorted in the C locale."""
    with atomic_file(path) as temporary, open(temporary, "w", encoding="utf-8", errors="surrogateescape") as out:
        for key in sorted(rows, key=byte_order):
            out.write(f"{key} {rows[key]}".rstrip() + "\n")


def spk2utt(utt2spk: Mapping[str, str]) -> dict[str, str]:
    """Turn utt2spk around: the utterances of each speaker, sorted, in one line."""
    utterances: dict[str, list[str]] = {}
    for utt in sorted(utt2spk, key=byte_order):
        utterances.setdefault(utt2spk[utt], []).append(utt)
    return {speaker: " ".join(utts) for speaker, utts in utterances.items()}


def read_list(path: Path) -> list[str]:
    """Read the first word of every line; empty where there is no file."""
    return [key for key, _ in read_table(path)] if path.is_file() else []


def write_list(path: Path, names: Iterable[str]) -> None:
    """Write one name a line, sorted in the C locale."""
    write_table(path, dict.fromkeys(names, ""))


def is_pipe(entry: str) -> bool:
    """Whether a wav.scp entry is a shell command and not a file."""
    return entry.endswith("|")


def _row(line: str) -> tuple[str, str]:
    key, *rest = line.split(None, 1)
    return key, rest[0].rstrip() if rest else ""
