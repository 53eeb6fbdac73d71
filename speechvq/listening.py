"""Hearing audio while it is made: through a pipe, or by a player that is installed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np

from speechvq.audio import to_int16
from speechvq.errors import InputError

# Players that take 16-bit samples from a pipe.
PLAYERS = {
    "aplay": "-q -t raw -f S16_LE -c 1 -r {rate}",
    "paplay": "--raw --format=s16le --channels=1 --rate={rate}",
    "play": "-q -t raw -e signed -b 16 -c 1 -r {rate} -",
    "ffplay": "-nodisp -autoexit -loglevel error -f s16le -ar {rate} -i -",
}


@contextmanager
def player(sample_rate: int) -> Iterator[BinaryIO]:
    """A pipe into the first player there is; leaving waits until all was heard.

    Args:
        sample_rate: of what will be written, in Hz.

    Raises:
        InputError: there is no player, or it failed.
    """
    name = next(filter(shutil.which, PLAYERS), None)
    if name is None:
        raise InputError(f"--play needs one of {', '.join(PLAYERS)} on the PATH; --stream writes the samples to a pipe instead")
    process = subprocess.Popen([name, *PLAYERS[name].format(rate=sample_rate).split()], stdin=subprocess.PIPE)
    try:
        yield process.stdin
        process.stdin.close()
    except BrokenPipeError:
        pass  # its exit code says what happened
    except BaseException:
        process.kill()
        raise
    if code := process.wait():
        raise InputError(f"{name} could not play (exit code {code}); --stream writes the samples to a pipe instead")


def heard(blocks: Iterable[np.ndarray], pipe: BinaryIO) -> Iterator[np.ndarray]:
    """Pass blocks on, each written to a pipe as 16-bit little-endian samples on its way.

    Args:
        blocks: [T] float in [-1, 1] each.
        pipe: where to.
    """
    for block in blocks:
        pipe.write(to_int16(block).astype("<i2").tobytes())
        pipe.flush()
        yield block
