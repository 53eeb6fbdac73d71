"""speechvq decode: units to audio."""

from __future__ import annotations

import argparse
from pathlib import Path

from speechvq.errors import InputError
from speechvq.options import add_decoding, add_model

HELP = "Speak the units of a units directory."
EXAMPLE = """  speechvq decode --model exp/vctk64/best units/test --speaker p225 -o spoken/
  speechvq decode --model exp/vctk64/best units/test -o reconstructed/      # each in its own voice"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_model(parser)
    parser.add_argument("units", metavar="UNITS_DIR", help="units directory, as 'speechvq encode' writes it")
    parser.add_argument("--speaker", metavar="NAME", help="voice to speak in; where left out, the speaker of each utterance")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder for one .wav per utterance")
    add_decoding(parser)


def run(args: argparse.Namespace) -> int:
    """Decode every utterance."""
    from speechvq.batch import Job, run_jobs, worker_count
    from speechvq.inputs import report_faults
    from speechvq.options import open_codec, sampling
    from speechvq.units import UnitsDir

    units = UnitsDir(args.units)
    if not len(units):
        raise InputError(f"{args.units} holds no utterances")
    workers = worker_count(len(units), args.threads)
    if workers > 1:
        args.threads = 1
    codec = open_codec(args)
    codec.require(units.codebook_size, units.hop_length, units.sample_rate, units.model_hash)
    how = sampling(args)

    def job(utt: str) -> Job:
        entry = units.entry(utt)
        speaker = args.speaker or entry.speaker
        codec.model.speaker_vector(speaker)
        return Job(utt, entry.num_samples / codec.sample_rate, lambda advance: _decode(codec, units, utt, speaker, how, Path(args.output), advance))

    jobs = [job(utt) for utt in units]
    codec.prepare_engine()
    faults = run_jobs(jobs, workers, "decoding")
    return report_faults(faults, len(units))


def _decode(codec, units, utt: str, speaker: str, how, folder: Path, advance) -> None:
    from speechvq import audio

    entry = units.entry(utt)
    samples = codec.decode(units[utt], speaker, how)[: entry.num_samples]
    audio.write(folder / f"{utt}.wav", audio.apply_gain(samples, -entry.gain_db), codec.sample_rate)
    advance(entry.num_samples / codec.sample_rate)
