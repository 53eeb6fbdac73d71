"""A made-up language of units: every word is a fixed sequence of units, spoken slowly or fast, with slips."""

import sys
from pathlib import Path

import numpy as np
import soundfile

from speechvq.corpus import DataDir, Utterance, write_data_dir
from speechvq.formats.transfer import export_units
from speechvq.units import UnitsDir, UnitsWriter

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "recipes"))

K, HOP, RATE = 24, 160, 16000
WORDS = ("alpha", "beta", "gamma", "delta")


def spoken(rng, text):
    """Units of a text: 6 units a word, each lasting 2 to 4, one in twenty wrong."""
    sounds = {word: np.random.default_rng(k).integers(0, K, 6) for k, word in enumerate(WORDS)}
    ids = np.repeat(np.concatenate([sounds[word] for word in text]), rng.integers(2, 5, 6 * len(text)))
    slips = rng.random(len(ids)) < 0.05
    return np.where(slips, rng.integers(0, K, len(ids)), ids)


def write_language(folder, count, seed):
    """A units directory and its data directory; returns both opened."""
    rng = np.random.default_rng(seed)
    utterances = []
    (folder / "wav").mkdir(parents=True)
    with UnitsWriter(folder / "units", K, HOP, RATE) as writer:
        for number in range(count):
            text = list(rng.choice(WORDS, rng.integers(1, 4)))
            ids = spoken(rng, text)
            utt = f"s{number % 3}-{number:04d}"
            writer.add(utt, ids, speaker=utt[:2])
            soundfile.write(folder / "wav" / f"{utt}.wav", np.full(len(ids) * HOP, 0.1, np.float32), RATE)
            utterances.append(Utterance(utt, utt[:2], folder / "wav" / f"{utt}.wav", " ".join(text)))
    write_data_dir(folder / "data", utterances)
    return UnitsDir(folder / "units"), DataDir(folder / "data")


def export_language(folder, format, count, seed, dedup=False):
    """The language exported with its texts; returns the export's folder."""
    units, data = write_language(folder, count, seed)
    export_units(units, format, folder / "out", dedup, data)
    return folder / "out"
