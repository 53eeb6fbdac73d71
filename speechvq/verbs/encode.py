"""speechvq encode: audio to a units directory."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from speechvq.options import add_model

if TYPE_CHECKING:
    import numpy as np

    from speechvq.errors import InputError
    from speechvq.inputs import Source

HELP = "Turn audio files or data directories into a units directory."
EXAMPLE = """  speechvq encode --model exp/vctk64/best data/test -o units/test
  speechvq encode --model exp/vctk64/best one.wav two.flac -o units/mine"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_model(parser)
    parser.add_argument("inputs", nargs="+", metavar="AUDIO|DATA_DIR", help="audio files, folders of them, or Kaldi data directories")
    parser.add_argument("-o", "--output", required=True, metavar="UNITS_DIR", help="units directory to write")


def run(args: argparse.Namespace) -> int:
    """Encode everything, report what could not be read, and keep the rest."""
    from speechvq.batch import side_by_side, worker_count
    from speechvq.errors import AudioError, InputError
    from speechvq.inputs import report_faults, utterances_of
    from speechvq.options import open_codec
    from speechvq.progress import progress
    from speechvq.units import UnitsWriter

    sources = utterances_of(args.inputs)
    codec = open_codec(args)

    def encode(source: Source) -> tuple[np.ndarray, int, float] | InputError:
        try:
            samples = source.read(codec.sample_rate)
        except InputError as error:
            return error
        units, gain = codec.encode_levelled(samples)
        return units.ids, len(samples), gain

    faults = []
    writer = UnitsWriter(Path(args.output), *codec.kind_of_units)
    with writer, side_by_side(worker_count(len(sources), None)) as pool:
        results = progress(pool.map(encode, sources), "encoding", len(sources), unit="utt")
        for source, result in zip(sources, results, strict=True):
            if isinstance(result, InputError):
                faults.append(f"{source.utt}: {result}")
            else:
                writer.add(source.utt, *result, source.speaker)
        if len(faults) == len(sources):
            raise AudioError(f"none of the {len(sources)} inputs could be read; the first: {faults[0]}")
    return report_faults(faults, len(sources))
