#!/usr/bin/env python
"""Inputs to compare units with: MFCC, k-means units of MFCC, random units, all at the rate and K of given units.

Writes OUT/kmeans, OUT/kmeans-normalised and OUT/random with a units directory a set, and OUT/mfcc with
`features.npz` a set. K-means is fitted on the training set's MFCC with their deltas, averaged over the unit;
`-normalised`, as the MFCC themselves, by each speaker's mean and deviation.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from speechvq.corpus import DataDir
from speechvq.errors import SpeechVQError
from speechvq.evaluate.baseline import cepstra, units_to_fit
from speechvq.files import atomic_file
from speechvq.metrics.mfcc import KMeans, Variant
from speechvq.units import UnitsDir, UnitsWriter

MFCC = Variant(deltas=True, normalized=True, averaged=True)
CODEBOOKS = {"kmeans": Variant(deltas=True, normalized=False, averaged=True), "kmeans-normalised": MFCC}


def main() -> int:
    """Make the inputs for all sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("units", type=Path, metavar="UNITS", help="folder with a units directory a set")
    parser.add_argument("data", type=Path, metavar="DATA", help="folder with a data directory a set")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--sets", nargs="+", required=True, metavar="SET", help="the first is the one to fit on")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    try:
        codebooks: dict[str, KMeans] = {}
        for name in args.sets:
            make_set(UnitsDir(args.units / name), DataDir(args.data / name), args.out, name, codebooks, args.seed)
    except SpeechVQError as error:
        print(f"baseline_inputs: {error}", file=sys.stderr)
        return 2
    return 0


def make_set(units: UnitsDir, data: DataDir, out: Path, name: str, codebooks: dict[str, KMeans], seed: int) -> None:
    """Make one set's inputs; the first one fits the codebooks."""
    frames = cepstra(data, units)
    num_units = {utt: units.entry(utt).num_units for utt in units}
    seconds = units.hop_length / units.sample_rate
    rng = np.random.default_rng(seed)
    for kind, variant in CODEBOOKS.items():
        features = frames.features(variant, num_units, seconds)
        if kind not in codebooks:
            together = np.concatenate(list(features.values()))
            chosen = np.sort(rng.permutation(len(together))[: units_to_fit(units.codebook_size)])
            codebooks[kind] = KMeans(together[chosen], units.codebook_size, seed, restarts=3)
        write_units(out / kind / name, units, {utt: codebooks[kind](x) for utt, x in features.items()})
    write_units(
        out / "random" / name, units, {utt: rng.integers(0, units.codebook_size, n) for utt, n in num_units.items()}
    )
    write_features(out / "mfcc" / name / "features.npz", frames.features(MFCC, num_units, seconds))


def write_units(path: Path, like: UnitsDir, ids: dict[str, np.ndarray]) -> None:
    """Write units of the same utterances, rate and K."""
    with UnitsWriter(path, like.codebook_size, like.hop_length, like.sample_rate) as writer:
        for utt, row in ids.items():
            entry = like.entry(utt)
            writer.add(utt, row, entry.num_samples, entry.gain_db, entry.speaker)


def write_features(path: Path, features: dict[str, np.ndarray]) -> None:
    """Write feature vectors [N, C] of all utterances end to end, with `utts` and `offsets`."""
    lengths = [len(x) for x in features.values()]
    with atomic_file(path) as temporary:
        np.savez(
            temporary,
            utts=np.array([utt.encode() for utt in features]),
            offsets=np.cumsum([0, *lengths]),
            features=np.concatenate(list(features.values())).astype(np.float32),
        )


if __name__ == "__main__":
    sys.exit(main())
