"""What the tabs and the API share: the models, the limits, and how a fault becomes a sentence."""

from __future__ import annotations

import functools
import html
import inspect
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from speechvq.codec import Codec
from speechvq.demo.figures import PhoneTable, read_phone_table
from speechvq.demo.limits import Limits
from speechvq.errors import InputError, SpeechVQError

log = logging.getLogger(__name__)
WORK = "work"  # the queue of everything that decodes or fits


@dataclass(frozen=True)
class Studio:
    """Models opened for visitors.

    Args:
        codecs: by the name that the page shows; the first is where everybody begins.
        limits: what a visitor may ask for.
        phones: what is known of their units' phones, by the same names.
    """

    codecs: dict[str, Codec]
    limits: Limits
    phones: dict[str, PhoneTable | None]

    @property
    def first(self) -> str:
        """The model where everybody begins."""
        return next(iter(self.codecs))

    def codec(self, name: str) -> Codec:
        """A model by name.

        Raises:
            InputError: there is none of that name.
        """
        if name not in self.codecs:
            raise InputError(f"there is no model '{name}'; there are: {', '.join(self.codecs)}")
        return self.codecs[name]


def open_studio(models: Sequence[Path], limits: Limits) -> Studio:
    """Open model directories and get their engines ready.

    Raises:
        ModelError: one cannot be used.
        InputError: two have one name, or a phones.json is of another kind.
    """
    codecs: dict[str, Codec] = {}
    for path in models:
        name = _name(path)
        if name in codecs:
            raise InputError(f"two models are called '{name}': rename one of the folders")
        codecs[name] = Codec(path, threads=1)
        # The first decode compiles the engine: better now than while the first visitor waits.
        codecs[name].decode(codecs[name].units([0]), codecs[name].speakers[0])
    return Studio(codecs, limits, {name: read_phone_table(codec.path) for name, codec in codecs.items()})


def _name(path: Path) -> str:
    path = path.resolve()
    # Trainers call their best model "best", which says nothing beside another's.
    return f"{path.parent.name}/{path.name}" if path.name in ("best", "last") else path.name


def in_a_sentence(handler: Callable) -> Callable:
    """Let every fault of a handler reach the visitor as one sentence, and the log as what it was."""

    def said(error: Exception) -> gr.Error:
        if isinstance(error, gr.Error):
            return error
        if isinstance(error, SpeechVQError):
            # The page shows messages as HTML, and some repeat what the visitor gave.
            text = html.escape(str(error), quote=False)
            return gr.Error(text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else "."), title="Not done", print_exception=False)
        log.error("a handler of the page failed", exc_info=error)
        return gr.Error("Something failed on the server; its log says what. Try again.", title="Not done", print_exception=False)

    if inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def generate(*args, **kwargs):
            try:
                yield from handler(*args, **kwargs)
            except Exception as error:
                raise said(error) from None

        return generate

    @functools.wraps(handler)
    def call(*args, **kwargs):
        try:
            return handler(*args, **kwargs)
        except Exception as error:
            raise said(error) from None

    return call
