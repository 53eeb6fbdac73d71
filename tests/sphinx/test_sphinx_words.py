"""Transcripts into words, and words into phones where no dictionary helps."""

from __future__ import annotations

import pytest

from speechvq.alignment import PHONES
from speechvq.sphinx.words import guess_pronunciation, normalize


def test_normalize():
    assert normalize("“Don’t”, she said -- 'tis the dogs' well-known R&B!") == [
        "don't", "she", "said", "tis", "the", "dogs", "well", "known", "r", "and", "b",
    ]  # fmt: skip
    assert normalize(" ... ") == []


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("blair", "B L EH R"),
        ("whisk", "W IH S K"),
        ("thoopick", "TH UW P IH K"),
        ("blake", "B L EY K"),
        ("fraction's", "F R AE K SH AH N Z"),
        ("a", "AE"),
    ],
)
def test_guesses_by_spelling(word, phones):
    assert guess_pronunciation(word) == phones


def test_guesses_are_phones_of_the_dictionary():
    words = ["xylophone", "quizzes", "knightsbridge", "phthisis", "aeiou", "tsch", "wright's", "gauge", "ee", "mmmm"]
    for word in words:
        assert set(guess_pronunciation(word).split()) <= set(PHONES)


@pytest.mark.parametrize("word", ["25", "b2b", "naïve", ""])
def test_other_signs_are_not_guessed(word):
    assert guess_pronunciation(word) is None
