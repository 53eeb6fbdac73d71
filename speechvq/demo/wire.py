"""Audio and units as they travel between page and server: text in JSON, never a file nor a path."""

from __future__ import annotations

import base64
import binascii
import io
import json

import numpy as np
import soundfile

from speechvq import audio
from speechvq.codec import Codec
from speechvq.demo.limits import check_length
from speechvq.errors import AudioError, InputError
from speechvq.units import Units


def audio_from_base64(text: str, sample_rate: int, seconds: float) -> np.ndarray:
    """Samples of an audio file that came as base64.

    Args:
        text: base64 of a .wav, .flac, .ogg or .mp3 file.
        sample_rate: wanted, in Hz.
        seconds: the most that is taken.

    Returns:
        float32 [T].

    Raises:
        AudioError: it is no audio.
        InputError: it is too long.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise AudioError("the audio must be a sound file written in base64") from None
    file = io.BytesIO(data)
    file.name = "this recording"
    # The header is believed only as far as a refusal; reading stops at the limit whatever it says.
    check_length(audio.info(file).duration, seconds)
    file.seek(0)
    return audio.read(file, sample_rate, 0.0, seconds + 1.0)


def recording(value: str, sample_rate: int, seconds: float) -> np.ndarray:
    """Samples of what the page's recorder holds.

    Args:
        value: JSON with `data`, a sound file in base64; empty where nothing was recorded.
        sample_rate: wanted, in Hz.
        seconds: the most that is taken.

    Raises:
        InputError: nothing was recorded, or it cannot be used.
    """
    if not value:
        raise InputError("there is no recording yet: record one, upload a file, or click an example")
    try:
        data = json.loads(value)["data"]
    except (ValueError, TypeError, KeyError):
        raise AudioError("the recording did not arrive whole: record it again") from None
    return audio_from_base64(data, sample_rate, seconds)


def wav_base64(samples: np.ndarray, sample_rate: int) -> str:
    """A 16-bit WAV file in base64."""
    file = io.BytesIO()
    soundfile.write(file, np.clip(samples, -1.0, 1.0), sample_rate, "PCM_16", format="WAV")
    return base64.b64encode(file.getvalue()).decode()


def pcm_base64(samples: np.ndarray) -> str:
    """Bare 16-bit little-endian samples in base64."""
    whole = np.clip(np.rint(np.asarray(samples) * 32767), -32767, 32767)
    return base64.b64encode(whole.astype("<i2").tobytes()).decode()


def parse_units(text: str, codec: Codec, seconds: float) -> Units:
    """Units that somebody typed.

    Args:
        text: numbers with white space or commas between them.
        codec: the model that shall speak them.
        seconds: the most that is taken.

    Raises:
        InputError: not numbers, none at all, too many, or outside the codebook.
    """
    words = text.replace(",", " ").split()
    if not words:
        raise InputError("there are no units yet: encode a recording, or type some numbers")
    check_length(len(words) * codec.hop_length / codec.sample_rate, seconds)
    if wrong := next((word for word in words if not (word.isascii() and word.isdigit() and len(word) <= 9)), None):
        raise InputError(f"'{wrong[:20]}' is no unit: units are whole numbers from 0 to {codec.codebook_size - 1}")
    return codec.units(np.array([int(word) for word in words], np.int64))


def format_units(ids: np.ndarray) -> str:
    """Units as text: numbers with spaces between them."""
    return " ".join(map(str, ids.tolist()))
