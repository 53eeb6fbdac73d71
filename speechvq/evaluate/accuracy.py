"""Frame accuracy of maps from units to phones, with what chance and simple guesses reach."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from speechvq.evaluate.labelled import UNLABELLED, LabelledUnits, Map, Split, predict
from speechvq.metrics.bootstrap import bootstrap_means, interval
from speechvq.metrics.context import ContextMap
from speechvq.metrics.units import majority_class, majority_map, unit_phone_counts


def counts(labelled: LabelledUnits) -> np.ndarray:
    """The table [K, P] of a labelled set."""
    return unit_phone_counts(*labelled.flat(), labelled.codebook_size, len(labelled.classes))


def learn_units(labelled: LabelledUnits) -> Map:
    """Each unit's most frequent phone: the paper's map."""
    return majority_map(counts(labelled)).__getitem__


def learn_majority(labelled: LabelledUnits) -> Map:
    """The most frequent phone, whatever the unit."""
    commonest = majority_class(counts(labelled))
    return lambda ids: np.full(len(ids), commonest)


def learn_context(order: int) -> Callable[[LabelledUnits], Map]:
    """Maps from a unit and the `order - 1` before it."""

    def learn(labelled: LabelledUnits) -> Map:
        return ContextMap(labelled.ids, labelled.phones, order, labelled.codebook_size, len(labelled.classes)).predict

    return learn


def shuffled(labelled: LabelledUnits, seed: int) -> LabelledUnits:
    """The same units dealt out anew over the frames of all utterances.

    Within one utterance they would still tell of its speaker and its share of silence.
    """
    mixed = np.random.default_rng(seed).permutation(np.concatenate(labelled.ids))
    return labelled.with_ids(np.split(mixed, np.cumsum([len(ids) for ids in labelled.ids])[:-1]))


class Score:
    """Accuracy of one guess about the phones of a scored set, frame by frame.

    Args:
        name: for tables.
        scored: the frames.
        predicted: phones [N] of each utterance.
        speech_only: phones from a map that was learned without silence and noise.
    """

    def __init__(self, name: str, scored: LabelledUnits, predicted: list[np.ndarray], speech_only: list[np.ndarray]):
        self.name = name
        speech = scored.without_silence()
        self.parts = {
            "all": _hits(scored, predicted),
            "speech": _hits(speech, predicted),
            "speech_only": _hits(speech, speech_only),
        }

    def accuracy(self, part: str = "all") -> float:
        """Of "all" frames, of "speech" frames by the same map, or "speech_only": a map of speech frames alone."""
        hits, totals = self.parts[part]
        return float(hits.sum() / max(totals.sum(), 1))

    def row(self) -> dict:
        """Name, accuracies and their 95 % intervals over utterances."""
        row: dict = {"name": self.name}
        for part in self.parts:
            row[part] = self.accuracy(part)
            row[f"{part}_interval"] = interval(bootstrap_means(*self.parts[part]))
        return row

    def minus(self, other: Score) -> dict:
        """The difference to another guess about the same utterances, with its paired 95 % interval."""
        row: dict = {"name": f"{self.name} - {other.name}"}
        for part in self.parts:
            row[part] = self.accuracy(part) - other.accuracy(part)
            row[f"{part}_interval"] = interval(bootstrap_means(*self.parts[part]) - bootstrap_means(*other.parts[part]))
        return row


def score(name: str, scored: LabelledUnits, splits: list[Split], learn: Callable[[LabelledUnits], Map]) -> Score:
    """Learn maps and score them, each on the utterances that it was not learned on."""
    without = [Split(split.learn.without_silence(), split.test) for split in splits]
    return Score(name, scored, predict(scored, splits, learn), predict(scored, without, learn))


def _hits(scored: LabelledUnits, predicted: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    pairs = list(zip(predicted, scored.phones, strict=True))
    hits = np.array([np.sum((guess == phones) & (phones != UNLABELLED)) for guess, phones in pairs])
    return hits, np.array([np.sum(phones != UNLABELLED) for _, phones in pairs])
