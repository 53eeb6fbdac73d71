"""Who learns from whom, and what chance reaches."""

from __future__ import annotations

import numpy as np
import pytest

from speechvq.errors import InputError
from speechvq.evaluate import accuracy
from speechvq.evaluate.labelled import CLASSES, UNLABELLED, LabelledUnits, cross_validation, separate

SILENCE, AA, B = CLASSES.index("SIL"), CLASSES.index("AA"), CLASSES.index("B")


def labelled(ids, phones, codebook_size=8):
    count = len(ids)
    names = tuple(f"s-{i:03d}" for i in range(count))
    ids, phones = (tuple(np.asarray(row) for row in rows) for rows in (ids, phones))
    return LabelledUnits(names, ("s",) * count, ids, phones, (np.zeros(0),) * count, CLASSES, codebook_size, 0.02)


def random_set(count, seed, informative):
    rng = np.random.default_rng(seed)
    phones = [rng.choice([SILENCE, AA, B, 3, 4], size=rng.integers(20, 60), p=[0.3, 0.25, 0.2, 0.15, 0.1]) for _ in range(count)]
    number = {phone: unit for unit, phone in enumerate([SILENCE, AA, B, 3, 4])}
    noise = [rng.integers(0, 8, len(row)) for row in phones]
    return labelled([np.array([number[p] for p in row]) if informative else n for row, n in zip(phones, noise, strict=True)], phones)


def test_each_utterance_is_scored_once_and_never_learned_from():
    data = random_set(23, 0, True)
    splits = cross_validation(data, 5)
    assert sorted(index for split in splits for index in split.test) == list(range(23))
    for split in splits:
        held_out = {data.utterances[index] for index in split.test}
        assert held_out and held_out.isdisjoint(split.learn.utterances)
        assert len(held_out) + len(split.learn) == 23


@pytest.mark.parametrize("folds", [1, 24])
def test_impossible_folds_are_refused(folds):
    with pytest.raises(InputError, match="23 utterances cannot be dealt"):
        cross_validation(random_set(23, 0, True), folds)


def test_map_learned_elsewhere_by_hand():
    learn = labelled([[0, 0, 1, 1, 1]], [[SILENCE, SILENCE, AA, AA, B]])
    scored = labelled([[0, 1, 1, 5], [1]], [[SILENCE, AA, B, SILENCE], [B]])
    found = accuracy.score("units", scored, separate(scored, learn), accuracy.learn_units)
    # All: 0 and 1 map to SIL and AA, the unseen 5 to the commonest, the first of SIL and AA at two each: AA.
    assert found.accuracy("all") == pytest.approx(2 / 5)
    assert found.accuracy("speech") == pytest.approx(1 / 3)
    assert found.accuracy("speech_only") == pytest.approx(1 / 3)
    row = found.row()
    assert row["all"] == pytest.approx(0.4) and row["all_interval"][0] == 0.0 and row["all_interval"][1] == 0.5


def test_speech_only_learns_without_silence():
    # Unit 0 is mostly silence, and AA when it is speech.
    data = labelled([[0, 0, 0, 0]] * 4, [[SILENCE, SILENCE, SILENCE, AA]] * 4)
    found = accuracy.score("units", data, cross_validation(data, 2), accuracy.learn_units)
    assert [found.accuracy(part) for part in ("all", "speech", "speech_only")] == [0.75, 0.0, 1.0]


def test_units_without_meaning_do_not_beat_the_majority_class():
    data = random_set(60, 1, True)
    mixed = accuracy.shuffled(data, 0)
    assert [len(ids) for ids in mixed.ids] == [len(ids) for ids in data.ids]
    np.testing.assert_array_equal(np.sort(np.concatenate(mixed.ids)), np.sort(np.concatenate(data.ids)))
    splits = cross_validation(mixed, 5)
    majority = accuracy.score("majority", data, cross_validation(data, 5), accuracy.learn_majority)
    units = accuracy.score("units", data, cross_validation(data, 5), accuracy.learn_units)
    chance = accuracy.score("shuffled", mixed, splits, accuracy.learn_units)
    assert units.accuracy() == 1.0
    low, high = chance.minus(majority)["all_interval"]
    assert low <= 0 and high < 0.05
    assert units.minus(majority)["all_interval"][0] > 0.5


def test_context_maps_ignore_unlabelled_frames():
    data = random_set(10, 2, True).without_silence()
    assert any((row == UNLABELLED).any() for row in data.phones)
    found = accuracy.score("trigrams", data, separate(data, data), accuracy.learn_context(3))
    assert found.accuracy("all") == 1.0
