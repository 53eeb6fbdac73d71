#!/usr/bin/env python
"""A prior beside what simple counts reach, and beside itself on units in an order that nobody spoke.

    recipes/prior_baselines.py --train units/train --test units/test --prior exp/prior/best
"""

from __future__ import annotations

import argparse
import math
import sys

import numpy as np

from speechvq.errors import SpeechVQError
from speechvq.prior import Prior
from speechvq.progress import progress
from speechvq.units import UnitsDir

# Pairs are counted as if each had been seen so often more, spread as its second unit occurs.
PRIOR_COUNT = 20.0


class Counts:
    """How often each unit occurs, and after which, in a set of utterances."""

    def __init__(self, units: UnitsDir):
        K = units.codebook_size
        self.first, single, self.pairs = K, np.ones(K), np.zeros((K + 1, K))
        for utt in units:
            ids = units[utt].ids.astype(int)
            np.add.at(single, ids, 1)
            np.add.at(self.pairs, (np.r_[self.first, ids[:-1]], ids), 1)
        self.share = single / single.sum()

    def single(self, ids: np.ndarray) -> np.ndarray:
        """[N] nats, whatever came before."""
        return -np.log(self.share[ids])

    def paired(self, ids: np.ndarray) -> np.ndarray:
        """[N] nats, after the unit before."""
        before = np.r_[self.first, ids[:-1]]
        seen = self.pairs[before, ids] + PRIOR_COUNT * self.share[ids]
        return -np.log(seen / (self.pairs[before].sum(1) + PRIOR_COUNT))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True, metavar="UNITS_DIR", help="what to count in")
    parser.add_argument("--test", required=True, metavar="UNITS_DIR", help="what to score")
    parser.add_argument("--prior", required=True, metavar="DIR")
    args = parser.parse_args()
    try:
        compare(Counts(UnitsDir(args.train)), UnitsDir(args.test), Prior(args.prior, threads=1))
    except SpeechVQError as error:
        print(f"prior_baselines.py: {error}", file=sys.stderr)
        return 2
    return 0


def compare(counts: Counts, test: UnitsDir, prior: Prior) -> None:
    """Score the test set in all ways, and print a table."""
    prior.require(test.codebook_size, test.hop_length, test.sample_rate, test.model_hash, str(test.path))
    rng = np.random.default_rng(0)
    ways = {
        "how often each unit occurs": counts.single,
        "how often each follows each": counts.paired,
        "the prior": prior.score,
        "the prior, units in reverse": lambda ids: prior.score(ids[::-1]),
        "the prior, units in random order": lambda ids: prior.score(rng.permutation(ids)),
    }
    surprise = {name: [] for name in ways}
    for utt in progress(test, "scoring", len(test), unit="utt"):
        ids = test[utt].ids.astype(int)
        for name, score in ways.items():
            surprise[name].append(score(ids))
    rate = test.sample_rate / test.hop_length
    print("| | nats a unit | bits a second |\n|---|---|---|")
    for name, parts in surprise.items():
        nats = np.concatenate(parts).mean()
        print(f"| {name} | {nats:.3f} | {nats / math.log(2) * rate:,.0f} |")


if __name__ == "__main__":
    sys.exit(main())
