"""The command line: help with examples, one-line errors, batches that go on."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import yaml
from tiny import RATE, voice

import speechvq
from speechvq.audio import info, read, write
from speechvq.cli import BROKEN_PIPE, VERBS, main
from speechvq.corpus import DataDir
from speechvq.units import UnitsDir


@pytest.fixture
def recording(tmp_path):
    write(tmp_path / "in" / "one.wav", voice(1, 0.4, 120.0), RATE)
    return tmp_path / "in" / "one.wav"


@pytest.fixture
def model(tiny_exp):
    return ["--model", str(tiny_exp / "best")]


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_an_example(verb, capsys):
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    assert f"speechvq {verb}" in capsys.readouterr().out.split("example:")[1]


@pytest.mark.parametrize("options", [["export", "--list"], ["info"]])
def test_a_reader_that_leaves_is_no_fault(options, tiny_exp):
    options = [*options, str(tiny_exp / "best")] if options == ["info"] else options
    process = subprocess.Popen([sys.executable, "-m", "speechvq", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert (process.wait(), process.stderr.read()) == (BROKEN_PIPE, "")
    process.stderr.close()


def test_public_names():
    assert set(speechvq.__all__) == {"Codec", "DataDir", "Prior", "Sampling", "Units", "UnitsDir", "__version__", "load"}
    assert all(getattr(speechvq, name) is not None for name in speechvq.__all__)


def test_convert_writes_a_file_as_long_as_its_source(recording, model, tmp_path):
    out = tmp_path / "out" / "low.flac"
    assert main(["convert", *model, "--speaker", "low", str(recording), "-o", str(out)]) == 0
    assert info(out).num_samples == info(recording).num_samples


def test_a_folder_with_a_broken_file_converts_the_rest(recording, model, tmp_path, capsys):
    write(recording.parent / "deep" / "two.wav", voice(2, 0.3, 150.0), RATE)
    (recording.parent / "bad.wav").write_bytes(b"junk")
    # A header says nothing of this one: the fault shows only when its samples are read.
    soundfile.write(recording.parent / "nan.wav", np.full(800, np.nan, np.float32), RATE, subtype="FLOAT")
    assert main(["convert", *model, "--speaker", "low", str(recording.parent), "-o", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert "2 of 4 failed" in error
    assert "bad.wav" in error
    assert "nan.wav" in error
    assert sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.wav")) == ["deep/two.wav", "one.wav"]


def test_a_list_names_voices_and_outputs(recording, model, tmp_path):
    rows = [("input", "speaker", "output"), (recording, "low", "a.wav"), (recording, "high", "b/c.wav")]
    with open(tmp_path / "list.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    assert main(["convert", *model, str(tmp_path / "list.csv"), "-o", str(tmp_path / "out")]) == 0
    one, other = read(tmp_path / "out" / "a.wav", RATE), read(tmp_path / "out" / "b" / "c.wav", RATE)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--speaker", "low", "missing.wav"], "missing.wav does not exist"),
        (["{recording}"], "--speaker"),
        (["--speaker", "nobody", "{recording}"], "high, low"),
        (["--speaker", "low", "{empty}"], "holds no audio files"),
        (["{empty}/x.csv"], "does not exist"),
        (["--speaker", "low", "{junk}"], "junk.wav"),
        (["--speaker", "low", "{recording}", "--temperature", "-1"], "temperature"),
        (["--speaker", "low", "{twins}"], "one.wav twice"),
        (["{latin}"], "CSV UTF-8"),
        (["--speaker", "low", "{recording}", "--model", "{empty}"], "no config.yaml"),
    ],
)
def test_what_cannot_be_converted_is_one_line(arguments, named, recording, model, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "junk.wav").write_bytes(b"junk")
    for suffix in (".wav", ".flac"):
        write(tmp_path / "twins" / f"one{suffix}", voice(1, 0.1, 120.0), RATE)
    (tmp_path / "latin.csv").write_bytes("input,speaker,output\né.wav,low,é.wav\n".encode("latin-1"))
    names = {"recording": recording, "empty": tmp_path / "empty", "junk": tmp_path / "junk.wav", "twins": tmp_path / "twins", "latin": tmp_path / "latin.csv"}
    arguments = [argument.format(**names) for argument in arguments]
    assert main(["convert", *model, *arguments, "-o", str(tmp_path / "out.wav")]) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("speechvq convert:")]
    assert len(error) == 1
    assert named in error[0]
    assert not (tmp_path / "out.wav").exists()


def test_a_table_from_a_spreadsheet(recording, model, tmp_path):
    (tmp_path / "list.csv").write_text(f"input,speaker,output\n{recording},low,out.wav\n", encoding="utf-8-sig")
    assert main(["convert", *model, str(tmp_path / "list.csv"), "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "out.wav").exists()


def test_all_faults_of_a_batch_are_told(recording, model, tmp_path, capsys):
    folder = recording.parent
    (folder / "header.wav").write_bytes(b"junk")
    write(folder / "inside.wav", voice(1, 0.4, 120.0), RATE)
    data = (folder / "inside.wav").read_bytes()
    (folder / "inside.wav").write_bytes(data[: len(data) // 2])
    recording.unlink()
    assert main(["convert", *model, str(folder), "--speaker", "low", "-o", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert "2 of 2 failed" in said and "header.wav" in said and "inside.wav" in said


def test_what_the_system_refuses_is_one_line(recording, model, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["convert", *model, str(recording), "--speaker", "low", "-o", str(tmp_path / "file" / "out.wav")]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("speechvq convert: ")
    assert main(["encode", *model, str(recording), "-o", str(recording.parent)]) == 2
    assert "holds other things" in capsys.readouterr().err and recording.exists()


def test_a_crash_is_not_taken_for_a_batch_with_faults(recording, model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("speechvq.codec.Codec.loudness", lambda *given: 1 / 0)
    assert main(["convert", *model, str(recording), "--speaker", "low", "-o", str(tmp_path / "o.wav")]) == 70
    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--threads", "0"], ["--seed", "-1"], ["--threads", "two"]])
def test_numbers_that_cannot_be(recording, model, tmp_path, options, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["convert", *model, str(recording), "--speaker", "low", "-o", str(tmp_path / "o.wav"), *options])
    assert stop.value.code == 2 and options[0] in capsys.readouterr().err


def test_units_go_out_and_come_back(tiny_data, model, tmp_path):
    assert main(["encode", *model, str(tiny_data / "dev"), "-o", str(tmp_path / "units")]) == 0
    units = UnitsDir(tmp_path / "units")
    assert [units.entry(utt).speaker for utt in units] == ["high", "low"]
    assert main(["decode", *model, str(tmp_path / "units"), "-o", str(tmp_path / "wav")]) == 0
    data = DataDir(tiny_data / "dev")
    for utt in data.utterances:
        assert info(tmp_path / "wav" / f"{utt}.wav").num_samples == len(data.audio(utt, RATE))


def test_a_recording_behind_a_shell_command_does_not_stop_the_others(tiny_data, model, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(tiny_data / "dev", data)
    first, *rest = (data / "wav.scp").read_text().splitlines()
    (data / "wav.scp").write_text("\n".join([f"{first.split()[0]} cat one.wav |", *rest]) + "\n")
    assert main(["encode", *model, str(data), "-o", str(tmp_path / "units")]) == 1
    assert "1 of 2 failed" in (error := capsys.readouterr().err)
    assert "is a shell command" in error
    assert list(UnitsDir(tmp_path / "units")) == [rest[0].split()[0]]


@pytest.mark.parametrize(("made_by", "code"), [("0123456789abcdef", 2), ("", 0)])
def test_units_of_another_model_are_not_spoken(recording, model, tmp_path, made_by, code, capsys):
    assert main(["encode", *model, str(recording), "-o", str(tmp_path / "units")]) == 0
    meta = tmp_path / "units" / "units.yaml"
    meta.write_text(yaml.safe_dump(yaml.safe_load(meta.read_text()) | {"model_hash": made_by}))
    assert main(["decode", *model, str(tmp_path / "units"), "--speaker", "low", "-o", str(tmp_path / "wav")]) == code
    assert ("encode with the same model" in capsys.readouterr().err) == bool(code)


def test_loose_files_are_filed_by_stem(recording, model, tmp_path, capsys):
    write(recording.parent / "deep" / "one.wav", voice(2, 0.3, 150.0), RATE)
    assert main(["encode", *model, str(recording), "-o", str(tmp_path / "units")]) == 0
    assert list(UnitsDir(tmp_path / "units")) == ["one"]
    assert main(["encode", *model, str(recording.parent), "-o", str(tmp_path / "units")]) == 2
    assert "two inputs are called 'one'" in capsys.readouterr().err
    assert list(UnitsDir(tmp_path / "units")) == ["one"], "the older directory stays"


def test_info_tells_the_three_kinds_apart(tiny_data, tiny_exp, model, tmp_path, capsys):
    main(["encode", *model, str(tiny_data / "dev"), "-o", str(tmp_path / "units")])
    kinds = {}
    for path in (tiny_exp / "best", tmp_path / "units", tiny_data / "dev"):
        capsys.readouterr()
        assert main(["info", "--json", str(path)]) == 0
        facts = json.loads(capsys.readouterr().out)
        kinds[facts["kind"]] = facts
    assert kinds["model"]["speakers"] == ["high", "low"]
    assert kinds["model"]["hash"] == kinds["units"]["model_hash"]
    assert kinds["units"]["utterances"] == kinds["data"]["utterances"] == 2
    assert main(["info", str(tmp_path)]) == 2
