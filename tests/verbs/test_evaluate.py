"""`speechvq evaluate units`, from files to tables, JSON and page."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest
import soundfile

from speechvq.alignment import Alignment, Interval
from speechvq.corpus import DataDir, Utterance, write_data_dir
from speechvq.errors import InputError, UnitsError
from speechvq.units import UnitsWriter
from speechvq.verbs import evaluate

RATE, HOP = 16000, 320
PHONES = ["sil", "AA1", "b", "S", "IY0", "spn"]


def run(*words):
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    return evaluate.run(parser.parse_args([str(word) for word in words]))


def make_corpus(folder, utterances, seed):
    """Tones, one pitch a phone, with phone times on the 20 ms grid and units that know the phone."""
    rng = np.random.default_rng(seed)
    described = []
    with UnitsWriter(folder / "units", 8, HOP, RATE) as writer:
        for index in range(utterances):
            utt = f"s{index % 3}-{seed}{index:03d}"
            phones = rng.integers(0, len(PHONES), 12)
            ids = np.repeat(phones, 4)
            pitch = 200 + 150 * np.repeat(phones, 4 * HOP)
            samples = 0.3 * np.sin(2 * np.pi * np.cumsum(pitch) / RATE) + 0.001 * rng.normal(size=len(pitch))
            soundfile.write(folder / f"{utt}.wav", samples.astype(np.float32), RATE)
            times = Alignment(Interval(0.08 * i, 0.08 * (i + 1), PHONES[p]) for i, p in enumerate(phones))
            described.append(Utterance(utt, utt.split("-")[0], folder / f"{utt}.wav", alignment=times))
            writer.add(utt, ids)
    write_data_dir(folder / "data", described)
    return folder / "units", folder / "data"


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    made = {}
    for seed, name in enumerate(("score", "map"), start=1):
        folder = tmp_path_factory.mktemp(name)
        made[name] = make_corpus(folder, 12, seed)
    return made


def test_separate_map_with_baseline_page_and_json(corpora, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    units, data = corpora["score"]
    map_units, map_data = corpora["map"]
    words = ["--units", units, "--data", data, "--map-units", map_units, "--map-data", map_data]
    assert run("units", *words, "--baseline-data", map_data, "-o", tmp_path / "out", "--json") == 0
    results = json.loads(capsys.readouterr().out)
    assert results == json.loads((tmp_path / "out" / "results.json").read_text())
    scores = {row["name"]: row for row in results["accuracy"]}
    assert scores["units"]["all"] == scores["units"]["speech_only"] == 1.0
    assert scores["majority class"]["all"] < 0.4
    assert scores["units shuffled"]["all"] < 0.5
    assert len(results["baseline_variants"]) == 8
    baseline = [row for name, row in scores.items() if name.startswith("MFCC")]
    # Tones are easy for MFCC, but 25 ms windows blur the boundaries.
    assert 0.7 < baseline[0]["all"] == max(row["all"] for row in results["baseline_variants"])
    assert results["map"]["utterances"] == results["scored"]["utterances"] == 12
    assert results["scored"]["frames"] == 12 * 48
    assert results["codebook"]["used"] == 6 and results["codebook"]["dead"] == 2
    assert results["clusters"]["pnmi"] == pytest.approx(1.0)
    assert results["boundaries"]["f1"] == 1.0
    assert results["units_per_second"] == 50
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.count("data:image/png") == 3 and "What each unit stands for" in page


def test_folds_print_the_protocol_and_what_not_to_quote(corpora, capsys):
    units, data = corpora["score"]
    assert run("units", "--units", units, "--data", data, "--folds", 3) == 0
    printed = capsys.readouterr().out
    assert "3 folds by utterance" in printed and "Not to be quoted" in printed and "39 ARPABET phones" in printed
    assert "units           100.0 % [100.0, 100.0]" in printed


def test_half_a_map_set_is_refused(corpora):
    units, data = corpora["score"]
    with pytest.raises(InputError, match="belong together"):
        run("units", "--units", units, "--data", data, "--map-units", units)


def test_data_without_phone_times_is_refused(corpora, tmp_path):
    units, data = corpora["score"]
    write_data_dir(tmp_path / "bare", [Utterance(u, u.split("-")[0], data.parent / f"{u}.wav") for u in DataDir(data).utterances])
    with pytest.raises(InputError, match="0 have phone times"):
        run("units", "--units", units, "--data", tmp_path / "bare")


def test_utterances_without_units_are_counted(corpora, tmp_path, capsys):
    units, data = corpora["score"]
    with UnitsWriter(tmp_path / "some", 8, HOP, RATE) as writer:
        for utt in DataDir(data).utterances[:7]:
            writer.add(utt, np.zeros(48, int))
    assert run("units", "--units", tmp_path / "some", "--data", data, "--json") == 0
    assert json.loads(capsys.readouterr().out)["scored"]["left_out"] == 5
    with pytest.raises(UnitsError):
        run("units", "--units", tmp_path / "none", "--data", data)
