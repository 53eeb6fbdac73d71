"""Kaldi archive: `units.ark` with binary integer vectors, `units.scp` that points into it.

A record is `utt`, a space, NUL, `B`, and then the count and every integer as a byte 4 and an
int32, little-endian: what Kaldi's `WriteIntegerVector` writes. The scp holds absolute paths: write it again
after moving the folder. Limits: as `kaldi-text`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from speechvq.errors import FormatError
from speechvq.formats import kaldi_dir
from speechvq.formats.common import Batch, Meta
from speechvq.formats.text import open_file

CONSUMER = "Kaldi"
EXAMPLE = "units.scp: p225-p225_001 /data/units.ark:14"
_INT32 = np.dtype([("size", "u1"), ("value", "<i4")])
_BINARY = b"\0B"
_READ_BYTES = 1 << 22


def write(directory: Path, batches: Iterator[Batch], meta: Meta) -> None:
    """Write units.ark, units.scp, utt2spk, spk2utt, utt2dur, and text and wav.scp where known."""
    home = meta.home / "units.ark"
    position = 0
    with open(directory / "units.ark", "wb") as ark, open(directory / "units.scp", "w", encoding="utf-8") as scp:
        for batch in kaldi_dir.beside(directory, batches, meta):
            data = _vector(batch.ids)
            counts = _vector(batch.lengths)
            places = []
            start = 0
            for row, (utt, length) in enumerate(zip(batch.utts, batch.lengths.tolist(), strict=True)):
                key = utt.encode() + b" "
                places.append(f"{utt} {home}:{position + len(key)}\n")
                record = b"".join((key, _BINARY, counts[5 * row : 5 * row + 5], data[start : start + 5 * length]))
                ark.write(record)
                position += len(record)
                start += 5 * length
            scp.write("".join(places))


def read(directory: Path, meta: Meta) -> Iterator[Batch]:
    """Read units.ark from its beginning to its end; the scp is not needed."""
    path = directory / "units.ark"
    names, vectors, size = [], [], 0
    for name, values in _records(path):
        names.append(name)
        vectors.append(values)
        size += len(values)
        if size > _READ_BYTES:
            yield _batch(names, vectors, path)
            names, vectors, size = [], [], 0
    if names:
        yield _batch(names, vectors, path)


def _vector(values: np.ndarray) -> bytes:
    out = np.empty(len(values), _INT32)
    out["size"] = 4
    out["value"] = values
    return out.tobytes()


def _batch(names: list[str], vectors: list[bytes], path: Path) -> Batch:
    data = np.frombuffer(b"".join(vectors), _INT32)
    if np.any(data["size"] != 4):
        raise FormatError(f"{path} does not hold vectors of 4-byte integers near '{names[0]}'")
    return Batch(names, data["value"].astype(np.int64), np.array([len(v) // 5 for v in vectors], np.int64))


def _name(path: Path, name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise FormatError(f"{path}: a name is not UTF-8: is this a Kaldi archive?") from None


def _records(path: Path) -> Iterator[tuple[str, bytes]]:
    """Every utterance and the bytes of its integers; the file is read in large blocks."""
    buffer, position = b"", 0
    with open_file(path) as source:

        def ensure(count: int) -> bool:
            nonlocal buffer, position
            while len(buffer) - position < count:
                block = source.read(max(_READ_BYTES, count))
                if not block:
                    return False
                buffer, position = buffer[position:] + block, 0
            return True

        while ensure(1):
            while (space := buffer.find(b" ", position)) < 0:
                if not ensure(len(buffer) - position + 1):
                    raise FormatError(f"{path} ends inside a name: it was cut short")
            name = _name(path, buffer[position:space])
            position = space + 1
            if not ensure(7) or buffer[position : position + 3] != _BINARY + b"\x04":
                raise FormatError(f"{path}: '{name[:60]}' is not followed by a binary vector of 4-byte integers")
            count = int.from_bytes(buffer[position + 3 : position + 7], "little", signed=True)
            position += 7
            if count < 0 or not ensure(5 * count):
                raise FormatError(f"{path} ends inside '{name}': it was cut short")
            yield name, buffer[position : position + 5 * count]
            position += 5 * count
