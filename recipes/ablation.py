#!/usr/bin/env python
"""Train one model a row, each for about the same processor time, and score all units in the same way.

    recipes/ablation.py ROWS.yaml --train data/train --dev data/dev --test data/test --exp exp/ablation

ROWS.yaml holds `preset`, `set` (values for all rows) and `rows`: a name each, with the values that differ.
Rows that are finished are not made again; one that was stopped is taken up where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import yaml

from speechvq.files import atomic_file

HEAD = ["row", "differs by", "steps", "CPU min", "frames right, %", "95 %", "speech frames", "bigrams", "perplexity"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path, metavar="ROWS.yaml")
    for name, text in (("train", "to learn from"), ("dev", "to validate on"), ("test", "to score, with phones.ctm: five folds")):
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="DIR", help=f"data directory {text}")
    parser.add_argument("--exp", type=Path, required=True, metavar="DIR", help="where models, units and scores go")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these rows (all)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of a training; run two with different --only on two cores (1)")
    args = parser.parse_args()
    try:
        plan = yaml.safe_load(args.rows.read_text())
    except (OSError, yaml.YAMLError) as error:
        print(f"ablation.py: {args.rows} cannot be read: {error}", file=sys.stderr)
        return 2
    if unknown := set(args.only or ()) - set(plan["rows"]):
        print(f"ablation.py: no row '{min(unknown)}' in {args.rows}; it has: {', '.join(plan['rows'])}", file=sys.stderr)
        return 2
    os.environ |= {name: str(args.threads) for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")}
    failed = 0
    for name in args.only or plan["rows"]:
        if not (args.exp / name / "row.json").exists():
            try:
                make(name, plan, args)
            except subprocess.CalledProcessError as error:
                failed += 1
                print(f"ablation.py: row '{name}' failed in speechvq {error.cmd[3]}, with exit code {error.returncode}", file=sys.stderr)
    print(table(plan["rows"], args.exp))
    return 1 if failed else 0


def make(name: str, plan: dict, args: argparse.Namespace) -> None:
    """Train, encode, score, and write row.json."""
    exp = args.exp / name
    exp.mkdir(parents=True, exist_ok=True)
    # All rows hear the same recordings, so they share one packed copy.
    (args.exp / "packed").mkdir(exist_ok=True)
    if not (exp / "packed").exists():
        (exp / "packed").symlink_to(Path("..") / "packed")
    changes = {**plan["set"], **(plan["rows"][name] or {})}
    options = [part for key, value in changes.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    resume = ["--resume"] if (exp / "trainer.pt").exists() else []
    before = _processor_seconds()
    try:
        speechvq("train", plan["preset"], "--data", args.train, "--dev", args.dev, "--exp", exp, "--device", "cpu", *options, *resume)
    finally:
        with open(exp / "seconds.txt", "a") as out:
            out.write(f"{_processor_seconds() - before:.1f}\n")
    speechvq("encode", args.test, "--model", exp / "last", "-o", exp / "units")
    scores = speechvq("evaluate", "units", "--units", exp / "units", "--data", args.test, "--folds", 5, "--json")
    seconds = sum(map(float, (exp / "seconds.txt").read_text().split()))
    with atomic_file(exp / "row.json") as temporary:
        temporary.write_text(json.dumps({"steps": changes["train.steps"], "minutes": seconds / 60, "scores": json.loads(scores)}))


def speechvq(*command) -> str:
    """Run a verb; returns what it printed."""
    return subprocess.run([sys.executable, "-m", "speechvq", *map(str, command)], check=True, text=True, stdout=subprocess.PIPE).stdout


def table(rows: dict, exp: Path) -> str:
    """The rows that are finished, as Markdown."""
    lines = ["| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|"]
    for name, changes in rows.items():
        path = exp / name / "row.json"
        if not path.exists():
            continue
        row = json.loads(path.read_text())
        score = {line["name"]: line for line in row["scores"]["accuracy"]}
        units, low_high = score["units"], score["units"]["all_interval"]
        differs = ", ".join(f"`{key}={value}`" for key, value in (changes or {}).items() if key != "train.steps") or "nothing"
        cells = [name, differs, row["steps"], f"{row['minutes']:.0f}", f"{100 * units['all']:.1f}", " to ".join(f"{100 * x:.1f}" for x in low_high)]
        cells += [f"{100 * units['speech']:.1f}", f"{100 * score['unit bigrams']['all']:.1f}", f"{row['scores']['codebook']['perplexity']:.0f}"]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
