"""speechvq bench: how fast the parts are, on this machine."""

from __future__ import annotations

import argparse
import importlib

HELP = "Measure speed on this machine."
EXAMPLE = """  speechvq bench decode --sizes A,D
  speechvq bench decode --model exp/vctk64/best --audio speech.wav --json
  speechvq bench train --sizes D
  speechvq bench export --utterances 10000"""

# Each is a module of speechvq.bench with HELP, EXAMPLE, add_arguments and run, as a verb's.
PARTS = ("decode", "train", "export")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare one subcommand for each part."""
    parts = parser.add_subparsers(dest="part", metavar="PART", required=True)
    for name in PARTS:
        module = importlib.import_module(f"speechvq.bench.{name}")
        part = parts.add_parser(
            name,
            help=module.HELP,
            description=module.HELP,
            epilog=f"example:\n{module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(part)
        part.set_defaults(run_part=module.run)


def run(args: argparse.Namespace) -> int:
    """Measure the part that was named."""
    return args.run_part(args)
