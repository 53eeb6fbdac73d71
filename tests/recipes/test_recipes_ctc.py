"""The recogniser of the recipes: reads exports, ignores padding, learns, and scores what it got wrong."""

import json

import numpy as np
import pytest
import torch
from spoken_units import K, export_language

import ctc  # isort: skip  (spoken_units puts the recipes on the path)
import recognise  # isort: skip


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("language")
    export_language(folder / "train", "kaldi-text", 120, 1)
    export_language(folder / "test", "kaldi-text", 40, 2)
    for name in ("train", "test"):
        out = folder / "inputs" / "units" / name
        out.parent.mkdir(parents=True, exist_ok=True)
        (folder / name / "out").rename(out)
        vectors = folder / "inputs" / "mfcc" / name
        vectors.mkdir(parents=True)
        units = ctc.read_examples(out)
        (vectors / "text").write_text((out / "text").read_text())
        np.savez(
            vectors / "features.npz",
            utts=np.array([utt.encode() for utt in units.utts]),
            offsets=np.cumsum([0, *map(len, units.inputs)]),
            features=np.concatenate([np.eye(K, dtype=np.float32)[ids] for ids in units.inputs]),
        )
    return folder / "inputs"


def test_both_kinds_of_input_are_read_alike(sets):
    units, vectors = ctc.read_examples(sets / "units" / "test"), ctc.read_examples(sets / "mfcc" / "test")
    assert (units.utts, units.texts, units.size) == (vectors.utts, vectors.texts, vectors.size)
    assert all((x == y.argmax(1)).all() for x, y in zip(units.inputs, vectors.inputs, strict=True))


def test_labels_are_words_or_characters():
    words = ctc.Labels(["one two", "two"], "words")
    assert words.names == ["", "one", "two"] and words.numbers("two one three") == [2, 1]
    characters = ctc.Labels(["ab a"], "characters")
    assert characters.names == ["", " ", "a", "b"] and characters.split("b a") == ["b", " ", "a"]


@pytest.mark.parametrize("vectors", [False, True])
def test_padding_changes_nothing(vectors):
    torch.manual_seed(0)
    model = ctc.Recogniser(K, vectors, 5, ctc.Budget(stride=3)).eval()
    rows = [np.random.default_rng(n).integers(0, K, n) for n in (31, 7, 1)]
    if vectors:
        rows = [np.eye(K, dtype=np.float32)[row] for row in rows]
    together, counts = model(*ctc._padded(rows))
    for row, scores, count in zip(rows, together, counts, strict=True):
        alone, _ = model(*ctc._padded([row]))
        assert count == -(-len(row) // 3) == alone.shape[1]
        torch.testing.assert_close(scores[:count], alone[0], atol=1e-5, rtol=0)


def test_masking_keeps_order_and_never_takes_all():
    rng = np.random.default_rng(0)
    for length in (1, 2, 9, 200):
        kept = ctc._masked(np.arange(length), 0.3, rng)
        assert len(kept) >= 0.7 * length - 1e-9 and (np.diff(kept) > 0).all()


def test_every_example_is_seen_once_an_epoch(sets):
    examples = ctc.read_examples(sets / "units" / "train")
    rows = [row for batch in ctc._batches(examples, 16, np.random.default_rng(0)) for row in batch]
    assert sorted(rows) == list(range(len(examples)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["units", "mfcc"])
def test_the_recogniser_learns(sets, kind):
    learned, held_out = (ctc.read_examples(sets / kind / name) for name in ("train", "test"))
    labels = ctc.Labels(learned.texts, "words")
    budget = ctc.Budget(epochs=15, batch=8, learning_rate=1e-2, width=32, stride=2, dropout=0.1, masked=0.0)
    found = ctc.recognise(ctc.train(learned, labels, budget, seed=0), held_out, labels)
    errors = recognise.errors_of(held_out, found, labels)
    assert sum(errors) < 0.2 * sum(len(text.split()) for text in held_out.texts)


def test_the_table_shows_every_input_and_nothing_is_trained_twice(sets, tmp_path, monkeypatch, capsys):
    options = ["--train", "test", "--test", "train", "test", "--epochs", "1", "--seeds", "2", "--stride", "2"]
    monkeypatch.setattr(
        "sys.argv",
        ["recognise", str(sets), "--names", "units", "mfcc", "--results", str(tmp_path / "results.json"), *options],
    )
    assert recognise.main() == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].startswith("| input | parameters | train: % wrong") and len(table) == 4
    assert table[2].startswith("| units |") and table[3].startswith("| mfcc |")
    results = json.loads((tmp_path / "results.json").read_text())
    scores = results["mfcc"]["sets"]["test"]
    assert np.array(scores["errors"]).shape == (2, len(scores["utts"])) == (2, 40)
    monkeypatch.setattr(recognise, "train", None)
    assert recognise.main() == 0


def test_the_same_seed_learns_the_same(sets):
    examples = ctc.read_examples(sets / "units" / "test")
    labels = ctc.Labels(examples.texts, "words")
    budget = ctc.Budget(epochs=1)
    first, second = (ctc.train(examples, labels, budget, seed=3) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_errors_and_rates_by_hand():
    examples = ctc.Examples(["a", "b"], [], ["one two", "two"], 2)
    labels = ctc.Labels(examples.texts, "words")
    assert recognise.errors_of(examples, [["one"], ["two", "one", "one"]], labels) == [1, 2]
    rate, means = recognise.rates({"errors": [[1, 2], [1, 0]], "labels": [2, 1]})
    assert rate == pytest.approx((1 + 1) / 3)
    assert means.min() == pytest.approx(1 / 2) and means.max() == pytest.approx(1 / 1)
