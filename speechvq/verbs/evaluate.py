"""Measure units and converted voices: tables, JSON and a page."""

from __future__ import annotations

import argparse
import json

from speechvq.options import add_model, whole

HELP = "Measure units against phones, ABX discriminability, the decoder, or converted voices."
EXAMPLE = """\
  speechvq evaluate units --units exp/test --data data/test --map-units exp/dev --map-data data/dev -o exp/phones
  speechvq evaluate units --units exp/test --data data/test --folds 5 --baseline-data data/train --json
  speechvq evaluate abx --units exp/test --items data/test.item --model exp/best --data data/test
  speechvq evaluate decoder --model exp/best --data data/test
  speechvq evaluate conversion --converted exp/converted --list exp/list.csv --data data/test --train-data data/train"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="units|abx|decoder|conversion")
    units = kinds.add_parser("units", help="units against the phones of the same frames")
    units.add_argument("--units", required=True, metavar="DIR", help="units directory to score")
    units.add_argument("--data", required=True, metavar="DATA_DIR", help="its data directory, with phones.ctm")
    units.add_argument("--map-units", metavar="DIR", help="units directory that the map is learned on")
    units.add_argument("--map-data", metavar="DATA_DIR", help="its data directory")
    units.add_argument("--folds", type=int, default=5, help="without a map set: learn on the other folds (default 5)")
    units.add_argument("--baseline-data", metavar="DATA_DIR", help="training audio to fit the MFCC k-means baseline on")
    units.add_argument("--tolerance", type=float, default=0.02, help="seconds within which a boundary is found (0.02)")
    units.set_defaults(measure=_units)

    abx = kinds.add_parser("abx", help="can triphones be told apart by their units?")
    abx.add_argument("--units", required=True, metavar="DIR", help="units directory")
    abx.add_argument("--items", required=True, metavar="FILE", help="ZeroSpeech item file, as recipes/abx_items.py writes")
    abx.add_argument("--model", metavar="MODEL_DIR", help="model of these units: measures their vectors too")
    abx.add_argument("--data", metavar="DATA_DIR", help="their audio: measures MFCC beside them")
    abx.add_argument("--max-tokens", type=int, default=10, help="of one speaker, context and phone (10)")
    abx.set_defaults(measure=_abx)

    decoder = kinds.add_parser("decoder", help="does the decoder listen to its units?")
    add_model(decoder)
    decoder.add_argument("--data", required=True, metavar="DATA_DIR", help="real speech of the model's speakers")
    decoder.add_argument("--seconds", type=float, default=120.0, help="how much of it to score (120)")
    decoder.set_defaults(measure=_decoder)

    voices = kinds.add_parser("conversion", help="converted and reconstructed recordings")
    voices.add_argument("--converted", required=True, metavar="DIR", help="holds SPEAKER/UTTERANCE.wav, or the outputs of --list")
    voices.add_argument("--data", required=True, metavar="DATA_DIR", help="of the source utterances")
    voices.add_argument("--list", metavar="LIST.csv", help="what was converted, columns input,speaker,output")
    voices.add_argument("--train-data", metavar="DATA_DIR", help="real recordings of the targets, for the speaker check")
    voices.set_defaults(measure=_conversion)

    for kind in (units, abx, decoder, voices):
        kind.add_argument("--seed", type=whole(0), default=0, help="of all that is drawn at random (0)")
        kind.add_argument("-o", "--output", metavar="DIR", help="write the page index.html and results.json there")
        kind.add_argument("--json", action="store_true", help="print the results as JSON and nothing else")


def run(args: argparse.Namespace) -> int:
    """Measure, write the page where one is asked for, and print; exit code 1 where files had to be left out."""
    from speechvq.evaluate.page import write_results

    results, tables, page = args.measure(args)
    if args.output:
        write_results(args.output, results, page(results))
    print(json.dumps(results) if args.json else "\n\n".join(map(str, tables(results))))
    return 1 if results.get("faults") else 0


def _units(args: argparse.Namespace):
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
    return results, tables, page


def _abx(args: argparse.Namespace):
    from speechvq.corpus import DataDir
    from speechvq.evaluate.discriminability import evaluate_abx, page, tables
    from speechvq.metrics.abx_items import read_items
    from speechvq.units import UnitsDir

    codebook = _codebook(args.model) if args.model else None
    data = DataDir(args.data) if args.data else None
    units, items = UnitsDir(args.units), read_items(args.items)
    return evaluate_abx(units, items, codebook, data, args.max_tokens, args.seed), tables, page


def _decoder(args: argparse.Namespace):
    from speechvq.corpus import DataDir
    from speechvq.evaluate.listening import evaluate_decoder, page, tables
    from speechvq.options import open_codec

    return evaluate_decoder(open_codec(args), DataDir(args.data), args.seconds, args.seed), tables, page


def _conversion(args: argparse.Namespace):
    from functools import partial

    from speechvq.corpus import DataDir
    from speechvq.evaluate.conversion import evaluate_conversion
    from speechvq.evaluate.conversion_files import Parallel, find_conversions
    from speechvq.evaluate.conversion_page import page, tables

    data = DataDir(args.data)
    train = DataDir(args.train_data) if args.train_data else None
    conversions, faults = find_conversions(args.converted, data, args.list)
    results = evaluate_conversion(conversions, data, train, args.seed)
    results["faults"] += faults
    parallel = Parallel(data, train) if train else Parallel(data)
    return results, tables, partial(page, data=data, parallel=parallel)


def _codebook(path: str):
    from speechvq.checkpoint import load_model

    return load_model(path).quantizer.codebook.detach().numpy()
