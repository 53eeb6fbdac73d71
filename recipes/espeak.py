"""espeak-ng through ctypes: speech with the sample at which each phone begins, in voices of our own making.

The library comes with the package espeakng-loader (extra `synth`); it is GPL-3 and
is loaded at run time, never copied.
"""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from speechvq.alignment import SILENCE, Alignment, Interval
from speechvq.errors import MissingDependency, SpeechVQError

# Values of espeak-ng's speak_lib.h.
_SYNCHRONOUS, _PHONEME_EVENTS, _DONT_EXIT = 2, 1, 0x8000
_LIST_END, _PHONEME = 0, 7
_CHARS_UTF8 = 1
_RATE = 1

# Mnemonics of espeak-ng's American English -> phones of the CMU dictionary. Two phones share
# an r-coloured vowel or diphthong half and half; none lets the phone before go on (linking glides).
_ARPABET = {
    "p": "P", "b": "B", "t": "T", "t#": "T", "t2": "T", "?": "T", "d": "D", "k": "K", "x": "K", "g": "G",
    "f": "F", "v": "V", "T": "TH", "D": "DH", "s": "S", "z": "Z", "S": "SH", "Z": "ZH", "h": "HH",
    "tS": "CH", "dZ": "JH", "m": "M", "n": "N", "n-": "N", "N": "NG", "l": "L", "@L": "AH L",
    "r": "R", "w": "W", "j": "Y",
    "i:": "IY", "i": "IY", "I": "IH", "I#": "IH", "I2": "IH", "E": "EH", "a": "AE", "aa": "AE",
    "A:": "AA", "0": "AA", "O:": "AO", "O2": "AO", "U": "UH", "u:": "UW", "V": "AH", "@": "AH", "@2": "AH", "a#": "AH",
    "3": "ER", "3:": "ER", "eI": "EY", "aI": "AY", "OI": "OY", "oU": "OW", "aU": "AW",
    "A@": "AA R", "O@": "AO R", "o@": "AO R", "U@": "UH R", "e@": "EH R", "i@3": "IH R",
    "i@": "IY AH", "aI@": "AY AH", "aI3": "AY ER",
    "_": SILENCE, "_:": SILENCE, "_!": SILENCE, ";": "", "r-": "",
}  # fmt: skip


class _Name(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("pointer", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Name),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Espeak:
    """The synthesiser, once per process, with voices that it does not bring along.

    Args:
        voices: the text of a voice variant file by name, without its `name` line.

    Raises:
        MissingDependency: espeakng-loader is not installed.
    """

    def __init__(self, voices: Mapping[str, str]):
        try:
            import espeakng_loader
        except ImportError:
            raise MissingDependency("espeakng-loader", "synth") from None
        self._folder = tempfile.TemporaryDirectory(prefix="espeak-voices-")
        data = _data_with_voices(Path(espeakng_loader.get_data_path()), Path(self._folder.name), voices)
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        options = _PHONEME_EVENTS | _DONT_EXIT
        self.sample_rate: int = self._library.espeak_Initialize(_SYNCHRONOUS, 0, os.fsencode(data), options)
        if self.sample_rate <= 0:
            raise SpeechVQError(f"espeak-ng did not start with the data in {data}")
        # The library keeps the pointer: Python must keep the object.
        self._callback = _Callback(self._receive)
        self._library.espeak_SetSynthCallback(self._callback)

    def say(self, text: str, voice: str, words_per_minute: int, seed: int = 0) -> tuple[np.ndarray, Alignment]:
        """Speak a sentence.

        Args:
            text: American English.
            voice: one of those given at the start.
            words_per_minute: 80 to 450.
            seed: of flutter, roughness and breath; the same seed gives the same samples.

        Returns:
            float32 [T] at `sample_rate`, and its phones.
        """
        self._pieces: list[np.ndarray] = []
        self._onsets: list[tuple[int, str]] = []
        if self._library.espeak_SetVoiceByName(f"en-us+{voice}".encode()):
            raise SpeechVQError(f"espeak-ng does not take the voice '{voice}'")
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        self._library.espeak_SetParameter(_RATE, words_per_minute, 0)
        data = text.encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, 1, 0, _CHARS_UTF8, None, None)
        samples = np.concatenate(self._pieces).astype(np.float32) / 32768
        return samples, _alignment(self._onsets, len(samples), self.sample_rate)

    def _receive(self, samples, count: int, events) -> int:
        if samples and count > 0:
            self._pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        at = 0
        while events[at].type != _LIST_END:
            if events[at].type == _PHONEME:
                self._onsets.append((events[at].sample, events[at].id.string.decode("utf-8", "replace")))
            at += 1
        return 0


def _data_with_voices(source: Path, folder: Path, voices: Mapping[str, str]) -> Path:
    # espeak-ng finds variants only inside its data: link that, and make a folder of variants of our own.
    data = folder / "espeak-ng-data"
    variants = data / "voices" / "!v"
    variants.mkdir(parents=True)
    for entry in source.iterdir():
        if entry.name != "voices":
            (data / entry.name).symlink_to(entry)
    for name, body in voices.items():
        (variants / name).write_text(f"language variant\nname {name}\n{body}\n")
    return data


def _alignment(onsets: list[tuple[int, str]], num_samples: int, sample_rate: int) -> Alignment:
    ends = [sample for sample, _ in onsets[1:]] + [num_samples]
    phones: list[Interval] = []
    for (start, mnemonic), end in zip(onsets, ends, strict=True):
        names = _phones(mnemonic)
        if not names and phones:
            phones[-1] = phones[-1]._replace(end=end / sample_rate)
        for k, name in enumerate(names):
            a, b = (start + (end - start) * j / len(names) for j in (k, k + 1))
            # An r-coloured vowel and the r that links it to the next word are one r.
            if phones and phones[-1].label == name and name in ("R", SILENCE):
                phones[-1] = phones[-1]._replace(end=b / sample_rate)
            else:
                phones.append(Interval(a / sample_rate, b / sample_rate, name))
    return Alignment(phones)


def _phones(mnemonic: str) -> list[str]:
    plain = mnemonic.lstrip("',")
    if plain not in _ARPABET:
        raise SpeechVQError(f"espeak-ng spoke a phone '{mnemonic}' that has no ARPABET name here: reword the sentence")
    return _ARPABET[plain].split()
