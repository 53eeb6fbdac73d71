"""speechvq encode: audio to a units directory."""

from __future__ import annotations

import argparse
from pathlib import Path

from speechvq.options import add_model

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
    from speechvq.errors import AudioError
    from speechvq.inputs import report_faults, utterances_of
    from speechvq.options import open_codec
    from speechvq.progress import progress
    from speechvq.units import UnitsWriter

    sources = utterances_of(args.inputs)
    codec = open_codec(args)
    faults = []
    writer = UnitsWriter(Path(args.output), codec.codebook_size, codec.hop_length, codec.sample_rate, codec.hash)
    with writer:
        for source in progress(sources, "encoding", unit="utt"):
            try:
                samples = source.read(codec.sample_rate)
                units, gain = codec.encode_levelled(samples)
            except AudioError as error:
                faults.append(f"{source.utt}: {error}")
                continue
            writer.add(source.utt, units.ids, len(samples), gain, source.speaker)
        if len(faults) == len(sources):
            raise AudioError(f"none of the {len(sources)} inputs could be read; the first: {faults[0]}")
    return report_faults(faults, len(sources))
