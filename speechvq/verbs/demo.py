"""speechvq demo: a page to hear and see what a model does."""

from __future__ import annotations

import argparse

from speechvq.options import whole

HELP = "Open a page on which anybody can hear what a model does."
EXAMPLE = """  speechvq demo
  speechvq demo --model exp/vctk64/best --model exp/arctic/best --port 8080
  speechvq demo --host 0.0.0.0 --auth guest:secret     # for others on the network"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--model", action="append", metavar="DIR", help="model directory, once or more; the model that ships where left out")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1: this machine only)")
    parser.add_argument("--port", type=whole(0, 65535), default=7860, help="port to listen on (7860)")
    parser.add_argument("--auth", metavar="USER:PASSWORD", help="ask visitors for this name and password")
    parser.add_argument("--share", action="store_true", help="open a public link through gradio's servers; anybody who has it can use your machine")
    parser.add_argument("--max-seconds", type=float, default=30.0, metavar="S", help="longest recording taken (30)")
    parser.add_argument("--queue", type=whole(1), default=40, metavar="N", help="requests that may wait; further ones are told to come back (40)")
    parser.add_argument("--jobs", type=whole(1), metavar="N", help="decodings at a time, one thread each; one a processor where left out")


def run(args: argparse.Namespace) -> int:
    """Serve the page until interrupted."""
    from speechvq.demo.server import serve

    return serve(args)
