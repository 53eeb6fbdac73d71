"""Speaking units in several voices, told to the page as it goes."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Sequence

import numpy as np

from speechvq.audio import apply_gain
from speechvq.codec import Codec, Sampling, Speaker
from speechvq.demo.wire import pcm_base64
from speechvq.units import Units

# The page may skip messages when they come fast, so each repeats the seconds before it.
TAIL_SECONDS = 2.0


class Take:
    """One voice's rendering, while it is made.

    Args:
        voice: its name.
        num_samples: how long it will be.
        sample_rate: in Hz.
    """

    def __init__(self, voice: str, num_samples: int, sample_rate: int):
        self.voice, self.sample_rate = voice, sample_rate
        self.samples = np.zeros(num_samples, np.float32)
        self.made = 0
        self.began: float | None = None
        self.elapsed = 0.0

    def render(self, pieces: Iterator[np.ndarray]) -> Iterator[None]:
        """Take in pieces, resting after each."""
        self.began = time.perf_counter()
        for piece in pieces:
            piece = piece[: len(self.samples) - self.made]
            self.samples[self.made : self.made + len(piece)] = piece
            self.made += len(piece)
            self.elapsed = time.perf_counter() - self.began
            yield

    @property
    def speed(self) -> float:
        """Seconds of audio made in a second."""
        return self.made / self.sample_rate / self.elapsed if self.elapsed else 0.0

    def row(self, whole: bool) -> dict:
        """What the page is told: all samples, or the latest of a take at work."""
        row = {"voice": self.voice, "total": len(self.samples), "made": self.made, "speed": round(self.speed, 2)}
        if whole:
            return row | {"from": 0, "pcm": pcm_base64(self.samples)}
        start = max(0, self.made - round(TAIL_SECONDS * self.sample_rate))
        return row | {"from": start, "pcm": pcm_base64(self.samples[start : self.made])}


def speak(
    codec: Codec, units: Units, voices: Sequence[tuple[str, Speaker]], sampling: Sampling, num_samples: int, gain: float = 0.0
) -> Iterator[str]:
    """Decode units in one voice after another.

    Args:
        codec: the model.
        units: what to say.
        voices: names and what `Codec.decode` takes for them.
        sampling: how to draw, the same for all.
        num_samples: to keep of what is decoded.
        gain: in dB, taken away from the result.

    Yields:
        JSON with the job's name, the rate, and one row a take: what is made so far. The last message holds all.
    """
    takes = [Take(name, num_samples, codec.sample_rate) for name, _ in voices]
    job = secrets.token_hex(6)
    for take, (_, speaker) in zip(takes, voices, strict=True):
        pieces = (apply_gain(piece, -gain) for piece in codec.decode_blocks([units.ids], speaker, sampling))
        for _ in take.render(pieces):
            yield _message(job, codec.sample_rate, [other.row(False) if other is take else _bare(other) for other in takes])
    yield _message(job, codec.sample_rate, [take.row(True) for take in takes])


def _bare(take: Take) -> dict:
    return {"voice": take.voice, "total": len(take.samples), "made": take.made, "speed": round(take.speed, 2)}


def _message(job: str, sample_rate: int, rows: list[dict]) -> str:
    return json.dumps({"job": job, "rate": sample_rate, "takes": rows})
