#!/usr/bin/env python
"""Train the same small recogniser on every input and compare what it gets wrong.

INPUTS holds a folder an input (`units`, `kmeans`, `mfcc`, ...) with a folder a set: an export in `kaldi-text` with its
`text`, or `features.npz` and `text`. Prints a Markdown table; `--json` keeps every figure. An input whose results are
already there is not trained again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from ctc import Budget, Examples, Labels, read_examples, recognise, train

from speechvq.files import atomic_file
from speechvq.metrics.bootstrap import bootstrap_means, interval
from speechvq.metrics.edits import edit_distance


def main() -> int:
    """Train and score whatever is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", type=Path, metavar="INPUTS")
    parser.add_argument("--names", nargs="+", required=True, metavar="INPUT", help="which inputs, in the table's order")
    parser.add_argument("--train", required=True, metavar="SET")
    parser.add_argument("--test", nargs="+", required=True, metavar="SET")
    parser.add_argument("--labels", choices=("words", "characters"), default="words")
    parser.add_argument("--epochs", type=int, default=Budget.epochs)
    parser.add_argument("--stride", type=int, default=Budget.stride, help="how many inputs become one output (4)")
    parser.add_argument("--seeds", type=int, default=3, help="how many recognisers of each input (3)")
    parser.add_argument("--against", metavar="INPUT", help="show the difference to this one (the second)")
    parser.add_argument("--results", type=Path, required=True, metavar="FILE.json")
    parser.add_argument("--json", action="store_true", help="print the figures, not the table")
    args = parser.parse_args()
    torch.set_num_threads(1)
    results = json.loads(args.results.read_text()) if args.results.exists() else {}
    for name in args.names:
        if name not in results:
            results[name] = compare(args.inputs / name, args)
            with atomic_file(args.results) as temporary:
                temporary.write_text(json.dumps(results))
    print(json.dumps(results) if args.json else table(results, args))
    return 0


def compare(folder: Path, args: argparse.Namespace) -> dict:
    """Recognisers of several seeds on one input: errors of every test utterance, summed over seeds."""
    learned = read_examples(folder / args.train)
    labels = Labels(learned.texts, args.labels)
    budget = Budget(epochs=args.epochs, stride=args.stride)
    sets = {name: read_examples(folder / name) for name in args.test}
    began = time.perf_counter()
    errors = {name: np.zeros((args.seeds, len(examples)), int) for name, examples in sets.items()}
    for seed in range(args.seeds):
        model = train(learned, labels, budget, seed)
        for name, examples in sets.items():
            errors[name][seed] = errors_of(examples, recognise(model, examples, labels), labels)
        print(f"{folder.name}, seed {seed}: {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "seconds": round(time.perf_counter() - began, 1),
        "sets": {
            name: {
                "utts": examples.utts,
                "labels": [len(labels.split(text)) for text in examples.texts],
                "errors": errors[name].tolist(),
            }
            for name, examples in sets.items()
        },
    }


def errors_of(examples: Examples, found: list[list[str]], labels: Labels) -> list[int]:
    """Insertions, deletions and substitutions of every example."""
    return [edit_distance(labels.split(text), one) for text, one in zip(examples.texts, found, strict=True)]


def table(results: dict, args: argparse.Namespace) -> str:
    """The error of every input with its interval, and the paired difference to another's."""
    against = args.against or args.names[1]
    head = ["input", "parameters"]
    for name in args.test:
        head += [f"{name}: % wrong", "95 %", f"less {against}", "95 %"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name in args.names:
        cells = [name, f"{results[name]['parameters']:,}"]
        for test in args.test:
            own, other = (rates(results[one]["sets"][test]) for one in (name, against))
            cells += [f"{100 * own[0]:.1f}", percent(own[1])]
            cells += ["", ""] if name == against else [f"{100 * (own[0] - other[0]):+.1f}", percent(own[1] - other[1])]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def rates(scores: dict) -> tuple[float, np.ndarray]:
    """Errors over labels, and the same of data sets drawn from the utterances."""
    errors, labels = np.array(scores["errors"]).mean(axis=0), np.array(scores["labels"])
    return errors.sum() / labels.sum(), bootstrap_means(errors, labels)


def percent(means: np.ndarray) -> str:
    """An interval in per cent."""
    return "{:.1f} to {:.1f}".format(*(100 * bound for bound in interval(means)))


if __name__ == "__main__":
    sys.exit(main())
