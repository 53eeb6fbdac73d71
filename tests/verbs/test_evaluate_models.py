"""`speechvq evaluate decoder` and `abx` with a model."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from speechvq.alignment import Alignment
from speechvq.audio import apply_gain, gain_db, mu_law_encode
from speechvq.checkpoint import load_model, save_model
from speechvq.cli import main
from speechvq.codec import Codec
from speechvq.corpus import DataDir, Utterance, write_data_dir
from speechvq.errors import InputError
from speechvq.evaluate.listening import evaluate_decoder
from speechvq.metrics.abx_items import Item, triphones, write_items


def test_likelihoods_are_the_models_own(tiny_exp, tiny_data):
    results = evaluate_decoder(Codec(tiny_exp / "best"), DataDir(tiny_data / "dev"))
    rows = {row["name"].split()[0]: row for row in results["nll"]}
    model, data = load_model(tiny_exp / "best"), DataDir(tiny_data / "dev")
    total, count = 0.0, 0
    for utt in data.utterances:
        samples = data.audio(utt)
        samples = apply_gain(samples, gain_db(samples))
        samples = samples[: len(samples) // model.hop_length * model.hop_length]
        classes = torch.from_numpy(mu_law_encode(samples).astype(np.int64))[None]
        speaker = torch.tensor([model.speakers.index(data.utt2spk[utt])])
        with torch.no_grad():
            nll = model(torch.from_numpy(samples)[None], classes, speaker).nll
        total, count = total + nll.item() * len(samples), count + len(samples)
    assert rows["its"]["nll"] == pytest.approx(total / count, abs=2e-3)
    assert rows["its"]["above_right"] == 0.0
    assert results["excerpts"] == len(data) and results["seconds"] == pytest.approx(count / 16000)
    assert rows["another"]["nll"] != rows["its"]["nll"] != rows["no"]["nll"]


def test_a_deaf_decoder_has_three_equal_rows(tiny_exp, tiny_data, tmp_path, capsys):
    model = load_model(tiny_exp / "best")
    with torch.no_grad():
        for parameter in model.decoder.conditioner.parameters():
            parameter.zero_()
    save_model(tmp_path / "deaf", model)
    words = ["evaluate", "decoder", "--model", str(tmp_path / "deaf"), "--data", str(tiny_data / "dev"), "--json"]
    assert main([*words, "-o", str(tmp_path / "page")]) == 0
    rows = json.loads(capsys.readouterr().out)["nll"]
    assert rows[0]["nll"] == pytest.approx(rows[1]["nll"]) == pytest.approx(rows[2]["nll"])
    assert "does not listen" in (tmp_path / "page" / "index.html").read_text()


def test_speakers_that_the_model_does_not_know_are_refused(tiny_exp, tiny_data, tmp_path):
    known = DataDir(tiny_data / "dev").utterance("low-dev0")
    write_data_dir(tmp_path / "data", [Utterance("new-1", "new", known.path)])
    with pytest.raises(InputError, match="fewer than two utterances"):
        evaluate_decoder(Codec(tiny_exp / "best"), DataDir(tmp_path / "data"))


def test_abx_of_units_vectors_and_mfcc(tiny_exp, tiny_data, tmp_path, capsys):
    units = tmp_path / "units"
    assert main(["encode", "--model", str(tiny_exp / "best"), str(tiny_data / "train"), "-o", str(units)]) == 0
    times = Alignment([(0.05 * i, 0.05 * (i + 1), ["K", "AA", "T", "K", "IY", "T"][i % 6]) for i in range(28)])
    data = DataDir(tiny_data / "train")
    items = triphones(dict.fromkeys(data.utterances, times), data.utt2spk)
    write_items(tmp_path / "items", [*items, Item("absent", 0, 1, "AA", "K", "T", "s")])
    capsys.readouterr()
    words = ["evaluate", "abx", "--units", units, "--items", tmp_path / "items", "--model", tiny_exp / "best"]
    assert main([str(word) for word in [*words, "--data", tiny_data / "train", "--json"]]) == 0
    results = json.loads(capsys.readouterr().out)
    assert results["items"] == results["items_used"] + 1 == len(items) + 1
    assert [(row["name"], row["distance"]) for row in results["abx"]] == [
        ("units", "identity"), ("unit vectors", "cosine"), ("unit vectors", "euclidean"), ("MFCC", "cosine"),
    ]  # fmt: skip
    for row in results["abx"]:
        assert 0 <= row["within"] <= 1 and 0 <= row["across"] <= 1 and row["triples"] == results["abx"][0]["triples"] > 0
    assert main([str(word) for word in words]) == 0
    assert "within speakers" in capsys.readouterr().out


def test_abx_of_other_utterances_is_refused(tiny_exp, tiny_data, tmp_path, capsys):
    main(["encode", "--model", str(tiny_exp / "best"), str(tiny_data / "dev"), "-o", str(tmp_path / "units")])
    write_items(tmp_path / "items", [Item("absent", 0, 1, "AA", "K", "T", "s")])
    assert main(["evaluate", "abx", "--units", str(tmp_path / "units"), "--items", str(tmp_path / "items")]) == 2
    assert "none of the 1 items has units" in capsys.readouterr().err
