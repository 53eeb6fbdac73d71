"""The named endpoints: /voices, /convert, /encode, /decode; plain JSON in and out."""

from __future__ import annotations

import time

import gradio as gr

from speechvq.codec import Codec, Sampling
from speechvq.demo.limits import check_length, check_sampling
from speechvq.demo.studio import WORK, Studio, in_a_sentence
from speechvq.demo.wire import audio_from_base64, wav_base64
from speechvq.errors import InputError


def add_endpoints(studio: Studio) -> None:
    """Name the endpoints in the Blocks at hand."""
    jobs = studio.limits.jobs

    @in_a_sentence
    def voices(model: str = "") -> dict:
        """What a model can do.

        Args:
            model: its name; the first model of the page where empty.

        Returns:
            models, and of this one: voices, sample_rate, codebook_size, units_per_second.
        """
        codec = studio.codec(model or studio.first)
        return {
            "models": list(studio.codecs),
            "voices": codec.speakers,
            "sample_rate": codec.sample_rate,
            "codebook_size": codec.codebook_size,
            "units_per_second": codec.sample_rate / codec.hop_length,
        }

    @in_a_sentence
    def convert(audio: str, voice: str, seed: int = 0, temperature: float = 1.0, model: str = "") -> dict:
        """Say the same words in another voice.

        Args:
            audio: a .wav, .flac, .ogg or .mp3 file in base64.
            voice: one of /voices.
            seed: of the random draw, 0 or more; the same seed gives the same audio.
            temperature: from 0 to 2; below 1 draws likelier samples.
            model: its name; the first model of the page where empty.

        Returns:
            audio (a .wav file in base64), sample_rate in Hz, seconds, speed (seconds of audio made in a second).
        """
        codec = studio.codec(model or studio.first)
        samples = audio_from_base64(audio, codec.sample_rate, studio.limits.seconds)
        how, began = Sampling(*check_sampling(seed, temperature)), time.perf_counter()
        return _spoken(codec, codec.convert(samples, codec.sample_rate, voice, how), began)

    @in_a_sentence
    def encode(audio: str, model: str = "") -> dict:
        """Turn speech into units.

        Args:
            audio: a .wav, .flac, .ogg or .mp3 file in base64.
            model: its name; the first model of the page where empty.

        Returns:
            units (a list of numbers), units_per_second, codebook_size, gain_db (what levelled the recording).
        """
        codec = studio.codec(model or studio.first)
        samples = audio_from_base64(audio, codec.sample_rate, studio.limits.seconds)
        units, gain = codec.encode_levelled(samples)
        facts = {"units_per_second": units.rate, "codebook_size": units.codebook_size, "gain_db": float(gain)}
        return {"units": units.ids.tolist()} | facts

    @in_a_sentence
    def decode(units: list[int], voice: str, seed: int = 0, temperature: float = 1.0, model: str = "") -> dict:
        """Speak units.

        Args:
            units: numbers from 0 to codebook_size - 1, as /encode gives them.
            voice: one of /voices.
            seed: of the random draw, 0 or more; the same seed gives the same audio.
            temperature: from 0 to 2; below 1 draws likelier samples.
            model: its name; the first model of the page where empty.

        Returns:
            as /convert.
        """
        codec = studio.codec(model or studio.first)
        if not isinstance(units, list) or not units or not all(type(unit) is int for unit in units):
            raise InputError("units must be a list of whole numbers, one at least")
        check_length(len(units) * codec.hop_length / codec.sample_rate, studio.limits.seconds)
        if not 0 <= min(units) <= max(units) < codec.codebook_size:
            raise InputError(f"units must lie between 0 and {codec.codebook_size - 1}")
        how, began = Sampling(*check_sampling(seed, temperature)), time.perf_counter()
        return _spoken(codec, codec.decode(codec.units(units), voice, how), began)

    gr.api(voices, api_name="voices", concurrency_limit=jobs)
    gr.api(encode, api_name="encode", concurrency_limit=jobs, concurrency_id="encode")
    for endpoint in (convert, decode):
        gr.api(endpoint, api_name=endpoint.__name__, concurrency_limit=jobs, concurrency_id=WORK)


def _spoken(codec: Codec, samples, began: float) -> dict:
    seconds = len(samples) / codec.sample_rate
    speed = seconds / (time.perf_counter() - began)
    return {"audio": wav_base64(samples, codec.sample_rate), "sample_rate": codec.sample_rate, "seconds": seconds, "speed": round(speed, 2)}
