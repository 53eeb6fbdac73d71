"""Units made by k-means on MFCC for the utterances of an evaluation."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from speechvq.corpus import DataDir
from speechvq.errors import InputError
from speechvq.evaluate.labelled import LabelledUnits
from speechvq.metrics.mfcc import VARIANTS, KMeans, Variant, add_deltas, at_unit_rate, mfcc, speaker_statistics

# What k-means sees: this many units, of that many utterances at least, so that they come from many voices.
FIT_UNITS = 20_000
FIT_UNITS_PER_CENTRE = 100
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


def units_to_fit(codebook_size: int) -> int:
    """How many units k-means should see."""
    return max(FIT_UNITS, FIT_UNITS_PER_CENTRE * codebook_size)


class Baseline:
    """K-means codebooks of a training set, at the rate and codebook size of the units they stand beside.

    Args:
        data: the training audio; a sample of it is read.
        codebook_size: K.
        unit_seconds: how long a unit lasts.
        seed: of the sample and the starts.
        restarts: of k-means.
        variants: the kinds of features to fit one for.

    Raises:
        InputError: too little audio for so many centres.
    """

    def __init__(
        self,
        data: DataDir,
        codebook_size: int,
        unit_seconds: float,
        seed: int = 0,
        restarts: int = 10,
        variants: Sequence[Variant] = VARIANTS,
    ):
        self.codebook_size, self.unit_seconds = codebook_size, unit_seconds
        rng = np.random.default_rng(seed)
        wanted = units_to_fit(codebook_size)
        num_units = {}
        for utt in rng.permutation(data.utterances):
            num_units[str(utt)] = int(data.duration(str(utt)) / unit_seconds)
            if len(num_units) >= FIT_UTTERANCES and sum(num_units.values()) >= wanted:
                break
        total = sum(num_units.values())
        if total < codebook_size:
            raise InputError(f"{data.path} holds {total} units of audio: too few to fit {codebook_size} k-means centres")
        which = np.sort(rng.permutation(total)[:wanted])
        frames = cepstra(data, num_units)

        def fit(variant: Variant) -> KMeans:
            features = np.concatenate(list(frames.features(variant, num_units, unit_seconds).values()))
            return KMeans(features[which], codebook_size, seed, restarts)

        # One thread a variant: threads within k-means wait for each other at every step, for seconds on a busy machine.
        with threadpool_limits(1), ThreadPoolExecutor(os.cpu_count()) as pool:
            self.codebooks = dict(zip(variants, pool.map(fit, variants), strict=True))

    def units(self, frames: Cepstra, num_units: Mapping[str, int], variant: Variant) -> dict[str, np.ndarray]:
        """Unit ids [N] of utterances, N of each given."""
        features = frames.features(variant, num_units, self.unit_seconds)
        return {utt: self.codebooks[variant](x) for utt, x in features.items()}

    def encode(self, labelled: LabelledUnits, frames: Cepstra, variant: Variant) -> LabelledUnits:
        """The frames of a labelled set with the baseline's units in place of its own."""
        num_units = {utt: len(ids) for utt, ids in zip(labelled.utterances, labelled.ids, strict=True)}
        ids = self.units(frames, num_units, variant)
        return labelled.with_ids([ids[utt] for utt in labelled.utterances], self.codebook_size)
