"""Context maps on sequences whose meaning lies in the order of the units."""

from __future__ import annotations

import numpy as np

from speechvq.metrics import units
from speechvq.metrics.context import ContextMap


def test_order_one_is_the_majority_map():
    rng = np.random.default_rng(0)
    ids, phones = rng.integers(0, 8, 500), rng.integers(0, 5, 500)
    learned = ContextMap([ids], [phones], 1, 8, 5, strength=1e-6)
    expected = units.majority_map(units.unit_phone_counts(ids, phones, 8, 5))
    np.testing.assert_array_equal(learned.predict(ids), expected[ids])


def test_a_bigram_and_a_trigram_know_what_single_units_cannot():
    rng = np.random.default_rng(1)
    ids = rng.integers(0, 3, 3000)
    pairs = 3 * np.r_[0, ids[:-1]] + ids
    triples = 9 * np.r_[0, 0, ids[:-2]] + pairs
    accuracy = {}
    for order in (1, 2, 3):
        for name, phones in (("pairs", pairs), ("triples", triples)):
            learned = ContextMap([ids[:2000]], [phones[:2000]], order, 3, 27)
            accuracy[order, name] = (learned.predict(ids[2000:]) == phones[2000:])[2:].mean()
    assert accuracy[1, "pairs"] < 0.6 and accuracy[2, "triples"] < 0.6
    assert accuracy[2, "pairs"] == accuracy[3, "pairs"] == accuracy[3, "triples"] == 1.0


def test_unseen_contexts_fall_back_and_utterances_do_not_touch():
    learned = ContextMap([np.array([0, 1]), np.array([2, 1])], [np.array([0, 1]), np.array([2, 3])], 2, 4, 5, strength=0.1)
    np.testing.assert_array_equal(learned.predict(np.array([0, 1])), [0, 1])
    np.testing.assert_array_equal(learned.predict(np.array([2, 1])), [2, 3])
    # (1, 2) was only adjacent across utterances, so unit 2 alone decides; unit 3 was never seen: the commonest phone.
    np.testing.assert_array_equal(learned.predict(np.array([1, 2, 3])), [1, 2, 0])
    assert learned.predict(np.zeros(0, np.int64)).shape == (0,)


def test_rare_contexts_lean_on_the_shorter_one():
    ids = np.array([0, 1] * 50 + [2, 1])
    phones = np.array([0, 1] * 50 + [2, 3])
    assert ContextMap([ids], [phones], 2, 3, 4, strength=5).predict(np.array([2, 1]))[1] == 1
    assert ContextMap([ids], [phones], 2, 3, 4, strength=0.5).predict(np.array([2, 1]))[1] == 3


def test_the_start_of_an_utterance_is_a_context_of_its_own():
    # Unit 0 is phone 1 at the start, and phone 2 behind another unit 0.
    learned = ContextMap([np.array([0, 0])] * 9, [np.array([1, 2])] * 9, 2, 3, 3, strength=0.1)
    np.testing.assert_array_equal(learned.predict(np.array([0, 0, 0])), [1, 2, 2])
