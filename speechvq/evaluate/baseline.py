"""Units made by k-means on MFCC for the utterances of an evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from speechvq.corpus import DataDir
from speechvq.errors import InputError
from speechvq.evaluate.labelled import LabelledUnits
from speechvq.metrics.mfcc import VARIANTS, KMeans, Variant, add_deltas, at_unit_rate, mfcc, speaker_statistics

# What k-means sees: frames of that many utterances at least, so that they come from many voices.
FIT_FRAMES = 20_000
FIT_UTTERANCES = 400


@dataclass(frozen=True)
class Cepstra:
    """MFCC frames [F, 13] and the speaker of each utterance of a set."""

    frames: Mapping[str, np.ndarray]
    speakers: Mapping[str, str]

    def features(self, variant: Variant, num_units: Mapping[str, int], unit_seconds: float) -> dict[str, np.ndarray]:
        """One vector per unit of each utterance: [N, C]."""
        frames = {utt: self.frames[utt] for utt in num_units}
        if variant.deltas:
            frames = {utt: add_deltas(x) for utt, x in frames.items()}
        if variant.normalized:
            of = speaker_statistics(frames, self.speakers)
            frames = {utt: (x - of[self.speakers[utt]][0]) / of[self.speakers[utt]][1] for utt, x in frames.items()}
        return {utt: at_unit_rate(frames[utt], n, unit_seconds, variant.averaged) for utt, n in num_units.items()}


def cepstra(data: DataDir, utterances: Iterable[str]) -> Cepstra:
    """MFCC of some utterances of a data directory, at 16 kHz."""
    chosen = list(utterances)
    return Cepstra({utt: mfcc(data.audio(utt), 16000) for utt in chosen}, {utt: data.utt2spk[utt] for utt in chosen})


class Baseline:
    """The eight k-means codebooks of a training set, at the rate and codebook size of the units they stand beside.

    Args:
        data: the training audio; a sample of it is read.
        codebook_size: K.
        unit_seconds: how long a unit lasts.
        seed: of the sample and the starts.
        restarts: of k-means.
    """

    def __init__(self, data: DataDir, codebook_size: int, unit_seconds: float, seed: int = 0, restarts: int = 10):
        self.codebook_size, self.unit_seconds = codebook_size, unit_seconds
        rng = np.random.default_rng(seed)
        num_units = {}
        for utt in rng.permutation(data.utterances):
            num_units[str(utt)] = int(data.duration(str(utt)) / unit_seconds)
            if len(num_units) >= FIT_UTTERANCES and sum(num_units.values()) >= FIT_FRAMES:
                break
        total = sum(num_units.values())
        if total < codebook_size:
            raise InputError(f"{data.path} holds {total} units of audio: too few to fit {codebook_size} k-means centres")
        which = np.sort(rng.permutation(total)[:FIT_FRAMES])
        frames = cepstra(data, num_units)
        self.codebooks = {}
        for variant in VARIANTS:
            features = np.concatenate(list(frames.features(variant, num_units, unit_seconds).values()))
            self.codebooks[variant] = KMeans(features[which], codebook_size, seed, restarts)

    def encode(self, labelled: LabelledUnits, frames: Cepstra, variant: Variant) -> LabelledUnits:
        """The frames of a labelled set with the baseline's units in place of its own."""
        num_units = {utt: len(ids) for utt, ids in zip(labelled.utterances, labelled.ids, strict=True)}
        features = frames.features(variant, num_units, self.unit_seconds)
        codebook = self.codebooks[variant]
        return labelled.with_ids([codebook(features[utt]) for utt in labelled.utterances], self.codebook_size)
