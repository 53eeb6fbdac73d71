"""speechvq enroll: a new voice from a few recordings."""

from __future__ import annotations

import argparse

from speechvq.options import add_model

HELP = "Give a model one more voice, from half a minute of speech."
EXAMPLE = "  speechvq enroll --model exp/vctk64/best --name me my1.wav my2.wav -o exp/with_me"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_model(parser)
    parser.add_argument("recordings", nargs="+", metavar="IN.wav", help="recordings of one person, half a minute in all")
    parser.add_argument("--name", required=True, help="of the new voice, one word")
    parser.add_argument(
        "--layers", action="store_true", help="fit the conditioning layers too: closer to this voice, but the copy's other voices change"
    )
    parser.add_argument("-o", "--output", required=True, metavar="MODEL_DIR", help="model directory to write")


def run(args: argparse.Namespace) -> int:
    """Fit the voice and write the model that knows it."""
    from speechvq import audio
    from speechvq.checkpoint import load_model, model_directory
    from speechvq.enroll import enroll, fit_voice, require_new_name
    from speechvq.progress import progress

    source = model_directory(args.model)
    model = load_model(source)
    require_new_name(args.name, model.speakers)
    recordings = [audio.read(path, model.config.sample_rate) for path in args.recordings]
    with progress(None, "enrolling", 100, unit="%", bar_format="{l_bar}{bar}| [{elapsed}<{remaining}]") as bar:
        voice = fit_voice(model, recordings, lambda share: bar.update(100 * share - bar.n), layers=args.layers)
    enroll(model, args.name, voice, args.output, source)
    return 0
