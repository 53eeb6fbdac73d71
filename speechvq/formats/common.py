"""What every format shares: the batch that flows, and what a sequence of integers alone does not say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from speechvq.alignment import Alignment
from speechvq.errors import FormatError

quote = json.encoder.encode_basestring


@dataclass(frozen=True)
class Meta:
    """What a sequence of integers alone does not say.

    Args:
        codebook_size: K.
        hop_length: samples per unit.
        sample_rate: in Hz.
        model_hash: of the model that made the units, or empty.
        dedup: runs of one unit were collapsed.
        home: where the files will lie when they are finished, for formats that hold paths.
        alignment: the phones of an utterance, where a data directory knows them.
    """

    codebook_size: int
    hop_length: int
    sample_rate: int
    model_hash: str = ""
    dedup: bool = False
    home: Path = Path()
    alignment: Callable[[str], Alignment | None] | None = None

    def __post_init__(self):
        for name in ("codebook_size", "hop_length", "sample_rate"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise FormatError(f"{name} must be a positive whole number, not {getattr(self, name)!r}")

    @property
    def rate(self) -> float:
        """Units per second."""
        return self.sample_rate / self.hop_length


@dataclass(frozen=True)
class Batch:
    """Some utterances as columns.

    Args:
        utts: n names.
        ids: [sum of lengths] end to end.
        lengths: [n].
        durations: [sum of lengths] the run length of each id, in units; None where every id is one unit.
        num_samples: [n] of the audio, or None where the format does not say.
        gain_db: [n], or None.
        speakers: n names, empty where unknown, or None.
        texts: n transcripts, empty where unknown.
        audio: n paths of the recordings, empty where unknown.
    """

    utts: list[str]
    ids: np.ndarray
    lengths: np.ndarray
    durations: np.ndarray | None = None
    num_samples: np.ndarray | None = None
    gain_db: np.ndarray | None = None
    speakers: list[str] | None = None
    texts: list[str] = field(default_factory=list)
    audio: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.utts)

    def rows(self, column: np.ndarray | None = None) -> Iterator[np.ndarray]:
        """The ids (or another column as long) of each utterance in turn."""
        column = self.ids if column is None else column
        ends = np.cumsum(self.lengths).tolist()
        return (column[start:end] for start, end in pairwise([0, *ends]))

    def collapsed(self) -> Batch:
        """The same with each run of one unit as one id and its duration."""
        if self.durations is not None:
            return self
        first = np.ones(len(self.ids), bool)
        first[1:] = self.ids[1:] != self.ids[:-1]
        starts_of_rows = np.cumsum(self.lengths) - self.lengths
        first[starts_of_rows[self.lengths > 0]] = True
        runs = np.flatnonzero(first)
        before = np.concatenate([[0], np.cumsum(first)])
        lengths = before[starts_of_rows + self.lengths] - before[starts_of_rows]
        return replace(self, ids=self.ids[runs], lengths=lengths, durations=np.diff(runs, append=len(self.ids)))

    def expanded(self) -> Batch:
        """The same with every id repeated for as long as it lasts."""
        if self.durations is None:
            return self
        before = np.concatenate([[0], np.cumsum(self.durations)])
        ends = np.cumsum(self.lengths)
        lengths = before[ends] - before[ends - self.lengths]
        return replace(self, ids=np.repeat(self.ids, self.durations), lengths=lengths, durations=None)


def paths(batch: Batch) -> list[str]:
    """The path of each recording, by which some formats name utterances: `speaker/utt.wav` where unknown."""
    audio = batch.audio or [""] * len(batch)
    names = zip(batch.utts, batch.speakers, audio, strict=True)
    return [path or (f"{speaker}/{utt}.wav" if speaker else f"{utt}.wav") for utt, speaker, path in names]


def stems(paths: list[str]) -> list[str]:
    """The names of files without folder and suffix."""
    return [path.rpartition("/")[2].rpartition(".")[0] or path.rpartition("/")[2] for path in paths]
