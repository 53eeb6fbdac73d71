"""speechvq score: how likely a prior finds utterances."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from speechvq.options import add_model, add_prior

if TYPE_CHECKING:
    import numpy as np

    from speechvq.codec import Codec
    from speechvq.inputs import Source
    from speechvq.units import UnitsDir

HELP = "Score utterances by a prior: how likely are these units after one another?"
EXAMPLE = """  speechvq score units/test --prior exp/prior/best
  speechvq score my.wav other.wav --prior exp/prior/best --model exp/vctk64/best --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("inputs", nargs="+", metavar="UNITS_DIR|AUDIO|DATA_DIR", help="units directories; or what 'speechvq encode' takes")
    add_model(parser)
    add_prior(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON object with a row for each utterance")


def run(args: argparse.Namespace) -> int:
    """Score everything; a file that cannot be read is reported and the others go on."""
    from speechvq.errors import InputError
    from speechvq.inputs import report_faults
    from speechvq.options import open_codec, open_prior
    from speechvq.progress import progress

    opened = [_open(path) for path in args.inputs]  # first, since a name mistyped should cost no time
    prior = open_prior(args)
    codec = None if all(_is_units(path) for path in args.inputs) else open_codec(args)
    for path, source in zip(args.inputs, opened, strict=True):
        if _is_units(path):
            prior.require(source.codebook_size, source.hop_length, source.sample_rate, source.model_hash, path)
        else:
            prior.require(*codec.kind_of_units, str(codec.path))
    rows, faults = [], []
    for utt, read in progress([item for source in opened for item in _utterances(source, codec)], "scoring", unit="utt"):
        try:
            surprise = prior.score(read())
        except InputError as error:
            faults.append(f"{utt}: {error}")
            continue
        rows.append({"utterance": utt, "units": len(surprise), "nats_per_unit": float(surprise.mean()) if len(surprise) else None})
    if faults and not rows:
        raise InputError(f"none of the {len(faults)} inputs could be scored; the first: {faults[0]}")
    _print({"units_per_second": prior.config.sample_rate / prior.config.hop_length, "utterances": rows}, args.json)
    return report_faults(faults, len(rows) + len(faults))


def _is_units(path: str) -> bool:
    return (Path(path) / "units.yaml").exists()


def _open(path: str) -> UnitsDir | list[Source]:
    from speechvq.inputs import utterances_of
    from speechvq.units import UnitsDir

    return UnitsDir(path) if _is_units(path) else utterances_of([path])


def _utterances(opened: UnitsDir | list[Source], codec: Codec | None) -> Iterator[tuple[str, Callable[[], np.ndarray]]]:
    """The name of each utterance, and what reads its ids."""
    if isinstance(opened, list):
        yield from ((source.utt, partial(_encode, codec, source)) for source in opened)
    else:
        yield from ((utt, lambda utt=utt: opened[utt].ids) for utt in opened)


def _encode(codec: Codec, source: Source) -> np.ndarray:
    return codec.encode_levelled(source.read(codec.sample_rate))[0].ids


def _print(scores: dict, as_json: bool) -> None:
    rows, rate = scores["utterances"], scores["units_per_second"]
    scored = [row for row in rows if row["units"]]
    count = sum(row["units"] for row in scored)
    scores["nats_per_unit"] = sum(row["nats_per_unit"] * row["units"] for row in scored) / count if count else None
    if as_json:
        print(json.dumps(scores))
        return
    print(f"{'utterance':32}{'units':>8}{'nats a unit':>13}{'bits a second':>15}")
    for row in [*rows, {"utterance": "all", "units": count, "nats_per_unit": scores["nats_per_unit"]}]:
        nats = row["nats_per_unit"]
        shown = f"{nats:13.3f}{nats / math.log(2) * rate:15.1f}" if nats is not None else f"{'-':>13}{'-':>15}"
        print(f"{row['utterance']:32}{row['units']:8d}{shown}")
