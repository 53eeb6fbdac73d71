#!/usr/bin/env python
"""Make a corpus of synthetic speech with exact phone times, offline: OUT_DIR/{all,train,dev,test}.

Every voice is in every set; the sentences of dev and test are in no other set.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
from espeak import Espeak
from prepare import main_of, write_sets

from speechvq import audio
from speechvq.alignment import Alignment
from speechvq.corpus import Utterance

SAMPLE_RATE = 16000
SENTENCES = Path(__file__).with_name("synthetic_text.txt")
# Sentence numbers modulo 12 that belong to dev and test.
DEV, TEST, OF = 5, 11, 12
LEAD_SECONDS, TAIL_SECONDS = 0.1, 0.15
ROOM_NOISE_DB = -70.0
CANDIDATES = 40


@dataclass(frozen=True)
class Voice:
    """A voice: gender, pitch in Hz from calm to lively, words per minute, and espeak-ng's variant settings."""

    gender: str
    pitch: tuple[float, float]
    words_per_minute: int
    formants: tuple[tuple[float, float, float], ...]
    breath: int
    roughness: int
    flutter: int

    def variant(self) -> str:
        """The body of an espeak-ng voice variant file."""
        lines = [f"gender {'male' if self.gender == 'm' else 'female'}", f"pitch {self.pitch[0]:.0f} {self.pitch[1]:.0f}"]
        lines += [f"flutter {self.flutter}", f"roughness {self.roughness}"]
        lines.append("breath " + " ".join([str(self.breath)] * 4))
        lines += [f"formant {k} {f * 100:.0f} {h * 100:.0f} {w * 100:.0f}" for k, (f, h, w) in enumerate(self.formants)]
        return "\n".join(lines)

    def traits(self) -> np.ndarray:
        """What tells voices apart, in comparable units: pitch and vocal tract first, then timbre."""
        frequencies = [12 * np.log2(f) for f, _, _ in self.formants[1:5]]
        heights = [2 * np.log2(h) for _, h, _ in self.formants[1:6]]
        return np.array([6 * np.log2(self.pitch[0] / 100), *frequencies, *heights, self.breath / 6, self.roughness / 3])


def draw_voices(number: int, rng: np.random.Generator) -> list[Voice]:
    """Draw voices, men and women in turn, each the least like those before among some candidates."""
    chosen: list[Voice] = []
    for k in range(number):
        candidates = [_draw_voice("mf"[k % 2], rng) for _ in range(CANDIDATES)]
        distances = [min((np.linalg.norm(c.traits() - v.traits()) for v in chosen), default=0.0) for c in candidates]
        chosen.append(candidates[int(np.argmax(distances))])
    return chosen


def _draw_voice(gender: str, rng: np.random.Generator) -> Voice:
    low, high, short, long = (75, 140, 0.86, 1.06) if gender == "m" else (150, 260, 1.06, 1.28)
    tract = rng.uniform(short, long)
    pitch = low * (high / low) ** rng.uniform()
    formants = [(tract * rng.uniform(0.94, 1.06), rng.uniform(0.7, 1.3), rng.uniform(0.8, 1.3)) for _ in range(9)]
    breath = rng.integers(0, 8 if gender == "m" else 14)
    return Voice(
        gender, (pitch, pitch * rng.uniform(1.2, 1.6)), int(rng.integers(135, 190)), tuple(formants),
        int(breath), int(rng.integers(0, 4)), int(rng.integers(1, 6)),
    )  # fmt: skip


def sentence_sets(sentences: list[str]) -> dict[str, list[str]]:
    """Share the sentences out among train, dev and test by their number."""
    sets = {DEV: "dev", TEST: "test"}
    shared: dict[str, list[str]] = {"train": [], "dev": [], "test": []}
    for number, sentence in enumerate(sentences):
        shared[sets.get(number % OF, "train")].append(sentence)
    return shared


def speak(espeak: Espeak, text: str, speaker: str, voice: Voice, rng: np.random.Generator) -> tuple[np.ndarray, Alignment]:
    """Say a sentence at the voice's pace give or take a tenth, in a faintly noisy room.

    Returns:
        float32 [T] at 16 kHz and its phones.
    """
    pace = round(voice.words_per_minute * rng.uniform(0.9, 1.1))
    samples, phones = espeak.say(text, speaker, pace, int(rng.integers(1, 1 << 31)))
    spoken_end = max(i.end for i in phones if i.label != "SIL")
    samples = samples[: round((spoken_end + TAIL_SECONDS) * espeak.sample_rate)]
    samples = audio.resample(samples, espeak.sample_rate, SAMPLE_RATE)
    samples = np.concatenate([np.zeros(round(LEAD_SECONDS * SAMPLE_RATE), np.float32), samples])
    samples = audio.apply_gain(samples, audio.gain_db(samples, SAMPLE_RATE))
    samples = samples + 10 ** (ROOM_NOISE_DB / 20) * rng.standard_normal(len(samples))
    end = len(samples) / SAMPLE_RATE
    shifted = [(i.start + LEAD_SECONDS, min(i.end + LEAD_SECONDS, end), i.label) for i in phones]
    return samples, Alignment([(0.0, shifted[0][0], "SIL"), *(i for i in shifted if i[0] < end)])


def make_set(espeak: Espeak, voices: dict[str, Voice], sentences: list[str], name: str, seconds: float, seed: int, out: Path):
    """Let every voice say its share of a set's sentences.

    Args:
        espeak: knows the voices by the speakers' names.
        voices: by speaker.
        sentences: of this set.
        name: of the set; part of the utterance ids.
        seconds: of speech to make, all voices together.
        seed: of the sentences' order and the paces.
        out: folder for the wav files.

    Yields:
        utterances.
    """
    for k, (speaker, voice) in enumerate(voices.items()):
        rng = np.random.default_rng([seed, k, *name.encode()])
        said = 0.0
        order: list[int] = []
        for number in count():
            if said >= seconds / len(voices):
                break
            order = order or list(rng.permutation(len(sentences)))
            text = sentences[order.pop()]
            samples, phones = speak(espeak, text, speaker, voice, rng)
            utt = f"{speaker}-{name}{number:04d}"
            path = out / speaker / f"{utt}.wav"
            audio.write(path, samples, SAMPLE_RATE)
            duration = len(samples) / SAMPLE_RATE
            said += duration
            yield Utterance(utt, speaker, path, text, alignment=phones, gender=voice.gender, duration=duration)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("out", type=Path, metavar="OUT_DIR")
    parser.add_argument("--voices", type=int, default=24, help="how many (default 24)")
    parser.add_argument("--minutes", type=float, default=30, help="of speech, all sets together (default 30)")
    parser.add_argument("--seed", type=int, default=0, help="draws voices, order and pace (default 0)")


def prepare(args: argparse.Namespace) -> None:
    """Make the corpus."""
    drawn = draw_voices(args.voices, np.random.default_rng(args.seed))
    voices = {f"syn{k:03d}": voice for k, voice in enumerate(drawn)}
    espeak = Espeak({speaker: voice.variant() for speaker, voice in voices.items()})
    sets = sentence_sets(SENTENCES.read_text(encoding="utf-8").splitlines())
    total = sum(map(len, sets.values()))
    utterances = {
        name: list(make_set(espeak, voices, own, name, args.minutes * 60 * len(own) / total, args.seed, args.out / "wav"))
        for name, own in sets.items()
    }
    write_sets(args.out, utterances)


if __name__ == "__main__":
    main_of(__doc__, add_arguments, prepare)
