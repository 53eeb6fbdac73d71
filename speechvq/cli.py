"""The command line: `speechvq VERB ...`."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
import traceback

from speechvq.errors import SpeechVQError
from speechvq.version import VERSION

VERBS = ("train", "encode", "decode", "convert", "enroll", "generate", "score", "demo", "info", "validate", "align", "evaluate", "export", "import", "bench")
BROKEN_PIPE = 141
CRASHED = 70


def main(argv: list[str] | None = None) -> int:
    """Run one verb.

    Args:
        argv: arguments after the program's name; those of the process where left out.

    Returns:
        0 for success, 1 where some of a batch failed, 2 for input that cannot be used, 70 for a fault of speechvq's own.
    """
    try:
        code = _run(build_parser().parse_args(argv))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader of a pipe left, as `head` does: no fault, but Python would complain again while closing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE


def _run(args: argparse.Namespace) -> int:
    logging.basicConfig(level=logging.INFO if args.verbose else logging.WARNING, format="%(name)s: %(message)s")
    try:
        return args.run(args)
    except BrokenPipeError:
        raise
    except (SpeechVQError, OSError) as error:
        print(f"speechvq {args.verb}: {error}", file=sys.stderr)
        return 2
    except Exception:
        # Not Python's own 1, which here means that most of a batch is done: recipes go on after that.
        traceback.print_exc()
        return CRASHED
    except KeyboardInterrupt:
        print(f"speechvq {args.verb}: interrupted", file=sys.stderr)
        return 130


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="speechvq", description="Discrete speech units from raw audio, and a fast WaveNet to hear them again."
    )
    parser.add_argument("--version", action="version", version=f"speechvq {VERSION}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb in VERBS:
        module = importlib.import_module(f"speechvq.verbs.{verb if verb != 'import' else 'import_'}")
        one = verbs.add_parser(
            verb,
            help=module.HELP,
            description=module.HELP,
            epilog=f"example:\n{module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        one.add_argument("-v", "--verbose", action="store_true", help="say what is being done")
        module.add_arguments(one)
        one.set_defaults(run=module.run)
    return parser
