"""Units against phonemes: every figure of `speechvq evaluate units`, as one dictionary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from speechvq.corpus import DataDir
from speechvq.evaluate.accuracy import Score, counts, learn_context, learn_majority, learn_units, score, shuffled
from speechvq.evaluate.baseline import Baseline, cepstra
from speechvq.evaluate.labelled import LabelledUnits, Split, cross_validation, label, phone_classes, predict, separate
from speechvq.metrics import units as measures
from speechvq.metrics.boundaries import BoundaryCounts, match_boundaries
from speechvq.units import UnitsDir

CONVENTION = (
    "39 ARPABET phones without stress, silence and noise; a unit's phone is the one at its centre; "
    "'speech' leaves silence and noise frames out of the score, 'speech_only' out of the map too"
)


@dataclass(frozen=True)
class UnitsWithData:
    """Units of the utterances of a data directory."""

    units: UnitsDir
    data: DataDir

    def __str__(self) -> str:
        return f"{self.units.path} of {self.data.path}"


def evaluate_units(
    scored: UnitsWithData,
    learned: UnitsWithData | None = None,
    folds: int = 5,
    baseline_data: DataDir | None = None,
    tolerance: float = 0.02,
    seed: int = 0,
) -> dict:
    """Measure units against the phones of the same frames.

    Args:
        scored: what is measured; needs phone times.
        learned: what the map is learned on; without it, the other folds of `scored`.
        folds: how many, where `learned` is not given.
        baseline_data: training audio for the k-means baseline; without it there is no such row.
        tolerance: within which a boundary is found, in seconds.
        seed: of folds, shuffles and k-means.

    Returns:
        results ready for JSON, described in docs/evaluation.md.

    Raises:
        InputError: no utterance with units and phone times, or too few.
    """
    sides = [scored] if learned is None else [scored, learned]
    classes = phone_classes(*(side.data for side in sides))
    labelled = [label(side.units, side.data, classes) for side in sides]
    own = labelled[0]

    def splits(*sets: LabelledUnits) -> list[Split]:
        return separate(*sets) if len(sets) > 1 else cross_validation(sets[0], folds, seed)

    units = score("units", own, splits(*labelled), learn_units)
    mixed = [shuffled(one, seed) for one in labelled]
    majority = score("majority class", own, splits(*labelled), learn_majority)
    scores = [
        units,
        score("unit bigrams", own, splits(*labelled), learn_context(2)),
        score("unit trigrams", own, splits(*labelled), learn_context(3)),
        majority,
        score("units shuffled", mixed[0], splits(*mixed), learn_units),
    ]
    variants: list[Score] = []
    if baseline_data is not None:
        variants = _baseline_scores(baseline_data, sides, labelled, splits, seed)
        scores.append(max(variants, key=Score.accuracy))
    return {
        "scored": _describe(scored, own),
        "map": _describe(learned, labelled[1]) if learned else f"{folds} folds by utterance, seed {seed}",
        "baseline_data": str(baseline_data.path) if baseline_data else None,
        "units_per_second": 1 / own.unit_seconds,
        "codebook_size": own.codebook_size,
        "classes": list(classes),
        "convention": CONVENTION,
        "accuracy": [one.row() for one in scores],
        "differences": [units.minus(other) for other in scores[1:]] + [scores[4].minus(majority)],
        "baseline_variants": [one.row() for one in variants],
        "map_on_test": score("units, map learned on the scored frames", own, separate(own, own), learn_units).row(),
        "boundaries": {"tolerance": tolerance, **_boundaries(own, tolerance).scores()},
        "confusion": _confusion(own, splits(*labelled)).tolist(),
        **_without_map(own),
    }


def _baseline_scores(data, sides, labelled, splits, seed) -> list[Score]:
    baseline = Baseline(data, labelled[0].codebook_size, labelled[0].unit_seconds, seed)
    frames = [cepstra(side.data, one.utterances) for side, one in zip(sides, labelled, strict=True)]
    scores = []
    for variant in baseline.codebooks:
        encoded = [baseline.encode(one, x, variant) for one, x in zip(labelled, frames, strict=True)]
        scores.append(score(f"MFCC k-means ({variant})", encoded[0], splits(*encoded), learn_units))
    return scores


def _describe(side: UnitsWithData, labelled: LabelledUnits) -> dict:
    return {
        "units": str(side.units.path),
        "data": str(side.data.path),
        "utterances": len(labelled),
        "speakers": len(set(labelled.speakers)),
        "frames": labelled.num_frames,
        "left_out": len(side.data) - len(labelled),
    }


def _boundaries(labelled: LabelledUnits, tolerance: float) -> BoundaryCounts:
    total = BoundaryCounts(0, 0, 0)
    for ids, true in zip(labelled.ids, labelled.boundaries, strict=True):
        found = (np.flatnonzero(ids[1:] != ids[:-1]) + 1) * labelled.unit_seconds
        total += match_boundaries(found, true, tolerance)
    return total


def _confusion(scored: LabelledUnits, splits: list[Split]) -> np.ndarray:
    predicted = predict(scored, splits, learn_units)
    return measures.confusion(np.concatenate(scored.phones), np.concatenate(predicted), len(scored.classes))


def _without_map(labelled: LabelledUnits) -> dict:
    table, ids = counts(labelled), list(labelled.ids)
    seconds = labelled.num_frames * labelled.unit_seconds
    return {
        "clusters": {
            "phone_purity": measures.phone_purity(table),
            "cluster_purity": measures.cluster_purity(table),
            "pnmi": measures.phone_normalized_mutual_information(table),
            "nmi": measures.normalized_mutual_information(table),
            "ami": measures.adjusted_mutual_information(table),
        },
        "bitrate": {
            "bits_per_second": measures.bitrate(ids, seconds),
            "without_repeats": measures.bitrate(ids, seconds, dedup=True),
        },
        "codebook": measures.codebook_usage(table.sum(axis=1)),
        "counts": table.tolist(),
    }
