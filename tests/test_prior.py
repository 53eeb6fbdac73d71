"""A prior against a Markov chain, whose likelihoods and statistics are known exactly."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file
from tiny import RATE, voice

from speechvq import prior_trainer
from speechvq.batch import torch_threads
from speechvq.checkpoint import DEFAULT_MODEL, load_model, load_prior, prior_of, units_hash
from speechvq.cli import main
from speechvq.errors import ModelError
from speechvq.nn.prior import boundary, to_classes
from speechvq.prior import PIECE, Prior
from speechvq.unit_crops import UnitCrops
from speechvq.units import UnitsDir, UnitsWriter

K = 6
# Each unit is followed by one of two, not equally often; none follows itself.
CHAIN = np.zeros((K, K))
CHAIN[np.arange(K), (np.arange(K) + 1) % K] = 0.8
CHAIN[np.arange(K), (np.arange(K) + 3) % K] = 0.2
SMALL = ["layers=4", "residual=16", "skip=16", "dilation_cycle=4", "dropout=0.0", "train.steps=200", "train.crop_units=64", "train.batch_size=8"]
SMALL += ["train.validate_every=100", "train.warmup_steps=5", "train.average_decay=0.9", "train.learning_rate=1e-2"]


def write_chain(path: Path, seed: int, utterances: int = 150, model_hash: str = "abc", codebook_size: int = K) -> None:
    rng = np.random.default_rng(seed)
    with UnitsWriter(path, codebook_size, 64, RATE, model_hash) as writer:
        for n in range(utterances):
            ids = [0]
            while len(ids) < 80:
                ids.append(rng.choice(K, p=CHAIN[ids[-1]]))
            writer.add(f"u{n:03d}", np.array(ids), speaker="s")


def train(root: Path, exp: str, *more: str) -> int:
    changes = [part for change in SMALL for part in ("--set", change)]
    folders = ["--data", str(root / "train"), "--dev", str(root / "dev"), "--exp", str(root / exp)]
    # So small a network gains nothing from a second thread, and loses much where other tests want the other core.
    with torch_threads(1):
        return main(["train", "prior", *folders, "--device", "cpu", *changes, *more])


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("prior")
    write_chain(root / "train", 0)
    write_chain(root / "dev", 1, 8)
    assert train(root, "exp") == 0
    return root


def exact(ids: np.ndarray) -> np.ndarray:
    return -np.log(CHAIN[ids[:-1], ids[1:]])


def test_it_learns_a_chain_to_its_entropy(root):
    prior, dev = Prior(root / "exp" / "best"), UnitsDir(root / "dev")
    ours, true = (np.concatenate([score(dev[u].ids)[-79:] for u in dev]) for score in (prior.score, exact))
    assert true.mean() <= ours.mean() < true.mean() + 0.03
    assert prior.score(dev["u000"].ids)[0] < 0.1, "every utterance begins with unit 0"


def test_scores_are_the_networks(root):
    dev = UnitsDir(root / "dev")
    ids = np.concatenate([dev[u].ids for u in dev])[: 2 * PIECE + 5]
    classes = torch.from_numpy(np.concatenate([[boundary(K)], to_classes(ids, K)]))[None]
    prior = load_prior(root / "exp" / "best")
    with torch.no_grad():
        log_probabilities = torch.log_softmax(prior(classes[:, :-1]).double(), -1)
    expected = -log_probabilities.gather(-1, classes[:, 1:, None])[0, :, 0].numpy()
    np.testing.assert_allclose(Prior(root / "exp" / "best").score(ids), expected, atol=1e-3)
    assert len(Prior(root / "exp" / "best").score(ids[:0])) == 0


def test_validation_in_pieces_is_that_of_the_whole(root, monkeypatch):
    prior, dev = load_prior(root / "exp" / "best"), UnitsDir(root / "dev")
    whole = prior_trainer.validate(prior, dev)
    assert whole == pytest.approx(np.concatenate([Prior(root / "exp" / "best").score(dev[u].ids) for u in dev]).mean(), abs=1e-4)
    for piece in (7, 79, 80):
        monkeypatch.setattr(prior_trainer, "PIECE", piece)
        assert prior_trainer.validate(prior, dev) == pytest.approx(whole, abs=1e-5)


def test_what_it_draws_has_the_chains_statistics(root):
    prior = Prior(root / "exp" / "best")
    rows = prior.generate(range(40), 300)
    counts = np.zeros((K, K))
    assert np.mean([row[0] == 0 for row in rows]) > 0.85
    for row in rows:
        np.add.at(counts, (row[:-1], row[1:]), 1)
    np.testing.assert_allclose(counts / counts.sum(1, keepdims=True), CHAIN, atol=0.08)
    assert 40 < np.mean([len(row) for row in rows]) < 200, "utterances end, of 80 units in the mean as those it heard"
    assert all(np.array_equal(a, b) for a, b in zip(rows, prior.generate(range(40), 300), strict=True))
    assert max(len(row) for row in prior.generate([0, 1], 7)) <= 7
    likeliest = prior.generate([3], 50, temperature=0.0)[0]
    np.testing.assert_array_equal(likeliest[:50], np.arange(len(likeliest)) % K)


def test_a_prompt_is_gone_on_from(root):
    prompt = np.array([4, 5, 0, 1, 2] * 20)[: PIECE + 9]
    for row in Prior(root / "exp" / "best").generate([0, 1], 150, 0.0, 1.0, prompt):
        np.testing.assert_array_equal(row[: len(prompt)], prompt)
        assert len(row) > len(prompt) and row[len(prompt)] == (prompt[-1] + 1) % K


def test_a_resumed_run_equals_an_uninterrupted_one(root, monkeypatch):
    changes = ["--set", "dropout=0.3", "--set", "train.steps=60", "--set", "train.validate_every=20"]
    assert train(root, "whole", *changes) == 0
    batch = UnitCrops.batch

    def stopped(crops: UnitCrops, step: int, size: int) -> np.ndarray:
        if step == 50:
            raise KeyboardInterrupt
        return batch(crops, step, size)

    with monkeypatch.context() as patch:
        patch.setattr(UnitCrops, "batch", stopped)
        assert train(root, "parts", *changes) == 130
    assert torch.load(root / "parts" / "trainer.pt", weights_only=True)["step"] == 40
    assert train(root, "parts", *changes) == 2, "an experiment is not begun anew by accident"
    assert train(root, "parts", *changes, "--resume") == 0
    whole, parts = (load_file(root / exp / "last" / "model.safetensors") for exp in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_crops(tmp_path):
    write_chain(tmp_path / "units", 0, 5)
    crops = UnitCrops(UnitsDir(tmp_path / "units"), 100, seed=3)
    batch = crops.batch(7, 64)
    assert batch.shape == (64, 101) and np.array_equal(batch, crops.batch(7, 64)) and not np.array_equal(batch, crops.batch(8, 64))
    assert (batch[::2, 0] == boundary(K)).all() and not (batch[1::2, 0] == boundary(K)).all()
    assert (crops.stream == boundary(K)).sum() == 6
    follows = set(zip(batch[:, :-1].ravel().tolist(), batch[:, 1:].ravel().tolist(), strict=True))
    first, last = boundary(K), to_classes(np.arange(K), K)
    chain = {(last[a], last[b]) for a, b in zip(*np.nonzero(CHAIN), strict=True)}
    assert follows <= chain | {(first, last[0])} | {(c, first) for c in last}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--set", "train.crop_units=100000"], "set train.crop_units lower"),
        (["--set", "dropout=1.5"], "below 1"),
        (["--set", "layers=0"], "at least 1 layer"),
        (["--init", "somewhere"], "--init is for models"),
    ],
)
def test_training_that_cannot_be_is_one_line(root, capsys, arguments, named):
    assert train(root, "never", *arguments) == 2
    assert named in capsys.readouterr().err


def test_units_of_another_model_are_refused(root, tiny_exp, tmp_path, capsys):
    write_chain(tmp_path / "other", 0, 3, "xyz")
    prior = Prior(root / "exp" / "best")
    prior.require(K, 64, RATE, "abc", "here")
    for kind in ((K, 64, RATE, "xyz"), (K + 1, 64, RATE, "abc"), (K, 128, RATE, "abc"), (K, 64, 8000, "abc")):
        with pytest.raises(ModelError, match="knows units of model abc .* but here has units of model"):
            prior.require(*kind, "here")
    assert main(["score", str(tmp_path / "other"), "--prior", str(root / "exp" / "best")]) == 2
    assert main(["score", str(tmp_path / "other"), "--model", str(tiny_exp / "best")]) == 2
    assert "name one with --prior" in capsys.readouterr().err
    assert main(["encode", "nothing.wav", "--model", str(root / "exp" / "best"), "-o", str(tmp_path / "u")]) == 2


def test_a_prior_goes_on_with_its_own_units_only(root, tmp_path, capsys):
    def train(units, steps):
        arguments = ["train", "prior", "--data", str(tmp_path / units), "--dev", str(tmp_path / units), "--exp", str(tmp_path / "exp")]
        sizes = ["layers=1", "residual=8", "skip=8", f"train.steps={steps}", "train.validate_every=1", "train.crop_units=16"]
        return main([*arguments, *(["--resume"] if steps > 1 else []), *(part for size in sizes for part in ("--set", size))])

    write_chain(tmp_path / "abc", 0, 3, "abc")
    write_chain(tmp_path / "xyz", 0, 3, "xyz")
    assert train("abc", 1) == 0
    before = (tmp_path / "exp" / "config.yaml").read_bytes()
    assert train("xyz", 2) == 2 and "began with units of model abc" in capsys.readouterr().err
    assert (tmp_path / "exp" / "config.yaml").read_bytes() == before
    assert train("abc", 2) == 0
    with UnitsWriter(tmp_path / "none", K, 64, RATE, "abc") as writer:
        writer.add("a", np.zeros(0, np.int64))
    assert main(["train", "prior", "--data", str(tmp_path / "abc"), "--dev", str(tmp_path / "none"), "--exp", str(tmp_path / "e")]) == 2
    assert "no units to validate on" in capsys.readouterr().err
    write_chain(tmp_path / "large", 0, 3, "abc", 65536)
    assert main(["train", "prior", "--data", str(tmp_path / "large"), "--dev", str(tmp_path / "large"), "--exp", str(tmp_path / "e")]) == 2
    assert "65535 codes" in capsys.readouterr().err


def test_nothing_scored_is_a_fault(root, tmp_path, capsys):
    (tmp_path / "junk.wav").write_bytes(b"junk")
    assert main(["score", str(tmp_path / "junk.wav")]) == 2
    assert "none of the 1 inputs could be scored" in capsys.readouterr().err


def test_info_describes_a_prior(root, capsys):
    assert main(["info", str(root / "exp" / "best"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["kind"], facts["model_hash"], facts["receptive_field"]) == ("prior", "abc", 16)


def test_score_prints_every_utterance_and_all(root, capsys):
    assert main(["score", str(root / "dev"), "--prior", str(root / "exp" / "best"), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert [row["utterance"] for row in scores["utterances"]] == list(UnitsDir(root / "dev"))
    mean = np.mean([row["nats_per_unit"] for row in scores["utterances"]])
    assert scores["nats_per_unit"] == pytest.approx(mean) and scores["units_per_second"] == 250
    assert main(["score", str(root / "dev"), "--prior", str(root / "exp" / "best")]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[0] == "all"


def test_the_model_that_ships_brings_a_prior_that_knows_its_units():
    prior = Prior(prior_of(DEFAULT_MODEL))
    prior.require(512, 64, RATE, units_hash(load_model(DEFAULT_MODEL)), "the model that ships")
    ids = prior.generate([0], 200, prompt=[1])[0]
    assert prior.score(ids).mean() < 4 < prior.score(np.random.default_rng(0).permutation(ids)).mean()


def test_speech_is_scored_and_drawn(tiny_exp, tmp_path, capsys):
    model = tiny_exp / "best"
    for n in range(4):
        soundfile.write(tmp_path / f"{n}.wav", voice(n, 2.0, 120), RATE)
    recordings = [str(tmp_path / f"{n}.wav") for n in range(4)]
    assert main(["encode", *recordings, "--model", str(model), "-o", str(tmp_path / "train")]) == 0
    assert main(["encode", recordings[0], "--model", str(model), "-o", str(tmp_path / "dev")]) == 0
    assert train(tmp_path, "exp", "--set", "train.steps=5") == 0
    with_prior = ["--model", str(model), "--prior", str(tmp_path / "exp" / "best")]
    capsys.readouterr()
    assert main(["score", recordings[1], str(tmp_path / "train"), *with_prior, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["utterances"]
    assert rows[0]["nats_per_unit"] == pytest.approx(rows[2]["nats_per_unit"]), "a recording scores as its units"
    speaker = (model / "speakers.txt").read_text().split()[0]
    options = ["--speaker", speaker, "--count", "3", "--seconds", "0.5", "-o", str(tmp_path / "out"), "--units", str(tmp_path / "drawn")]
    assert main(["generate", *with_prior, *options]) == 0
    drawn = UnitsDir(tmp_path / "drawn")
    assert len(drawn) == 3
    for utt in drawn:
        assert soundfile.info(tmp_path / "out" / f"{utt}.wav").frames == len(drawn[utt]) * drawn.hop_length <= 8000 + drawn.hop_length
    assert main(["generate", *with_prior, *options, "--prompt", recordings[0]]) == 2
    assert "allows" in capsys.readouterr().err
    assert main(["generate", *with_prior, *options, "--prompt", recordings[0], "--seconds", "3"]) == 0
    prompt = UnitsDir(tmp_path / "dev")["0"].ids
    drawn = UnitsDir(tmp_path / "drawn")
    assert all(np.array_equal(drawn[utt].ids[: len(prompt)], prompt) for utt in drawn)
