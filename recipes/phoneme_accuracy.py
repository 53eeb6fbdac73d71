"""Phoneme accuracy of units from anywhere, the map learned on other utterances.

python recipes/phoneme_accuracy.py UNITS --data DATA_DIR
python recipes/phoneme_accuracy.py exports/test --format gslm --codebook-size 100 --hop-length 320 --sample-rate 16000 \\
    --data data/test --map-units exports/train --map-data data/train
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from speechvq.corpus import DataDir
from speechvq.errors import SpeechVQError
from speechvq.evaluate.phonemes import UnitsWithData, evaluate_units
from speechvq.evaluate.phonemes_page import tables
from speechvq.formats import FORMATS
from speechvq.formats.transfer import import_units
from speechvq.units import UnitsDir


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("units", help="units directory, or another toolkit's files with --format")
    parser.add_argument("--data", required=True, metavar="DATA_DIR", help="with phones.ctm")
    parser.add_argument("--map-units", help="units that the map is learned on, of the same kind; else five folds")
    parser.add_argument("--map-data", metavar="DATA_DIR")
    parser.add_argument("--baseline-data", metavar="DATA_DIR", help="training audio for the MFCC k-means")
    parser.add_argument("--format", choices=FORMATS, metavar="NAME", help=f"one of {', '.join(FORMATS)}")
    for name in ("codebook-size", "hop-length", "sample-rate"):
        parser.add_argument(f"--{name}", type=int, metavar="N", help="where the files do not say")
    args = parser.parse_args()
    if (args.map_units is None) != (args.map_data is None):
        parser.error("--map-units and --map-data belong together")
    return args


def main() -> None:
    args = parse()

    def open_units(path: str, folder: Path) -> UnitsDir:
        if args.format:
            import_units(path, args.format, folder, args.codebook_size, args.hop_length, args.sample_rate)
            path = str(folder)
        return UnitsDir(path)

    with tempfile.TemporaryDirectory() as temporary:
        scored = UnitsWithData(open_units(args.units, Path(temporary) / "scored"), DataDir(args.data))
        learned = None
        if args.map_units:
            learned = UnitsWithData(open_units(args.map_units, Path(temporary) / "map"), DataDir(args.map_data))
        baseline = DataDir(args.baseline_data) if args.baseline_data else None
        print(tables(evaluate_units(scored, learned, baseline_data=baseline))[0])


if __name__ == "__main__":
    try:
        main()
    except SpeechVQError as error:
        raise SystemExit(f"{Path(__file__).name}: {error}") from None
