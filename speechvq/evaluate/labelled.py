"""Units and phones of the same frames, and who learns a map from whom."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from speechvq.alignment import NOISE, PHONES, SILENCE, fold_phone
from speechvq.corpus import DataDir
from speechvq.errors import InputError
from speechvq.units import UnitsDir

UNLABELLED = -1
CLASSES = (*PHONES, SILENCE, NOISE)


@dataclass(frozen=True)
class LabelledUnits:
    """Utterances whose every frame has a unit and a phone.

    Args:
        utterances: their names, [U].
        speakers: of each.
        ids: units [N] of each.
        phones: class numbers [N] of each; UNLABELLED frames are neither learned nor scored.
        boundaries: seconds where its phones change, of each.
        classes: names of the phone classes, [P].
        codebook_size: K.
        unit_seconds: how long a unit lasts.
    """

    utterances: tuple[str, ...]
    speakers: tuple[str, ...]
    ids: tuple[np.ndarray, ...]
    phones: tuple[np.ndarray, ...]
    boundaries: tuple[np.ndarray, ...]
    classes: tuple[str, ...]
    codebook_size: int
    unit_seconds: float

    def __len__(self) -> int:
        return len(self.utterances)

    @property
    def num_frames(self) -> int:
        return sum(map(len, self.ids))

    def flat(self) -> tuple[np.ndarray, np.ndarray]:
        """Units and phones of all labelled frames, end to end."""
        ids, phones = np.concatenate(self.ids), np.concatenate(self.phones)
        return ids[phones != UNLABELLED], phones[phones != UNLABELLED]

    def subset(self, which: Iterable[int]) -> LabelledUnits:
        """The utterances of these numbers."""
        which = list(which)
        per_utterance = ("utterances", "speakers", "ids", "phones", "boundaries")
        return replace(self, **{name: tuple(getattr(self, name)[i] for i in which) for name in per_utterance})

    def with_ids(self, ids: Sequence[np.ndarray], codebook_size: int | None = None) -> LabelledUnits:
        """The same frames with other units."""
        return replace(self, ids=tuple(ids), codebook_size=codebook_size or self.codebook_size)

    def without_silence(self) -> LabelledUnits:
        """The same utterances with the labels of silence and noise taken away."""
        silent = [self.classes.index(SILENCE), self.classes.index(NOISE)]
        return replace(self, phones=tuple(np.where(np.isin(p, silent), UNLABELLED, p) for p in self.phones))


def label(units: UnitsDir, data: DataDir, classes: tuple[str, ...]) -> LabelledUnits:
    """Give each unit the phone at its centre.

    Args:
        units: of the utterances of `data`; others are left out, as are those without phone times.
        data: with phone times in `phones.ctm`.
        classes: from `phone_classes`, the same for all sets of one evaluation.

    Raises:
        InputError: no utterance has both.
    """
    names = [utt for utt in data.utterances if utt in units and utt in data.alignments]
    if not names:
        raise InputError(
            f"no utterance of {data.path} has units in {units.path} and phone times in phones.ctm "
            f"({len(units)} have units, {len(data.alignments)} have phone times): encode or align the others"
        )
    number = {name: index for index, name in enumerate(classes)}
    ids, phones, boundaries = [], [], []
    for utt in names:
        row, alignment = units[utt], data.alignments[utt]
        labels, inverse = np.unique(alignment.frame_labels(len(row), row.hop_length, row.sample_rate), return_inverse=True)
        ids.append(row.ids.astype(np.int64))
        phones.append(np.array([number[fold_phone(str(name))] for name in labels], np.int64)[inverse])
        boundaries.append(_inner_boundaries(alignment))
    speakers = tuple(data.utt2spk[utt] for utt in names)
    rows = (tuple(names), speakers, tuple(ids), tuple(phones), tuple(boundaries))
    return LabelledUnits(*rows, classes, units.codebook_size, units.hop_length / units.sample_rate)


def phone_classes(*sets: DataDir) -> tuple[str, ...]:
    """The 41 classes, and behind them whatever else the phone times of these data directories hold."""
    found = {interval.label for data in sets for alignment in data.alignments.values() for interval in alignment}
    return CLASSES + tuple(sorted({fold_phone(name) for name in found} - set(CLASSES)))


@dataclass(frozen=True)
class Split:
    """A map is learned on `learn` and scored on the utterances `test` of the scored set."""

    learn: LabelledUnits
    test: np.ndarray


def separate(scored: LabelledUnits, learn: LabelledUnits) -> list[Split]:
    """Learn on one set, score on another."""
    return [Split(learn, np.arange(len(scored)))]


def cross_validation(scored: LabelledUnits, folds: int, seed: int = 0) -> list[Split]:
    """Each utterance is scored by a map that was learned on those outside its fold.

    Args:
        scored: the utterances.
        folds: into how many parts they are dealt, at random.
        seed: of the dealing.

    Raises:
        InputError: fewer utterances than folds, or fewer than two folds.
    """
    if not 2 <= folds <= len(scored):
        raise InputError(f"{len(scored)} utterances cannot be dealt into {folds} folds: there must be 2 or more, none empty")
    order = np.random.default_rng(seed).permutation(len(scored))
    parts = [np.sort(order[fold::folds]) for fold in range(folds)]
    return [Split(scored.subset(np.setdiff1d(order, part)), part) for part in parts]


Map = Callable[[np.ndarray], np.ndarray]


def predict(scored: LabelledUnits, splits: list[Split], learn: Callable[[LabelledUnits], Map]) -> list[np.ndarray]:
    """Phones [N] that learned maps give to each utterance of a set.

    Args:
        scored: the utterances.
        splits: which map scores which of them.
        learn: makes a map, from units [N] to phones [N], out of a labelled set.
    """
    predicted: list[np.ndarray] = [np.zeros(0, np.int64)] * len(scored)
    for split in splits:
        mapping = learn(split.learn)
        for index in split.test:
            predicted[index] = mapping(scored.ids[index])
    return predicted


def _inner_boundaries(alignment) -> np.ndarray:
    # The outer edges of an utterance are nobody's finding, and neighbours with one folded name are one phone.
    ends = [
        left.end
        for left, right in zip(alignment.intervals, alignment.intervals[1:], strict=False)
        if fold_phone(left.label) != fold_phone(right.label)
    ]
    return np.array(ends)
