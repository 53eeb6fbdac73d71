"""How much a visitor may ask for; the server holds these, whatever the page checked before."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import numpy as np

from speechvq.errors import InputError

TEMPERATURES = (0.0, 2.0)
LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class Limits:
    """The bounds of one server.

    Args:
        seconds: longest recording, and longest row of units, to decode.
        enrol_seconds: longest recording of a new voice.
        upload_bytes: largest request.
        voices: most voices in one conversion.
        queue: requests that may wait.
        jobs: decodings at a time.
    """

    seconds: float = 30.0
    enrol_seconds: float = 60.0
    upload_bytes: int = 16 << 20
    voices: int = 4
    queue: int = 40
    jobs: int = field(default_factory=lambda: os.cpu_count() or 1)


def check_length(seconds: float, allowed: float) -> None:
    """Refuse what would take too long.

    Raises:
        InputError: longer than allowed.
    """
    if seconds > allowed:
        raise InputError(f"this lasts {seconds:.1f} s; up to {allowed:.0f} s are taken here: give a shorter piece")


def check_sampling(seed: float, temperature: float) -> tuple[int, float]:
    """The seed as a whole number, and the temperature, if both are in range.

    Raises:
        InputError: one of them is not.
    """
    if not (isinstance(seed, int | float) and np.isfinite(seed) and 0 <= seed <= LARGEST_SEED and seed == int(seed)):
        raise InputError(f"the seed must be a whole number from 0 to {LARGEST_SEED}, not {seed}")
    low, high = TEMPERATURES
    if not (isinstance(temperature, int | float) and low <= temperature <= high):
        raise InputError(f"the temperature must lie between {low:g} and {high:g}, not {temperature}")
    return int(seed), float(temperature)
