"""Progress bars that suit a terminal and a log file alike."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from tqdm import tqdm

TERMINAL_SECONDS = 0.2
LOG_SECONDS = 20.0


def progress(items: Iterable | None = None, title: str = "", total: float | None = None, **options) -> tqdm:
    """A tqdm bar that redraws often on a terminal and seldom in a log.

    Args:
        items: what to iterate over, if anything.
        title: before the bar.
        total: how much there is to do, where `items` does not tell.
        options: further ones of tqdm.
    """
    interval = TERMINAL_SECONDS if sys.stderr.isatty() else LOG_SECONDS
    return tqdm(items, title, total, mininterval=interval, maxinterval=interval, **options)
