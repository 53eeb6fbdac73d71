"""speechvq validate: every fault of a data directory at once."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "Check data directories by Kaldi's rules, and mend what can be mended."
EXAMPLE = """  speechvq validate data/train data/dev
  speechvq validate data/train --fix"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("directories", nargs="+", type=Path, metavar="DATA_DIR")
    parser.add_argument("--fix", action="store_true", help="sort, rebuild and drop what is not whole; DATA_DIR/.backup keeps the old files")
    parser.add_argument("--json", action="store_true", help="print one JSON array")


def run(args: argparse.Namespace) -> int:
    """Print what was mended and what is still wrong; exit code 1 where anything is."""
    reports = [_report(path, args.fix) for path in args.directories]
    if args.json:
        print(json.dumps(reports))
    else:
        for report in reports:
            _print(report)
    return 1 if any(report["faults"] for report in reports) else 0


def _report(path: Path, fix: bool) -> dict:
    from speechvq.corpus_mend import mend
    from speechvq.corpus_validate import faults
    from speechvq.errors import CorpusError

    found = faults(path)
    mended = []
    if fix and found and path.is_dir():
        try:
            mended = mend(path)
        except CorpusError as error:
            found.append(str(error).removeprefix(f"{path}: "))
    return {"path": str(path), "mended": mended, "faults": faults(path) if mended else found}


def _print(report: dict) -> None:
    for line in report["mended"]:
        print(f"{report['path']}: mended {line}")
    for line in report["faults"]:
        print(f"{report['path']}: {line}")
    if not report["faults"]:
        print(f"{report['path']}: valid")
