"""speechvq import: another toolkit's units to a units directory."""

from __future__ import annotations

import argparse

from speechvq.formats import FORMATS

HELP = "Read units in the format of another toolkit."
EXAMPLE = """  speechvq import exports/test --format kaldi-text -o units/again
  speechvq import theirs --format gslm -o units/theirs --codebook-size 100 --hop-length 320 --sample-rate 16000"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("input", metavar="DIR", help="folder with the format's files")
    parser.add_argument("--format", required=True, choices=FORMATS, metavar="NAME", help=f"one of {', '.join(FORMATS)}")
    parser.add_argument("-o", "--output", required=True, metavar="UNITS_DIR", help="units directory to write")
    group = parser.add_argument_group("of the units, where DIR has no speechvq.json")
    group.add_argument("--codebook-size", type=int, metavar="K", help="number of units")
    group.add_argument("--hop-length", type=int, metavar="N", help="samples of audio per unit")
    group.add_argument("--sample-rate", type=int, metavar="HZ", help="of that audio")


def run(args: argparse.Namespace) -> int:
    """Import everything."""
    from speechvq.formats.transfer import import_units

    import_units(args.input, args.format, args.output, args.codebook_size, args.hop_length, args.sample_rate)
    return 0
