"""speechvq export: a units directory to another toolkit's format."""

from __future__ import annotations

import argparse
import sys

from speechvq.formats import FORMATS, keeps_runs, listing

HELP = "Write units in the format of another toolkit."
EXAMPLE = """  speechvq export units/test --format kaldi-text -o exports/test --text data/test
  speechvq export units/test --format hf -o exports/test-hf --dedup
  speechvq export --list"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("units", metavar="UNITS_DIR", help="units directory to export")
    parser.add_argument("--format", required=True, choices=FORMATS, metavar="NAME", help=f"one of {', '.join(FORMATS)}")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder to write; an earlier export is replaced")
    parser.add_argument("--dedup", action="store_true", help="write a run of one unit once")
    parser.add_argument("--text", metavar="DATA_DIR", help="data directory with the transcripts, recordings and phone times")
    parser.add_argument("--list", action=_List, help="show every format with an example, and stop")


def run(args: argparse.Namespace) -> int:
    """Export everything."""
    from speechvq.corpus import DataDir
    from speechvq.formats.transfer import export_units
    from speechvq.units import UnitsDir

    if args.dedup and not keeps_runs(args.format):
        print(f"{args.format} keeps no durations: these units will come back deduplicated", file=sys.stderr)
    corpus = DataDir(args.text) if args.text else None
    export_units(UnitsDir(args.units), args.format, args.output, args.dedup, corpus)
    return 0


class _List(argparse.Action):
    """Print the formats and stop, whatever else is missing from the command line."""

    def __init__(self, option_strings, dest, help):
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser, namespace, values, option_string=None):
        print(listing())
        parser.exit(0)
