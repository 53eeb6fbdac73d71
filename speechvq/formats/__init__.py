"""Units in the forms that other toolkits load: one module a format, each writes it and reads it back.

A module has CONSUMER, EXAMPLE, `write(directory, batches, meta)` and `read(directory, meta)`; one whose files keep
the repeats even of collapsed runs has KEEPS_RUNS. Its docstring says its limits; docs/exports.md shows them all.
"""

from __future__ import annotations

import importlib
from types import ModuleType

FORMATS = {
    "kaldi-text": "kaldi_text",
    "kaldi-ark": "kaldi_ark",
    "lhotse": "lhotse",
    "espnet": "espnet",
    "fairseq": "fairseq",
    "gslm": "gslm",
    "textless": "textless",
    "speech-resynthesis": "speech_resynthesis",
    "slamkit": "slamkit",
    "hf": "hf",
    "textgrid": "textgrid",
    "ctm": "ctm",
    "zerospeech2019": "zerospeech2019",
    "zerospeech2021": "zerospeech2021",
    "npz": "npz",
}


def load_format(name: str) -> ModuleType:
    """The module of a format, imported when it is first needed.

    Args:
        name: a key of FORMATS.
    """
    return importlib.import_module(f"speechvq.formats.{FORMATS[name]}")


def keeps_runs(name: str) -> bool:
    """Whether a format keeps durations, so that collapsed runs come back whole."""
    return hasattr(load_format(name), "KEEPS_RUNS")


def listing() -> str:
    """Every format with who loads it, what becomes of repeats, and an example."""
    lines = []
    for name in FORMATS:
        module = load_format(name)
        repeats = "kept as durations" if keeps_runs(name) else "kept, lost with --dedup"
        lines.append(f"{name}: for {module.CONSUMER}; repeats are {repeats}\n    {module.EXAMPLE}")
    return "\n".join(lines)
