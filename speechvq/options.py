"""Options that several verbs share."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speechvq.codec import Codec, Sampling
    from speechvq.prior import Prior


def whole(least: int, most: float = math.inf) -> Callable[[str], int]:
    """The type of an argument that is a whole number from `least` to `most`."""

    def convert(text: str) -> int:
        number = int(text)
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{text} is not {f'at least {least}' if most == math.inf else f'from {least} to {most}'}")
        return number

    convert.__name__ = "whole number"
    return convert


def add_model(parser: argparse.ArgumentParser) -> None:
    """`--model DIR`."""
    parser.add_argument("--model", metavar="DIR", help="model directory; the model that ships where left out")


def add_prior(parser: argparse.ArgumentParser) -> None:
    """`--prior DIR`."""
    parser.add_argument("--prior", metavar="DIR", help="directory of the prior; the model's own, in its folder prior/, where left out")


def add_decoding(parser: argparse.ArgumentParser) -> None:
    """The options of every verb that decodes."""
    group = parser.add_argument_group("decoding")
    group.add_argument("--backend", default="auto", choices=("auto", "reference", "cpu", "cuda"), help="what runs the WaveNet (auto)")
    group.add_argument("--precision", default="auto", choices=("auto", "float32", "float16", "int8", "tensor16"), help="of its weights (auto); tensor16 is for many streams on a GPU")
    group.add_argument("--threads", type=whole(1), metavar="N", help="processor threads; all that help where left out")
    group.add_argument("--seed", type=whole(0), default=0, metavar="N", help="of the random draw; the same seed gives the same audio (0)")
    group.add_argument("--temperature", type=float, default=1.0, metavar="X", help="below 1 draws likelier samples (1.0)")
    group.add_argument("--top-p", type=float, default=0.9, metavar="P", help="draw from the likeliest classes that together hold P; 1 for all (0.9)")


def open_codec(args: argparse.Namespace) -> Codec:
    """The model that the options name, with its decoding engine."""
    from speechvq.checkpoint import model_directory
    from speechvq.codec import Codec

    backend, precision = getattr(args, "backend", "auto"), getattr(args, "precision", "auto")
    return Codec(model_directory(args.model), backend, precision, getattr(args, "threads", None))


def open_prior(args: argparse.Namespace) -> Prior:
    """The prior that the options name."""
    from speechvq.checkpoint import model_directory, prior_of
    from speechvq.prior import Prior

    return Prior(args.prior or prior_of(model_directory(args.model)))


def sampling(args: argparse.Namespace, number: int = 0) -> Sampling:
    """How the options say to draw samples; each utterance of a batch may have a number, and so a seed of its own."""
    from speechvq.codec import Sampling

    return Sampling(args.seed + number, args.temperature, args.top_p)
