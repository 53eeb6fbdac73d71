"""speechvq generate: speech that nobody said, from a prior."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from speechvq.errors import InputError
from speechvq.options import add_decoding, add_model, add_prior, whole

HELP = "Draw units from a prior, and speak them."
EXAMPLE = """  speechvq generate --prior exp/prior/best --model exp/vctk64/best --speaker p225 -o babble/
  speechvq generate --speaker slt --count 8 --seconds 10 --prompt my.wav -o babble/ --units babble/units"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_model(parser)
    add_prior(parser)
    parser.add_argument("--speaker", required=True, metavar="NAME", help="voice to speak in")
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder for the .wav files")
    parser.add_argument("--count", type=whole(1), default=4, metavar="N", help="utterances to draw (4); each has the seed after the one before")
    parser.add_argument("--seconds", type=float, default=5.0, metavar="S", help="longest that an utterance may become (5)")
    parser.add_argument("--prompt", metavar="AUDIO", help="recording whose units every utterance goes on from")
    parser.add_argument("--units", metavar="UNITS_DIR", help="units directory to keep the units in as well")
    parser.add_argument("--unit-temperature", type=float, default=1.0, metavar="X", help="below 1 draws likelier units (1.0)")
    # With 0.9, a unit that nine times in ten follows itself would never end: a pause, a breath.
    parser.add_argument("--unit-top-p", type=float, default=0.99, metavar="P", help="draw from the likeliest units that together hold P (0.99)")
    add_decoding(parser)


def run(args: argparse.Namespace) -> int:
    """Draw and speak."""
    from speechvq import audio
    from speechvq.batch import Job, run_jobs, worker_count
    from speechvq.inputs import report_faults
    from speechvq.options import open_codec, open_prior, sampling

    if not 0 < args.seconds < math.inf:
        raise InputError(f"--seconds must be positive, not {args.seconds:g}")
    prior = open_prior(args)
    workers = worker_count(args.count, args.threads)
    if workers > 1:
        args.threads = 1
    codec = open_codec(args)
    prior.require(*codec.kind_of_units, str(codec.path))
    codec.model.speaker_vector(args.speaker)
    drawn = _draw(args, prior, codec)
    if args.units:
        _keep(args.units, drawn, codec, args.speaker)

    def job(name: str, ids, number: int) -> Job:
        units = codec.units(ids)

        def speak(advance) -> None:
            samples = codec.decode(units, args.speaker, sampling(args, number))
            audio.write(Path(args.output) / f"{name}.wav", samples, codec.sample_rate)
            advance(units.duration)

        return Job(name, units.duration, speak)

    codec.prepare_engine()
    jobs = [job(name, ids, number) for number, (name, ids) in enumerate(drawn.items())]
    return report_faults(run_jobs(jobs, workers, "speaking"), len(jobs))


def _draw(args: argparse.Namespace, prior, codec) -> dict:
    """Units of each utterance, by name."""
    from speechvq import audio

    most = round(args.seconds * codec.sample_rate / codec.hop_length)
    prompt = codec.encode(audio.read(args.prompt, codec.sample_rate), codec.sample_rate).ids if args.prompt else ()
    if len(prompt) >= most:
        raise InputError(f"--prompt has {len(prompt)} units, and --seconds {args.seconds:g} allows {most}: make it longer")
    seeds = [args.seed + number for number in range(args.count)]
    ids = prior.generate(seeds, most, args.unit_temperature, args.unit_top_p, prompt)
    return {f"{args.speaker}-{number + 1:03d}": row for number, row in enumerate(ids)}


def _keep(path: str, drawn: dict, codec, speaker: str) -> None:
    from speechvq.units import UnitsWriter

    with UnitsWriter(path, *codec.kind_of_units) as writer:
        for name, ids in drawn.items():
            writer.add(name, ids, speaker=speaker)
