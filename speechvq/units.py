"""Discrete units: one utterance's, and a directory of many.

A units directory holds `units.yaml`, `ids.npy` (all utterances end to end) and
`index.tsv`; docs/formats.md describes each field.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import yaml

from speechvq.errors import UnitsError
from speechvq.files import atomic_dir
from speechvq.units_index import COLUMNS, UnitsEntry, format_rows, read_index, sort_index

FORMAT = 1
BATCH_UNITS, BATCH_UTTERANCES = 1 << 20, 1 << 14
_SPACE = re.compile(r"\s")


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
            raise UnitsError(
                f"unit {ids.max() if ids.min() >= 0 else ids.min()} lies outside a codebook of {self.codebook_size}"
            )
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
class UnitsBatch:
    """Many utterances as columns, so that a million pass without a million objects.

    Args:
        utts: n names.
        ids: [sum of lengths] of all of them, end to end.
        lengths: [n] in units.
        num_samples: [n] of the audio before padding.
        gain_db: [n] what was added to reach the reference loudness, in dB.
        speakers: n names, empty where unknown.
    """

    utts: list[str]
    ids: np.ndarray
    lengths: np.ndarray
    num_samples: np.ndarray
    gain_db: np.ndarray
    speakers: list[str]

    def __len__(self) -> int:
        return len(self.utts)

    def rows(self) -> Iterator[np.ndarray]:
        """The ids of each utterance in turn."""
        ends = np.cumsum(self.lengths).tolist()
        return (self.ids[start:end] for start, end in pairwise([0, *ends]))


class UnitsDir:
    """A units directory opened for reading; ids are memory-mapped, the index is held as columns.

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
        self._ids = _map_ids(self.path / "ids.npy")
        self._index = read_index(self.path / "index.tsv")
        if self._index.end > len(self._ids):
            raise UnitsError(
                f"{self.path}: index.tsv speaks of {self._index.end} ids but ids.npy holds {len(self._ids)}: write it again"
            )

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, utt: str) -> bool:
        return self._index.row(utt) is not None

    def __iter__(self) -> Iterator[str]:
        """Utterances, sorted."""
        return iter(self._index.utts)

    def __getitem__(self, utt: str) -> Units:
        entry = self.entry(utt)
        ids = self._ids[entry.offset : entry.offset + entry.num_units]
        return Units(ids, self.codebook_size, self.hop_length, self.sample_rate)

    def entry(self, utt: str) -> UnitsEntry:
        """The index row of an utterance.

        Raises:
            UnitsError: there is none of that name.
        """
        row = self._index.row(utt)
        if row is None:
            raise UnitsError(f"{self.path} holds no utterance '{utt}' (it holds {len(self)})")
        return self._index.entry(row)

    def batches(self, max_units: int = BATCH_UNITS) -> Iterator[UnitsBatch]:
        """All utterances in order, some at a time.

        Args:
            max_units: end a batch before it exceeds this many ids, or 16,384 utterances;
                a longer utterance is a batch of its own.
        """
        total = np.cumsum(self._index.lengths)
        start = 0
        while start < len(self):
            done = total[start - 1] if start else 0
            end = int(np.searchsorted(total, done + max_units, side="right"))
            end = min(max(end, start + 1), start + BATCH_UTTERANCES)
            yield self._batch(slice(start, end))
            start = end

    def _batch(self, rows: slice) -> UnitsBatch:
        index = self._index
        offsets, lengths = index.offsets[rows], index.lengths[rows]
        if np.array_equal(offsets[1:], offsets[:-1] + lengths[:-1]):
            # Read, not mapped: mapped pages would count as memory until the whole file is in it.
            start, count = int(offsets[0]), int(lengths.sum())
            place = self._ids.offset + start * self._ids.itemsize
            ids = np.fromfile(self.path / "ids.npy", self._ids.dtype, count, offset=place)
        else:
            ids = np.concatenate([self._ids[o : o + n] for o, n in zip(offsets, lengths, strict=True)])
        if ids.size and ids.max() >= self.codebook_size:
            raise UnitsError(f"{self.path}: unit {ids.max()} lies outside a codebook of {self.codebook_size}")
        return UnitsBatch(
            index.utts[rows], ids, lengths, index.num_samples[rows], index.gain_db[rows], index.speakers[rows]
        )


class UnitsWriter:
    """Write a units directory, in memory that does not grow with the ids, nor with sorted utterances.

    Use as a context manager: the directory takes its name when the block ends well.

    Args:
        path: the directory to write.
        codebook_size: K.
        hop_length: samples per unit.
        sample_rate: in Hz.
        model_hash: of the model that made the units; empty for units from elsewhere.
    """

    def __init__(
        self, path: str | os.PathLike, codebook_size: int, hop_length: int, sample_rate: int, model_hash: str = ""
    ):
        self._meta = dict(
            format=FORMAT,
            codebook_size=codebook_size,
            hop_length=hop_length,
            sample_rate=sample_rate,
            model_hash=model_hash,
        )
        self._dtype = id_dtype(codebook_size)
        self._context = atomic_dir(path, "units.yaml")
        self._last = ""
        self._taken: set[str] | None = None
        self._offset = 0

    def __enter__(self) -> UnitsWriter:
        self._dir = self._context.__enter__()
        self._raw = open(self._dir / "ids.raw", "wb")
        self._index = open(self._dir / "index.tsv", "w", encoding="utf-8")
        self._index.write("\t".join(COLUMNS) + "\n")
        return self

    def add(
        self, utt: str, ids: np.ndarray, num_samples: int | None = None, gain_db: float = 0.0, speaker: str = ""
    ) -> None:
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
        units = Units(ids, self._meta["codebook_size"], self._meta["hop_length"], self._meta["sample_rate"])
        if num_samples is None:
            num_samples = len(units) * units.hop_length
        counts = (np.array([len(units)]), np.array([num_samples]), np.array([gain_db]))
        self.add_batch(UnitsBatch([utt], units.ids, *counts, [speaker]))

    def add_batch(self, batch: UnitsBatch) -> None:
        """Append many utterances.

        Raises:
            UnitsError: as `add`; none of the batch is written then.
        """
        self._check_range(batch)
        self._check_names(batch)
        self._raw.write(np.ascontiguousarray(batch.ids, self._dtype).data)
        ends = self._offset + np.cumsum(batch.lengths)
        columns = (ends - batch.lengths, batch.lengths, batch.num_samples, batch.gain_db)
        rows = zip(batch.utts, *(c.tolist() for c in columns), batch.speakers, strict=True)
        self._index.write(format_rows(rows))
        self._offset += len(batch.ids)

    def __exit__(self, kind, value, trace) -> bool | None:
        self._raw.close()
        self._index.close()
        if kind is None:
            _raw_to_npy(self._dir / "ids.raw", self._dir / "ids.npy", self._dtype, self._offset)
            if self._taken is not None:
                sort_index(self._dir / "index.tsv")
            (self._dir / "units.yaml").write_text(yaml.safe_dump(self._meta, sort_keys=False))
        return self._context.__exit__(kind, value, trace)

    def _check_names(self, batch: UnitsBatch) -> None:
        if not all(batch.utts) or _SPACE.search("/".join(batch.utts)) or _SPACE.search("/".join(set(batch.speakers))):
            for utt, speaker in zip(batch.utts, batch.speakers, strict=True):
                if not utt or _SPACE.search(utt + speaker):
                    raise UnitsError(
                        f"utterance {utt!r} of speaker {speaker!r}: names must be non-empty and without white space"
                    )
        # While names come sorted, the last one tells whether a name is new; afterwards all are remembered.
        if self._taken is None:
            if all(a < b for a, b in pairwise([self._last, *batch.utts])):
                self._last = batch.utts[-1] if batch.utts else self._last
                return
            self._index.flush()
            self._taken = set(read_index(self._dir / "index.tsv").utts)
        for utt in batch.utts:
            if utt in self._taken:
                raise UnitsError(f"two utterances are called '{utt}': rename one")
            self._taken.add(utt)

    def _check_range(self, batch: UnitsBatch) -> None:
        size = self._meta["codebook_size"]
        if batch.ids.size and (batch.ids.min() < 0 or batch.ids.max() >= size):
            position = int(np.flatnonzero((batch.ids < 0) | (batch.ids >= size))[0])
            utt = batch.utts[int(np.searchsorted(np.cumsum(batch.lengths), position, side="right"))]
            raise UnitsError(f"{utt}: unit {batch.ids[position]} lies outside a codebook of {size}")


def _raw_to_npy(raw: Path, npy: Path, dtype: np.dtype, length: int) -> None:
    # The .npy header needs the length, which is known only at the end: copy in blocks behind it.
    with open(npy, "wb") as out, open(raw, "rb") as source:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (length,)}
        np.lib.format.write_array_header_1_0(out, header)
        while block := source.read(1 << 22):
            out.write(block)
    raw.unlink()


def _map_ids(path: Path) -> np.memmap:
    try:
        ids = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise UnitsError(f"{path} is missing: write the units directory again") from None
    except (ValueError, EOFError, OSError) as error:
        raise UnitsError(f"{path} is not an array of ids ({error}): write the units directory again") from None
    if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.unsignedinteger):
        raise UnitsError(f"{path} holds {ids.dtype} of shape {ids.shape}, not one row of ids: write it again")
    return ids


def _read_meta(path: Path) -> dict:
    try:
        meta = yaml.safe_load((path / "units.yaml").read_text())
    except FileNotFoundError:
        raise UnitsError(f"{path} is not a units directory (no units.yaml): make one with 'speechvq encode'") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UnitsError(f"{path}/units.yaml is not YAML: {error}") from None
    kinds = {"format": int, "codebook_size": int, "hop_length": int, "sample_rate": int, "model_hash": str}
    if wrong := [key for key, kind in kinds.items() if not isinstance(meta, dict) or not isinstance(meta.get(key), kind)]:
        raise UnitsError(f"{path}/units.yaml lacks {', '.join(wrong)}, or has something else there")
    if meta["format"] != FORMAT:
        raise UnitsError(f"{path} has units format {meta['format']}, this speechvq reads {FORMAT}: update speechvq")
    return meta
