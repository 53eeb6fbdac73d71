"""The voices a visitor can choose: the model's, and those enrolled in this browser session."""

from __future__ import annotations

from collections.abc import Sequence

from speechvq.codec import Codec, Speaker
from speechvq.errors import InputError
from speechvq.model import Voice

# What a session remembers: (model's name, voice's name) -> the voice. Nothing of it is ever written down.
OwnVoices = dict[tuple[str, str], Voice]
MOST_OWN_VOICES = 8


def choices(model: str, codec: Codec, own: OwnVoices) -> list[tuple[str, str]]:
    """Labels and names of all voices, the visitor's own first."""
    mine = [(f"{name} (yours)", name) for of, name in own if of == model]
    return mine + [(name, name) for name in codec.speakers]


def add_voice(own: OwnVoices, model: str, name: str, voice: Voice) -> OwnVoices:
    """The session's voices and one more.

    Raises:
        InputError: there are too many already.
    """
    if len(own) >= MOST_OWN_VOICES:
        raise InputError(f"a session holds {MOST_OWN_VOICES} voices at most: reload the page to begin again")
    return own | {(model, name): voice}


def find_voices(model: str, codec: Codec, own: OwnVoices, names: Sequence[str], most: int) -> list[tuple[str, Speaker]]:
    """What `Codec.decode` takes for each of some voices.

    Raises:
        InputError: none or too many are named, or one is unknown.
    """
    if not names:
        raise InputError("no voice is chosen: choose one or more")
    if len(names) > most:
        raise InputError(f"{len(names)} voices are chosen; up to {most} are made at once: choose fewer")
    found: list[tuple[str, Speaker]] = []
    for name in names:
        if (model, name) not in own:
            codec.model.speaker_vector(name)
        found.append((name, own.get((model, name), name)))
    return found
