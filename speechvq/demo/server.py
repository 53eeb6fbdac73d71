"""Serve the page: settings before gradio is imported, limits, and an end that leaves nothing behind."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from speechvq.checkpoint import model_directory
from speechvq.demo.limits import Limits
from speechvq.errors import InputError, MissingDependency

if TYPE_CHECKING:
    from speechvq.demo.studio import Studio

LOCAL = ("127.0.0.1", "localhost", "::1")


def serve(args: argparse.Namespace) -> int:
    """Serve until interrupted; the arguments are those of `speechvq demo`."""
    limits = _limits(args)
    auth = _auth(args.auth)
    with settings():
        import torch

        from speechvq.demo.studio import open_studio

        # Many visitors share the processor: each job keeps to one thread.
        torch.set_num_threads(1)
        print("Opening the model ...", file=sys.stderr)
        studio = open_studio([model_directory(path) for path in args.model or [None]], limits)
        if args.share:
            print("Warning: --share opens a link through servers of others; whoever has it can use this machine.", file=sys.stderr)
        if args.host not in LOCAL and not auth:
            print(f"Warning: everybody who reaches {args.host} can use this page; --auth USER:PASSWORD asks who they are.", file=sys.stderr)
        with running(studio, args.host, args.port, auth, args.share) as url:
            print(f"The page is open at {url} (end it with Ctrl-C)", file=sys.stderr)
            _wait()
    return 0


@contextmanager
def settings() -> Iterator[None]:
    """Keep gradio to itself: no analytics, no look-ups, and its temporary files in a folder that goes away.

    Raises:
        MissingDependency: gradio is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="speechvq-demo-") as folder:
        os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": folder, "HF_HUB_OFFLINE": "1", "GRADIO_MCP_SERVER": "False"}
        try:
            import gradio  # noqa: F401
        except ImportError as error:
            raise MissingDependency("gradio", "demo", str(error)) from None
        yield


@contextmanager
def running(studio: Studio, host: str, port: int | None, auth: tuple[str, str] | None = None, share: bool = False) -> Iterator[str]:
    """The page behind its guard, for as long as the block lasts.

    Args:
        studio: the models.
        host: address to listen on.
        port: to listen on; a free one where None.
        auth: name and password that visitors must give.
        share: open a public link.

    Yields:
        the page's address.

    Raises:
        InputError: the address or port cannot be used.
    """
    from starlette.middleware import Middleware

    from speechvq.demo import widgets
    from speechvq.demo.guard import Guard
    from speechvq.demo.page import build_page, theme

    limits = studio.limits
    page = build_page(studio)
    page.queue(max_size=limits.queue, default_concurrency_limit=limits.jobs, api_open=False)
    try:
        _, local, public = page.launch(
            server_name=host,
            server_port=port,
            auth=auth,
            share=share,
            prevent_thread_lock=True,
            quiet=True,
            ssr_mode=False,
            mcp_server=False,
            enable_monitoring=False,
            show_error=False,
            max_file_size=1,
            footer_links=["api", "settings"],
            theme=theme(),
            head=widgets.head(),
            app_kwargs={"middleware": [Middleware(Guard, max_body=limits.upload_bytes)]},
        )
    except OSError as error:
        raise InputError(f"the page cannot listen on {host}:{port} ({error}): choose another --port or --host") from None
    try:
        yield public or local
    finally:
        page.close(verbose=False)


def _wait() -> None:
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    while not ended.wait(1.0):
        pass


def _limits(args: argparse.Namespace) -> Limits:
    if not 1 <= args.max_seconds <= 600:
        raise InputError(f"--max-seconds must lie between 1 and 600, not {args.max_seconds}")
    if args.queue < 1 or (args.jobs is not None and args.jobs < 1):
        raise InputError("--queue and --jobs must be 1 or more")
    own = {"seconds": args.max_seconds, "queue": args.queue} | ({"jobs": args.jobs} if args.jobs else {})
    # A minute of stereo at 48 kHz and 24 bits, in base64, is what an honest request may weigh.
    return Limits(**own, upload_bytes=max(Limits.upload_bytes, round(max(args.max_seconds, Limits.enrol_seconds) * 400_000)))


def _auth(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    user, colon, password = text.partition(":")
    if not (user and colon and password):
        raise InputError("--auth needs a name and a password: --auth USER:PASSWORD")
    return user, password
