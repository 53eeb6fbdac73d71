"""How many bytes of audio a file's header promises beyond what is there.

libsndfile shortens such a file without a word, so the headers are looked at here.
Compressed formats are not: their decoders notice by themselves.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import BinaryIO

# Writers that stream put one of these where they do not know the length yet.
UNKNOWN_LENGTHS = (0, 0x7FFFFFFF, 0xFFFFFFFF)


def missing_bytes(source: str | os.PathLike | BinaryIO) -> int:
    """Count the bytes of audio that a wav, aiff, sph or au header promises and the file lacks.

    Args:
        source: file name, or a seekable binary file, which is left at its start.

    Returns:
        bytes; 0 or less where nothing is missing or the format is another.
    """
    if not hasattr(source, "read"):
        with Path(source).open("rb") as file:
            return missing_bytes(file)
    source.seek(0, os.SEEK_END)
    size = source.tell()
    source.seek(0)
    end = _promised_end(source)
    source.seek(0)
    return end - size


def _promised_end(file: BinaryIO) -> int:
    head = file.read(32)
    if head[:4] in (b"RIFF", b"RIFX"):
        return _end_of_chunk(file, b"data", "little" if head[:4] == b"RIFF" else "big")
    if head[:4] == b"FORM":
        return _end_of_chunk(file, b"SSND", "big")
    if head[:4] == b".snd":
        return _end(int.from_bytes(head[4:8], "big"), int.from_bytes(head[8:12], "big"))
    if head[:7] == b"NIST_1A":
        return _end_of_sph(file)
    return 0


def _end(at: int, length: int) -> int:
    return 0 if length in UNKNOWN_LENGTHS else at + length


def _end_of_chunk(file: BinaryIO, wanted: bytes, order: str) -> int:
    at = 12
    while True:
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return 0
        length = int.from_bytes(head[4:], order)
        if head[:4] == wanted:
            return _end(at + 8, length)
        at += 8 + length + length % 2


def _end_of_sph(file: BinaryIO) -> int:
    file.seek(0)
    header = file.read(1024)
    fields = dict(re.findall(rb"^(\w+) -(?:i|s\d+) (\S+)", header, re.MULTILINE))
    if b"shorten" in fields.get(b"sample_coding", b""):
        return 0
    try:
        size = int(header.split()[1])
        return size + int(fields[b"sample_count"]) * int(fields[b"channel_count"]) * int(fields[b"sample_n_bytes"])
    except (KeyError, ValueError, IndexError):
        return 0
