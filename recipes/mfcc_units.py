"""Units by k-means on MFCC (deltas, speaker-normalised, averaged over the unit): a floor to compare units with.

python recipes/mfcc_units.py data/train data/test exp/mfcc/test --codebook-size 512 --hop-length 320
"""

from __future__ import annotations

import argparse
import sys

from tqdm import tqdm

from speechvq.corpus import DataDir
from speechvq.errors import SpeechVQError
from speechvq.evaluate.baseline import Baseline, cepstra
from speechvq.metrics.mfcc import Variant
from speechvq.options import whole
from speechvq.units import UnitsWriter

SAMPLE_RATE = 16000


def main() -> int:
    """Fit and encode."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", metavar="TRAIN_DIR", help="data directory that k-means is fitted on")
    parser.add_argument("data", metavar="DATA_DIR", help="data directory to encode")
    parser.add_argument("units", metavar="UNITS_DIR", help="units directory to write")
    parser.add_argument("--codebook-size", type=whole(2), default=512, metavar="K")
    parser.add_argument("--hop-length", type=whole(1), default=320, metavar="SAMPLES", help="at 16 kHz")
    args = parser.parse_args()
    try:
        encode(args)
    except SpeechVQError as error:
        print(f"mfcc_units: {error}", file=sys.stderr)
        return 2
    return 0


def encode(args: argparse.Namespace) -> None:
    """Write the units directory, one speaker after another."""
    seconds, variant = args.hop_length / SAMPLE_RATE, Variant(deltas=True, normalized=True, averaged=True)
    baseline = Baseline(DataDir(args.train), args.codebook_size, seconds, variants=(variant,))
    data = DataDir(args.data)
    by_speaker: dict[str, list[str]] = {}
    for utt in data.utterances:
        by_speaker.setdefault(data.utt2spk[utt], []).append(utt)
    with UnitsWriter(args.units, args.codebook_size, args.hop_length, SAMPLE_RATE) as writer:
        for speaker, utts in tqdm(by_speaker.items(), "encoding", unit="speaker"):
            num_units = {utt: max(1, int(data.duration(utt) / seconds)) for utt in utts}
            for utt, ids in baseline.units(cepstra(data, utts), num_units, variant).items():
                writer.add(utt, ids, speaker=speaker)


if __name__ == "__main__":
    sys.exit(main())
