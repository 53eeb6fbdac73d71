"""Measure units and converted voices: tables, JSON and a page."""

from __future__ import annotations

import argparse
import json

HELP = "measure units against phones, ABX discriminability, or converted voices"
EXAMPLE = """\
speechvq evaluate units --units exp/units/test --data data/test --map-units exp/units/dev --map-data data/dev -o exp/phones
speechvq evaluate units --units exp/units/test --data data/test --folds 5 --baseline-data data/train --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="units|abx|conversion")
    units = kinds.add_parser("units", help="units against the phones of the same frames")
    units.add_argument("--units", required=True, metavar="DIR", help="units directory to score")
    units.add_argument("--data", required=True, metavar="DATA_DIR", help="its data directory, with phones.ctm")
    units.add_argument("--map-units", metavar="DIR", help="units directory that the map is learned on")
    units.add_argument("--map-data", metavar="DATA_DIR", help="its data directory")
    units.add_argument("--folds", type=int, default=5, help="without a map set: learn on the other folds (default 5)")
    units.add_argument("--baseline-data", metavar="DATA_DIR", help="training audio to fit the MFCC k-means baseline on")
    units.add_argument("--tolerance", type=float, default=0.02, help="seconds within which a boundary is found (0.02)")
    units.add_argument("--seed", type=int, default=0, help="of folds, shuffles and k-means (0)")
    for kind in (units,):
        kind.add_argument("-o", "--output", metavar="DIR", help="write the page index.html and results.json there")
        kind.add_argument("--json", action="store_true", help="print the results as JSON and nothing else")


def run(args: argparse.Namespace) -> int:
    return {"units": _run_units}[args.kind](args)


def _run_units(args: argparse.Namespace) -> int:
    from speechvq.corpus import DataDir
    from speechvq.errors import InputError
    from speechvq.evaluate.phonemes import UnitsWithData, evaluate_units
    from speechvq.evaluate.phonemes_page import page, tables
    from speechvq.units import UnitsDir

    if (args.map_units is None) != (args.map_data is None):
        raise InputError("--map-units and --map-data belong together: give both, or neither for --folds")
    scored = UnitsWithData(UnitsDir(args.units), DataDir(args.data))
    learned = UnitsWithData(UnitsDir(args.map_units), DataDir(args.map_data)) if args.map_units else None
    baseline = DataDir(args.baseline_data) if args.baseline_data else None
    results = evaluate_units(scored, learned, args.folds, baseline, args.tolerance, args.seed)
    return _tell(args, results, tables, page)


def _tell(args: argparse.Namespace, results: dict, tables, page) -> int:
    from speechvq.evaluate.page import write_results

    if args.output:
        write_results(args.output, results, page(results))
    print(json.dumps(results) if args.json else "\n\n".join(map(str, tables(results))))
    return 0
