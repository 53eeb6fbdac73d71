#!/usr/bin/env python
"""Make a model directory to hand out: weights in float16, its card, and the phones of its units; or a prior's, beside it.

    recipes/ship.py egs/multi/exp/multi/best speechvq/models/default --card egs/multi/card.md
    recipes/ship.py egs/multi/exp/prior/best speechvq/models/default/prior

A prior that ships in a folder of its model is taken over when the model is shipped anew, while its units stay the same.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from speechvq.checkpoint import kind_of, load_model, load_prior, save_model, save_prior, units_hash
from speechvq.errors import InputError, SpeechVQError
from speechvq.model import VQVAE


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL_DIR")
    parser.add_argument("out", type=Path, metavar="OUT_DIR")
    parser.add_argument("--card", type=Path, metavar="FILE", help="what it is made of, how good it is, what it is not for")
    parser.add_argument("--phones", type=Path, metavar="FILE", help="output of speechvq evaluate units --json, for the demo")
    args = parser.parse_args()
    beside = {"card.md": args.card, "phones.json": args.phones}
    try:
        texts = {name: _read(path) for name, path in beside.items() if path}
        if kind_of(args.model) == "prior":
            save_prior(args.out, load_prior(args.model), half=True)
        elif args.card:
            model = load_model(args.model)
            save_model(args.out, model, half=True, beside=_if_same_units(args.out, model))
        else:
            raise InputError("a model ships with its card: name it with --card FILE")
    except SpeechVQError as error:
        print(f"ship.py: {error}", file=sys.stderr)
        return 2
    for name, text in texts.items():
        (args.out / name).write_text(text, encoding="utf-8")
    size = sum(path.stat().st_size for path in args.out.iterdir())
    print(f"{args.out}: {size / 1e6:.1f} MB")
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error})") from None


def _if_same_units(path: Path, model: VQVAE) -> Path | None:
    return path if (path / "config.yaml").exists() and units_hash(load_model(path)) == units_hash(model) else None


if __name__ == "__main__":
    sys.exit(main())
