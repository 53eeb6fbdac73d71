"""Turn work that reports its progress into a generator, which can be watched and abandoned."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
from typing import TypeVar

Result = TypeVar("Result")


class Abandoned(BaseException):
    """Raised inside work that nobody waits for any more."""


def stepwise(work: Callable[[Callable[[float], None]], Result]) -> Generator[float, None, Result]:
    """Run work beside the caller.

    Args:
        work: is given a function that it calls with the share done so far; where the generator was closed,
            that call raises Abandoned, which ends the work.

    Yields:
        the share done, as it is reported.

    Returns:
        what the work returns; what it raises is raised here.
    """
    told: queue.Queue = queue.Queue()
    abandoned = threading.Event()
    outcome: list = []

    def advance(share: float) -> None:
        if abandoned.is_set():
            raise Abandoned
        told.put(share)

    def run() -> None:
        try:
            outcome.append((work(advance), None))
        except BaseException as error:
            outcome.append((None, error))
        told.put(None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while (share := told.get()) is not None:
            yield share
    finally:
        abandoned.set()
        thread.join()
    result, error = outcome[0]
    if error is not None:
        raise error
    return result
