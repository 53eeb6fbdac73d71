"""Discrete units: one utterance's, and a directory of many.

A units directory holds `units.yaml`, `ids.npy` (all utterances end to end) and
`index.tsv`; docs/formats.md describes each field.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from speechvq.errors import UnitsError
from speechvq.files import atomic_dir

FORMAT = 1
INDEX_COLUMNS = ("utt", "offset", "N", "num_samples", "gain_db", "speaker")


@dataclass(frozen=True)
class Units:
    """The units of one utterance.

    Args:
        ids: [N] integers in [0, codebook_size).
        codebook_size: K.
        hop_length: samples per unit.
        sample_rate: of the audio that was encoded, in Hz.

    Raises:
        UnitsError: ids are not one-dimensional integers below codebook_size.
    """

    ids: np.ndarray
    codebook_size: int
    hop_length: int
    sample_rate: int

    def __post_init__(self):
        ids = np.asarray(self.ids)
        if ids.ndim != 1 or (ids.size and not np.issubdtype(ids.dtype, np.integer)):
            raise UnitsError(f"units must be one row of integers, not {ids.dtype} of shape {ids.shape}")
        if ids.size and (ids.min() < 0 or ids.max() >= self.codebook_size):
            raise UnitsError(f"unit {ids.max() if ids.min() >= 0 else ids.min()} lies outside a codebook of {self.codebook_size}")
        object.__setattr__(self, "ids", ids.astype(id_dtype(self.codebook_size)))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def rate(self) -> float:
        """Units per second."""
        return self.sample_rate / self.hop_length

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.ids) / self.rate

    def run_lengths(self) -> tuple[np.ndarray, np.ndarray]:
        """Collapse repeats.

        Returns:
            ids [M] of each run and its lengths [M] in units; lengths sum to N.
        """
        starts = np.flatnonzero(np.r_[True, self.ids[1:] != self.ids[:-1]]) if len(self.ids) else np.zeros(0, np.int64)
        return self.ids[starts], np.diff(np.r_[starts, len(self.ids)])

    def bitrate(self, dedup: bool = False) -> float:
        """Bits per second of the empirical distribution, N / duration * entropy (ZeroSpeech 2019).

        Args:
            dedup: count a run of one unit once.
        """
        ids = self.run_lengths()[0] if dedup else self.ids
        if not len(ids):
            return 0.0
        p = np.bincount(ids) / len(ids)
        p = p[p > 0]
        return float(len(ids) / self.duration * -(p * np.log2(p)).sum())


def id_dtype(codebook_size: int) -> np.dtype:
    """The integer type that stores ids of a codebook."""
    return np.dtype(np.uint16 if codebook_size <= 65536 else np.uint32)


@dataclass(frozen=True)
class UnitsEntry:
    """One row of index.tsv: where an utterance's ids lie, and what else is known of it."""

    utt: str
    offset: int
    num_units: int
    num_samples: int
    gain_db: float
    speaker: str


class UnitsDir:
    """A units directory opened for reading; ids are memory-mapped.

    Args:
        path: the directory.

    Raises:
        UnitsError: it is missing, of a newer format, or its files disagree.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        meta = _read_meta(self.path)
        self.codebook_size: int = meta["codebook_size"]
        self.hop_length: int = meta["hop_length"]
        self.sample_rate: int = meta["sample_rate"]
        self.model_hash: str = meta["model_hash"]
        self._ids = np.load(self.path / "ids.npy", mmap_mode="r", allow_pickle=False)
        self._entries = {e.utt: e for e in _read_index(self.path / "index.tsv")}
        end = max((e.offset + e.num_units for e in self._entries.values()), default=0)
        if end > len(self._ids):
            raise UnitsError(f"{self.path}: index.tsv speaks of {end} ids but ids.npy holds {len(self._ids)}: write it again")

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, utt: str) -> bool:
        return utt in self._entries

    def __iter__(self) -> Iterator[str]:
        """Utterances, sorted."""
        return iter(self._entries)

    def __getitem__(self, utt: str) -> Units:
        entry = self.entry(utt)
        ids = self._ids[entry.offset : entry.offset + entry.num_units]
        return Units(ids, self.codebook_size, self.hop_length, self.sample_rate)

    def entry(self, utt: str) -> UnitsEntry:
        """The index row of an utterance.

        Raises:
            UnitsError: there is none of that name.
        """
        if utt not in self._entries:
            raise UnitsError(f"{self.path} holds no utterance '{utt}' (it holds {len(self)})")
        return self._entries[utt]


class UnitsWriter:
    """Write a units directory, one utterance after another, in memory that does not grow with the ids.

    Use as a context manager: the directory takes its name when the block ends well.

    Args:
        path: the directory to write.
        codebook_size: K.
        hop_length: samples per unit.
        sample_rate: in Hz.
        model_hash: of the model that made the units; empty for units from elsewhere.
    """

    def __init__(self, path: str | os.PathLike, codebook_size: int, hop_length: int, sample_rate: int, model_hash: str = ""):
        self._meta = dict(
            format=FORMAT, codebook_size=codebook_size, hop_length=hop_length, sample_rate=sample_rate, model_hash=model_hash
        )
        self._dtype = id_dtype(codebook_size)
        self._context = atomic_dir(path)
        self._entries: dict[str, UnitsEntry] = {}
        self._offset = 0

    def __enter__(self) -> UnitsWriter:
        self._dir = self._context.__enter__()
        self._raw = open(self._dir / "ids.raw", "wb")
        return self

    def add(self, utt: str, ids: np.ndarray, num_samples: int | None = None, gain_db: float = 0.0, speaker: str = "") -> None:
        """Append one utterance.

        Args:
            utt: its name; no white space.
            ids: [N] in [0, codebook_size).
            num_samples: of the audio before padding; N * hop_length where not given.
            gain_db: what was added to reach the reference loudness, in dB.
            speaker: its speaker, or empty.

        Raises:
            UnitsError: a name that is taken or has white space, or ids outside the codebook.
        """
        if utt in self._entries:
            raise UnitsError(f"two utterances are called '{utt}': rename one")
        if not utt or any(c.isspace() for c in utt + speaker):
            raise UnitsError(f"utterance {utt!r} of speaker {speaker!r}: names must be non-empty and without white space")
        units = Units(ids, self._meta["codebook_size"], self._meta["hop_length"], self._meta["sample_rate"])
        self._raw.write(units.ids.tobytes())
        if num_samples is None:
            num_samples = len(units) * units.hop_length
        self._entries[utt] = UnitsEntry(utt, self._offset, len(units), num_samples, gain_db, speaker)
        self._offset += len(units)

    def __exit__(self, kind, value, trace) -> bool | None:
        self._raw.close()
        if kind is None:
            _raw_to_npy(self._dir / "ids.raw", self._dir / "ids.npy", self._dtype, self._offset)
            _write_index(self._dir / "index.tsv", self._entries)
            (self._dir / "units.yaml").write_text(yaml.safe_dump(self._meta, sort_keys=False))
        return self._context.__exit__(kind, value, trace)


def _raw_to_npy(raw: Path, npy: Path, dtype: np.dtype, length: int) -> None:
    # The .npy header needs the length, which is known only at the end: copy in blocks behind it.
    with open(npy, "wb") as out, open(raw, "rb") as source:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (length,)}
        np.lib.format.write_array_header_1_0(out, header)
        while block := source.read(1 << 22):
            out.write(block)
    raw.unlink()


def _write_index(path: Path, entries: dict[str, UnitsEntry]) -> None:
    with open(path, "w", encoding="utf-8") as out:
        out.write("\t".join(INDEX_COLUMNS) + "\n")
        for utt in sorted(entries):
            e = entries[utt]
            out.write(f"{e.utt}\t{e.offset}\t{e.num_units}\t{e.num_samples}\t{e.gain_db:.4f}\t{e.speaker}\n")


def _read_meta(path: Path) -> dict:
    try:
        meta = yaml.safe_load((path / "units.yaml").read_text())
    except FileNotFoundError:
        raise UnitsError(f"{path} is not a units directory (no units.yaml): make one with 'speechvq encode'") from None
    except yaml.YAMLError as error:
        raise UnitsError(f"{path}/units.yaml is not YAML: {error}") from None
    missing = {"format", "codebook_size", "hop_length", "sample_rate", "model_hash"} - set(meta or ())
    if missing:
        raise UnitsError(f"{path}/units.yaml lacks {', '.join(sorted(missing))}")
    if meta["format"] != FORMAT:
        raise UnitsError(f"{path} has units format {meta['format']}, this speechvq reads {FORMAT}: update speechvq")
    return meta


def _read_index(path: Path) -> Iterator[UnitsEntry]:
    try:
        lines = open(path, encoding="utf-8")
    except FileNotFoundError:
        raise UnitsError(f"{path} is missing: write the units directory again") from None
    with lines:
        if tuple(next(lines, "").rstrip("\n").split("\t")) != INDEX_COLUMNS:
            raise UnitsError(f"{path} must begin with the columns {' '.join(INDEX_COLUMNS)}")
        for number, line in enumerate(lines, start=2):
            fields = line.rstrip("\n").split("\t")
            try:
                utt, offset, num_units, num_samples, gain_db, speaker = fields
                yield UnitsEntry(utt, int(offset), int(num_units), int(num_samples), float(gain_db), speaker)
            except ValueError:
                raise UnitsError(f"{path} line {number} does not have the columns {' '.join(INDEX_COLUMNS)}") from None
