"""The speaker check on voices that differ in their spectrum, and edit distances against jiwer."""

from __future__ import annotations

import jiwer
import numpy as np
import pytest
from scipy.signal import lfilter

from speechvq.errors import InputError
from speechvq.metrics.edits import edit_distance
from speechvq.metrics.speakers import SpeakerCheck


def speak(voice, seed, seconds=3.0):
    """Noise whose level changes like syllables, through a resonance that belongs to the voice."""
    rng = np.random.default_rng(seed)
    count = int(seconds * 16000)
    level = np.repeat(rng.random(count // 1600 + 1), 1600)[:count]
    radius, angle = 0.95, 2 * np.pi * (500 + 400 * voice) / 16000
    return lfilter([1], [1, -2 * radius * np.cos(angle), radius**2], rng.normal(size=count) * level * 0.05)


def test_voices_are_told_apart_in_recordings_never_heard():
    check = SpeakerCheck({f"v{voice}": [speak(voice, 10 * voice + n) for n in range(6)] for voice in range(4)})
    assert check.speakers == ["v0", "v1", "v2", "v3"]
    for voice in range(4):
        found = check.similarities(speak(voice, 100 + voice))
        assert max(found, key=found.get) == f"v{voice}"
        assert found[f"v{voice}"] > 0.95 > max(value for name, value in found.items() if name != f"v{voice}")
    assert np.linalg.norm(check.embed(speak(0, 200))) == pytest.approx(1)


def test_a_speaker_of_one_second_is_one_of_many_without_a_warning(recwarn):
    recordings = {f"v{voice}": [speak(voice, 10 * voice + n) for n in range(4)] for voice in range(3)}
    found = SpeakerCheck(recordings | {"brief": [speak(3, 90, seconds=1.0)]}).similarities(speak(3, 91))
    assert max(found, key=found.get) == "brief" and not recwarn.list


def test_one_voice_is_not_enough():
    with pytest.raises(InputError, match="two speakers"):
        SpeakerCheck({"a": [speak(0, 1)]})


def test_edit_distance():
    assert edit_distance("kitten", "sitting") == 3
    assert edit_distance([], ["a", "b"]) == 2 and edit_distance(["a"], []) == 1
    rng = np.random.default_rng(0)
    for _ in range(30):
        wanted, heard = (list(rng.choice(list("abcd"), rng.integers(1, 12))) for _ in range(2))
        errors = jiwer.process_words(" ".join(wanted), " ".join(heard))
        assert edit_distance(wanted, heard) == errors.substitutions + errors.deletions + errors.insertions
