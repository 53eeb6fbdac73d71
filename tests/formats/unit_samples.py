"""Units to export, and what a units directory holds."""

import numpy as np

from speechvq.units import UnitsDir, UnitsWriter

K, HOP, RATE = 40, 64, 16000


def write_units(path, rows, codebook_size=K, hop_length=HOP, sample_rate=RATE):
    """A units directory from (utt, ids, num_samples, gain_db, speaker) rows."""
    with UnitsWriter(path, codebook_size, hop_length, sample_rate, model_hash="abc") as writer:
        for utt, ids, num_samples, gain_db, speaker in rows:
            writer.add(utt, np.array(ids), num_samples, gain_db, speaker)
    return UnitsDir(path)


def random_rows(seed=0, count=30, codebook_size=K, hop_length=HOP):
    """Utterances of several speakers with runs of units, lengths from 1 upwards."""
    rng = np.random.default_rng(seed)
    for index in range(count):
        speaker = f"p{225 + index // 10}"
        ids = np.repeat(rng.integers(0, codebook_size, 1 + index * 3), rng.integers(1, 5, 1 + index * 3))
        yield f"{speaker}-{index:03d}", ids, len(ids) * hop_length - index % hop_length, -index / 8, speaker


def contents(units):
    """All of a units directory, to compare two."""
    return [(units.entry(utt), units[utt].ids.tolist()) for utt in units]
