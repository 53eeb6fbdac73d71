"""Judging conversions whose faults are known: who is the target, what is parallel, what is missing."""

from __future__ import annotations

import csv
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import lfilter

from speechvq import audio
from speechvq.corpus import DataDir, Utterance, write_data_dir
from speechvq.errors import InputError
from speechvq.evaluate.conversion import evaluate_conversion
from speechvq.evaluate.conversion_files import Conversion, Parallel, find_conversions
from speechvq.evaluate.conversion_page import page, tables

RATE = 16000
PITCH = {"ann": 220.0, "bob": 110.0, "cat": 260.0}


def say(speaker, sentence):
    """A buzz through the speaker's resonance; the sentence moves pitch and level, the same for every speaker."""
    rng = np.random.default_rng(sentence)
    moves = np.repeat(rng.random(10), RATE // 5)
    hz = PITCH[speaker] * 2 ** ((moves - 0.5) / 3)
    buzz = (np.cumsum(hz) / RATE % 1 < 0.2).astype(float) - 0.2
    formant = 2 * np.pi * (600 + 2 * PITCH[speaker] + 800 * np.repeat(rng.random(10), RATE // 5).mean()) / RATE
    samples = lfilter([1], [1, -1.9 * np.cos(formant), 0.9025], buzz * (0.2 + np.roll(moves, 500))) * 0.05
    return (samples + 1e-4 * rng.normal(size=len(samples))).astype(np.float32)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voices")
    sets = {"train": range(0, 6), "test": range(6, 9)}
    for name, sentences in sets.items():
        described = []
        for speaker in PITCH:
            for sentence in sentences:
                utt = f"{speaker}-{sentence:02d}"
                audio.write(folder / "wav" / f"{utt}.wav", say(speaker, sentence), RATE)
                described.append(Utterance(utt, speaker, folder / "wav" / f"{utt}.wav", f"Sentence {'x' * sentence}!"))
        write_data_dir(folder / name, described)
    return folder


@pytest.fixture(scope="module")
def converted(corpus):
    # To bob: perfect conversions, the target's own speech; to cat: nothing was changed; and ann rebuilt.
    for sentence in range(6, 9):
        audio.write(corpus / "out" / "bob" / f"ann-{sentence:02d}.wav", say("bob", sentence), RATE)
        audio.write(corpus / "out" / "cat" / f"ann-{sentence:02d}.wav", say("ann", sentence), RATE)
        audio.write(corpus / "out" / "ann" / f"ann-{sentence:02d}.wav", say("ann", sentence), RATE)
    return corpus / "out"


@pytest.fixture(scope="module")
def results(corpus, converted):
    data, train = DataDir(corpus / "test"), DataDir(corpus / "train")
    found, faults = find_conversions(converted, data)
    assert not faults and len(found) == 9
    # A recogniser searches long for words in a buzz: tests/sphinx has it listen to speech.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pocketsphinx", None)
        return evaluate_conversion(found, data, train)


def test_perfect_and_idle_conversions_are_told_apart(results):
    pairs = {(row["source"], row["target"]): row for row in results["by_pair"]}
    perfect, idle = pairs["ann", "bob"], pairs["ann", "cat"]
    assert perfect["mcd"]["mean"] < 0.01 and idle["mcd"]["mean"] > 1
    assert idle["mcd"]["mean"] == pytest.approx(idle["mcd_source"]["mean"])
    assert perfect["mcd_source"]["mean"] > 3
    assert perfect["log_f0_rmse"]["mean"] < 0.01
    assert idle["log_f0_rmse"]["mean"] == pytest.approx(np.log(260 / 220), abs=0.1)
    # A few frames at the jumps of the pitch are octaves off.
    assert perfect["log_f0_correlation_with_source"]["mean"] > 0.5
    assert idle["log_f0_correlation_with_source"]["mean"] > 0.99
    assert perfect["target_chosen_of_all"]["mean"] == 1.0 and idle["target_chosen_of_all"]["mean"] == 0.0
    assert perfect["similarity_to_target"]["mean"] > perfect["similarity_to_source"]["mean"]
    assert idle["similarity_to_source"]["mean"] > idle["similarity_to_target"]["mean"]
    assert results["speaker_check_on_real"]["target_chosen_of_all"] == 1.0
    assert results["speaker_check_on_real"]["utterances"] == 9


def test_reconstructions_are_kept_apart(results):
    rebuilt = results["reconstructions"]
    assert rebuilt["files"] == 3 and results["conversions"]["files"] == 6
    assert "mcd_source" not in rebuilt and "stoi" not in results["conversions"]
    if "stoi" in rebuilt:
        assert rebuilt["stoi"]["mean"] == pytest.approx(1, abs=1e-3)
    if "pesq" in rebuilt:
        assert rebuilt["pesq"]["mean"] > 4.5


def test_pitch_of_targets(results):
    rows = {row["target"]: row for row in results["pitch"]}
    assert set(rows) == {"bob", "cat"}
    assert rows["bob"]["converted_semitones"] - rows["bob"]["target_semitones"] == pytest.approx(0, abs=0.1)
    assert rows["cat"]["converted_semitones"] - rows["cat"]["target_semitones"] == pytest.approx(12 * np.log2(220 / 260), abs=0.2)
    assert rows["bob"]["source_semitones"] - rows["bob"]["target_semitones"] == pytest.approx(12, abs=0.4)
    assert all(0.3 < row[f"{which}_voiced"] <= 1 for row in rows.values() for which in ("converted", "source", "target"))


def test_tables_and_page(results, corpus):
    printed = "\n".join(map(str, tables(results)))
    assert "ann to bob" in printed and "6 conversions" in printed and "3 reconstructions" in printed
    shown = results | {"files": results["files"][:2]}
    made = page(shown, DataDir(corpus / "test"), Parallel(DataDir(corpus / "test"))).html()
    # Of each: source, converted, and the real recording of the target.
    assert made.count("<audio") == 6


def test_missing_packages_cost_one_line_each(corpus, converted, monkeypatch):
    for name in ("pystoi", "pesq", "pocketsphinx"):
        monkeypatch.setitem(sys.modules, name, None)
    data = DataDir(corpus / "test")
    found, _ = find_conversions(converted, data)
    results = evaluate_conversion(found[:4], data)
    assert [line.split(":")[0] for line in results["missing"]] == ["no STOI", "no PESQ", "no speaker check", "no recogniser"]
    assert "pystoi is needed" in results["missing"][0] and "--train-data" in results["missing"][2]
    assert results["conversions"]["mcd"]["files"] == 1


def test_lists_name_files_or_utterances(corpus, converted, tmp_path):
    rows = [
        (corpus / "wav" / "ann-06.wav", "bob", "bob/ann-06.wav"),
        ("ann-07", "bob", "bob/ann-07.wav"),
        ("ann-08", "bob", "bob/absent.wav"),
        ("dan-01", "bob", "bob/ann-07.wav"),
    ]
    with open(tmp_path / "list.csv", "w", newline="") as file:
        csv.writer(file).writerows([("input", "speaker", "output"), *rows])
    found, faults = find_conversions(converted, DataDir(corpus / "test"), tmp_path / "list.csv")
    assert [(c.utt, c.source, c.target) for c in found] == [("ann-06", "ann", "bob"), ("ann-07", "ann", "bob")]
    assert len(faults) == 2 and "was not converted" in faults[0] and "'dan-01'" in faults[1]
    with pytest.raises(InputError, match="nothing to judge"):
        find_conversions(tmp_path, DataDir(corpus / "test"))


def test_unreadable_conversions_are_left_out(corpus, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    whole = corpus / "wav" / "bob-06.wav"
    data = DataDir(corpus / "test")
    results = evaluate_conversion(
        [Conversion(tmp_path / "broken.wav", "ann-06", "ann", "bob"), Conversion(whole, "ann-06", "ann", "bob")], data
    )
    assert results["conversions"]["files"] == 1 and "broken.wav" in results["faults"][0]


def with_broken(data, chosen, folder):
    """The same data directory, of which some recordings cannot be read any more."""
    broken = folder / "broken"
    broken.mkdir(parents=True)
    described = [data.utterance(utt) for utt in data.utterances]
    for utt in chosen:
        (broken / f"{utt}.wav").write_bytes(b"RIFF")
    write_data_dir(folder / "data", [replace(u, path=broken / f"{u.utt}.wav") if u.utt in chosen else u for u in described])
    return DataDir(folder / "data")


@pytest.mark.parametrize("all_of_bob", [False, True])
def test_unreadable_recordings_of_the_target_are_left_out(corpus, tmp_path, monkeypatch, all_of_bob):
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    broken = {name: [f"bob-{n:02d}" for n in numbers] for name, numbers in (("train", range(6)), ("test", range(6, 9)))}
    broken = broken if all_of_bob else {name: utts[:1] for name, utts in broken.items()}
    data, train = (with_broken(DataDir(corpus / name), broken[name], tmp_path / name) for name in ("test", "train"))
    conversions = [Conversion(corpus / "wav" / f"bob-{n:02d}.wav", f"ann-{n:02d}", "ann", "bob") for n in (6, 7)]
    results = evaluate_conversion(conversions, data, train)
    assert len(results["faults"]) == sum(map(len, broken.values()))
    assert all(any(f"{utt}.wav" in line for line in results["faults"]) for utts in broken.values() for utt in utts)
    voices, real = results["conversions"], results["speaker_check_on_real"]
    assert voices["files"] == 2 and voices["log_f0_correlation_with_source"]["files"] == 2
    assert ("mcd" in voices, len(results["pitch"]), real["utterances"]) == ((False, 0, 0) if all_of_bob else (True, 1, 2))
    assert all_of_bob or (voices["mcd"]["files"] == 1 and voices["target_chosen_of_all"]["mean"] == 1.0)
    assert tables(results)
