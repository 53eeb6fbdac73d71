"""The verbs export and import, as the command line calls them."""

import json
import sys

import numpy as np
import pytest

from speechvq.bench import export as bench_export
from speechvq.cli import build_parser, main
from speechvq.formats import FORMATS
from speechvq.units import UnitsDir, UnitsWriter


@pytest.fixture
def units(tmp_path):
    with UnitsWriter(tmp_path / "units", 8, 64, 16000, "abc") as writer:
        writer.add("s-a", np.array([1, 1, 2]), 150, -3.0, "s")
        writer.add("s-b", np.array([7]), 64, 0.0, "s")
    return tmp_path / "units"


def test_there_and_back(units, tmp_path, capsys):
    assert main(["export", str(units), "--format", "gslm", "-o", str(tmp_path / "out")]) == 0
    assert main(["import", str(tmp_path / "out"), "--format", "gslm", "-o", str(tmp_path / "back")]) == 0
    back, first = UnitsDir(tmp_path / "back"), UnitsDir(units)
    assert [back.entry(utt) for utt in back] == [first.entry(utt) for utt in first]
    assert [back[utt].ids.tolist() for utt in back] == [[1, 1, 2], [7]]
    assert capsys.readouterr() == ("", "")


def test_a_format_that_loses_repeats_says_so(units, tmp_path, capsys):
    assert main(["export", str(units), "--format", "gslm", "-o", str(tmp_path / "out"), "--dedup"]) == 0
    assert "will come back deduplicated" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "out"), "--format", "gslm", "-o", str(tmp_path / "back")]) == 0
    assert UnitsDir(tmp_path / "back")["s-a"].ids.tolist() == [1, 2]
    assert main(["export", str(units), "--format", "ctm", "-o", str(tmp_path / "ctm"), "--dedup"]) == 0
    assert capsys.readouterr().err == ""


def test_list_shows_an_example_of_each_format(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["export", "--list"])
    shown = capsys.readouterr().out
    assert stop.value.code == 0
    assert [line.split(":")[0] for line in shown.splitlines() if not line.startswith(" ")] == list(FORMATS)


def test_files_from_elsewhere(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "quantized.txt").write_text("a|1 2\n")
    command = ["import", str(tmp_path / "in"), "--format", "gslm", "-o", str(tmp_path / "back")]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "--codebook-size --hop-length --sample-rate must be given" in said and said.count("\n") == 1
    assert main([*command, "--codebook-size", "8", "--hop-length", "320", "--sample-rate", "8000"]) == 0
    assert UnitsDir(tmp_path / "back").hop_length == 320


@pytest.mark.parametrize(
    "wrong",
    [
        ["export", "missing", "--format", "npz", "-o", "out"],
        ["import", "missing", "--format", "npz", "-o", "out"],
        ["export", "units", "--format", "npz", "-o", "out", "--text", "missing"],
    ],
)
def test_bad_input_is_one_line(units, tmp_path, monkeypatch, capsys, wrong):
    monkeypatch.chdir(tmp_path)
    assert main(wrong) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_without_pyarrow_the_extra_is_named(units, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["export", str(units), "--format", "hf", "-o", str(tmp_path / "out")]) == 2
    assert "speechvq[export]" in capsys.readouterr().err


def test_help_names_the_formats():
    text = build_parser()._subparsers._group_actions[0].choices["export"].format_help()
    assert all(name in text.replace("\n", "").replace(" ", "") for name in FORMATS)


def test_bench_counts_every_format(tmp_path, capsys):
    import argparse

    parser = argparse.ArgumentParser()
    bench_export.add_arguments(parser)
    options = ["--formats", "npz", "textgrid", "--utterances", "200", "--units", "20", "--json", "--dir", str(tmp_path)]
    assert bench_export.run(parser.parse_args(options)) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["format"], row["utterances"]) for row in rows] == [("npz", 200), ("textgrid", 2)]
    assert all(row["export_seconds"] > 0 and row["import_peak_mib"] > 0 for row in rows)
    assert not list(tmp_path.iterdir())
