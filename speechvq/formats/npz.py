"""NumPy: `units.npz` with `utts`, `ids`, `offsets`, `num_samples` and `speakers`.

    data = np.load("units.npz")
    first = data["ids"][data["offsets"][0] : data["offsets"][1]]   # of data["utts"][0]

All ids lie end to end, so that a million utterances are five arrays. Names are UTF-8 bytes
(`data["utts"].astype(str)` where they are ASCII). No pickle is needed. Nothing is lost.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from speechvq.errors import FormatError
from speechvq.formats.common import Batch, Meta
from speechvq.formats.text import open_file
from speechvq.units import id_dtype

CONSUMER = "NumPy"
EXAMPLE = "units.npz: np.load(...)['ids'][offsets[i] : offsets[i + 1]] are the units of utts[i]"
_ROWS = 1 << 13


def write(directory: Path, batches: Iterator[Batch], meta: Meta) -> None:
    """Write units.npz."""
    names, speakers, counts, samples = [], [], [np.zeros(1, np.int64)], [np.zeros(0, np.int64)]
    raw = directory / ".ids.raw"
    with open(raw, "wb") as out:
        for batch in batches:
            out.write(np.ascontiguousarray(batch.ids, id_dtype(meta.codebook_size)).data)
            names.append(np.array([utt.encode() for utt in batch.utts]))
            speakers.append(np.array([speaker.encode() for speaker in batch.speakers]))
            counts.append(batch.lengths)
            samples.append(batch.num_samples)
    with zipfile.ZipFile(directory / "units.npz", "w") as archive:
        ids = np.memmap(raw, id_dtype(meta.codebook_size), "r") if raw.stat().st_size else np.zeros(0, np.uint16)
        for name, array in (
            ("ids", ids),
            ("offsets", np.cumsum(np.concatenate(counts))),
            ("utts", np.concatenate([np.zeros(0, "S1"), *names])),
            ("num_samples", np.concatenate(samples)),
            ("speakers", np.concatenate([np.zeros(0, "S1"), *speakers])),
        ):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    raw.unlink()


def read(directory: Path, meta: Meta) -> Iterator[Batch]:
    """Read units.npz; only `utts`, `ids` and `offsets` are needed. The ids are streamed."""
    path = directory / "units.npz"
    open_file(path).close()
    try:
        with np.load(path, allow_pickle=False) as data:
            utts, offsets = data["utts"], data["offsets"].astype(np.int64)
            samples = data["num_samples"].astype(np.int64) if "num_samples" in data else None
            speakers = data.get("speakers")
        if offsets.shape != (len(utts) + 1,) or np.any(np.diff(offsets) < 0) or offsets[0] != 0:
            raise FormatError(f"{path}: offsets must rise from 0, and be one more than there are utts")
        with zipfile.ZipFile(path) as archive, archive.open("ids.npy") as ids:
            dtype = _header(ids, int(offsets[-1]))
            for start in range(0, len(utts), _ROWS):
                rows = slice(start, start + _ROWS)
                lengths = np.diff(offsets[start : start + _ROWS + 1])
                yield Batch(
                    _names(utts[rows]),
                    np.frombuffer(ids.read(int(lengths.sum()) * dtype.itemsize), dtype).astype(np.int64),
                    lengths,
                    num_samples=None if samples is None else samples[rows],
                    speakers=None if speakers is None else _names(speakers[rows]),
                )
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise FormatError(f"{path} lacks arrays utts, ids and offsets, or is cut short ({error})") from None


def _header(ids: IO[bytes], count: int) -> np.dtype:
    """Read past the header of ids.npy, which must announce that many integers in one row."""
    version = np.lib.format.read_magic(ids)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(ids)
    if shape != (count,) or not np.issubdtype(dtype, np.integer):
        raise ValueError(f"ids are {dtype} of shape {shape}, where offsets end at {count}")
    return dtype


def _names(array: np.ndarray) -> list[str]:
    return [name.decode() if isinstance(name, bytes) else str(name) for name in array.tolist()]
