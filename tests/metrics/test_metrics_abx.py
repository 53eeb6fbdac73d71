"""ABX against hand-computed toys, a brute-force count, and its own file format."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from speechvq.alignment import Alignment
from speechvq.errors import InputError
from speechvq.metrics.abx import abx
from speechvq.metrics.abx_items import Item, read_items, triphones, write_items


def item(phone, speaker="s", context=("k", "t")):
    return Item("u", 0.0, 1.0, phone, *context, speaker)


def frames(*values):
    return np.array(values, float)[:, None]


def test_one_speaker_by_hand():
    # Two tokens of a, one of i. X = a0: its a is 2 away, its i 3: right. X = a1: its a is 2 away, its i 1: wrong.
    items = [item("a"), item("a"), item("i")]
    result = abx(items, [frames(0.0), frames(2.0), frames(3.0)], "euclidean")
    assert (result.within, result.within_triples) == (0.5, 2)
    assert (result.across, result.across_triples) == (None, 0)


def test_ties_count_half_and_other_contexts_do_not_mix():
    items = [item("a"), item("a"), item("i"), item("i", context=("p", "t"))]
    result = abx(items, [frames(5), frames(5), frames(5), frames(7)], "identity")
    assert (result.within, result.within_triples) == (0.5, 2)


def test_across_speakers_by_hand():
    # A and B of speaker s, X of speaker r: 1.0 is closer to a (0.0) than to i (3.0); 2.0 is closer to i.
    items = [item("a"), item("i"), item("a", "r"), item("a", "r")]
    result = abx(items, [frames(0), frames(3), frames(1), frames(2)], "euclidean")
    assert (result.across, result.across_triples) == (0.5, 2)
    assert result.within is None


def test_averages_over_contexts_then_speakers_then_pairs():
    # Pair (a, i): speaker s has contexts with errors 0 and 1, speaker r one with error 0: mean of 0.5 and 0. No pair (i, a).
    one, two = ("k", "t"), ("p", "t")
    items = [item("a", "s", one), item("a", "s", one), item("i", "s", one)]
    items += [item("a", "s", two), item("a", "s", two), item("i", "s", two)]
    items += [item("a", "r", one), item("a", "r", one), item("i", "r", one)]
    tokens = [frames(0), frames(1), frames(9), frames(0), frames(9), frames(4), frames(50), frames(51), frames(90)]
    assert abx(items, tokens, "euclidean").within == pytest.approx(0.25)


@pytest.mark.parametrize("distance", ["cosine", "euclidean", "identity"])
def test_agrees_with_counting_every_triple(distance):
    rng = np.random.default_rng(0)
    items = [item(rng.choice(["a", "i", "u"]), rng.choice(["s", "r", "q"]), ("k", "t")) for _ in range(40)]
    shape = 1 if distance == "identity" else 3
    tokens = [rng.integers(0, 3, (rng.integers(1, 5), shape)) + (0.0 if distance == "identity" else rng.random()) for _ in items]

    def between(x, y):
        if distance == "identity":
            return float(x[0] != y[0])
        if distance == "euclidean":
            return np.linalg.norm(x - y)
        return np.arccos(np.clip(x @ y / np.linalg.norm(x) / np.linalg.norm(y), -1, 1)) / np.pi

    def warped(x, y):
        # Best path by exhaustive recursion on (total, steps), the diagonal first among equals.
        cost = np.array([[between(p, q) for q in y] for p in x])
        table = {}
        for i, j in product(range(len(x)), range(len(y))):
            options = [table[p] for p in ((i - 1, j - 1), (i, j - 1), (i - 1, j)) if p in table] or [(0.0, 0)]
            total, steps = min(options, key=lambda option: option[0])
            table[i, j] = (total + cost[i, j], steps + 1)
        total, steps = table[len(x) - 1, len(y) - 1]
        return total / steps

    cells = {"within": {}, "across": {}}
    for (a, x), b in product(product(range(40), repeat=2), range(40)):
        ia, ix, ib = items[a], items[x], items[b]
        if a == x or ia.phone != ix.phone or ib.phone == ia.phone or ia.speaker != ib.speaker:
            continue
        near, far = warped(tokens[x], tokens[a]), warped(tokens[x], tokens[b])
        kind = "within" if ix.speaker == ia.speaker else "across"
        speakers = cells[kind].setdefault((ia.phone, ib.phone), {}).setdefault(ia.speaker, {})
        speakers.setdefault(ix.speaker, []).append(0.5 if abs(near - far) < 1e-12 else float(far < near))
    result = abx(items, tokens, distance, max_tokens=40)
    for kind, pairs in cells.items():
        by_speaker = [[[np.mean(cell) for cell in x.values()] for x in pair.values()] for pair in pairs.values()]
        expected = np.mean([np.mean([np.mean(x) for x in pair]) for pair in by_speaker])
        assert getattr(result, kind) == pytest.approx(expected, abs=2e-3 if distance == "cosine" else 1e-12)
        count = sum(len(cell) for pair in pairs.values() for x in pair.values() for cell in x.values())
        assert getattr(result, f"{kind}_triples") == count


def test_chance_is_half_and_separate_phones_are_perfect():
    rng = np.random.default_rng(1)
    items = [item(phone, speaker) for phone in "aiu" for speaker in "sr" for _ in range(10)]
    noise = [rng.normal(size=(4, 8)) for _ in items]
    assert abx(items, noise).within == pytest.approx(0.5, abs=0.06)
    apart = [n * 0.1 + 5 * np.eye(8)["aiu".index(i.phone)] for i, n in zip(items, noise, strict=True)]
    assert abx(items, apart).within == abx(items, apart).across == 0.0


def test_many_tokens_are_thinned():
    items = [item(phone) for phone in "ai" for _ in range(30)]
    assert abx(items, [frames(0)] * 60, max_tokens=4).within_triples == 2 * 4 * 3 * 4


def test_unknown_distance_is_refused():
    with pytest.raises(InputError, match="use cosine, euclidean, identity"):
        abx([], [], "manhattan")
    assert abx([], []).within is None


def test_items_from_phone_times_and_back(tmp_path):
    times = [(0, 0.1, "sil"), (0.1, 0.2, "K"), (0.2, 0.3, "AE1"), (0.3, 0.4, "t"), (0.4, 0.5, "S"), (0.7, 0.8, "IY0")]
    items = triphones({"s-1": Alignment(times)}, {"s-1": "s"})
    assert items == [Item("s-1", 0.1, 0.4, "AE", "K", "T", "s"), Item("s-1", 0.2, 0.5, "T", "AE", "S", "s")]
    write_items(tmp_path / "x.item", items)
    assert (tmp_path / "x.item").read_text().splitlines()[:2] == [
        "#file onset offset #phone prev-phone next-phone speaker", "s-1 0.1000 0.4000 AE K T s",
    ]  # fmt: skip
    assert read_items(tmp_path / "x.item") == items


def test_a_wrong_line_is_named(tmp_path):
    (tmp_path / "x.item").write_text("#file\ns-1 0.1 0.4 AE K T\n")
    with pytest.raises(InputError, match="line 2"):
        read_items(tmp_path / "x.item")
    with pytest.raises(InputError, match="cannot be read"):
        read_items(tmp_path / "absent.item")
