"""The ablation table: rows are made once, and say what they differ by."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from speechvq.config import load_config
from speechvq.config_tree import override

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "recipes"))

import ablation  # noqa: E402

SCORES = {
    "accuracy": [
        {"name": "units", "all": 0.4, "all_interval": [0.35, 0.45], "speech": 0.3},
        {"name": "unit bigrams", "all": 0.41, "all_interval": [0.36, 0.46], "speech": 0.31},
    ],
    "codebook": {"perplexity": 80.4},
}


@pytest.fixture
def called(monkeypatch):
    calls = []

    def fake(*command):
        calls.append(list(map(str, command)))
        return json.dumps(SCORES)

    monkeypatch.setattr(ablation, "speechvq", fake)
    return calls


def run(tmp_path, monkeypatch, *options):
    rows = tmp_path / "rows.yaml"
    rows.write_text("preset: mini64\nset: {train.steps: 5}\nrows:\n  plain:\n  jitter: {quantizer.jitter: 0.1, encoder.strides: [2, 4]}\n")
    folders = [part for name in ("train", "dev", "test") for part in (f"--{name}", str(tmp_path / name))]
    monkeypatch.setattr(sys, "argv", ["ablation.py", str(rows), *folders, "--exp", str(tmp_path / "exp"), *options])
    return ablation.main()


def test_rows_are_made_once_and_tabled(tmp_path, monkeypatch, called, capsys):
    assert run(tmp_path, monkeypatch, "--only", "jitter") == 0
    assert "plain" not in capsys.readouterr().out
    train = called[0]
    assert train[0] == "train" and train[1] == "mini64" and "encoder.strides=[2, 4]" in train and "train.steps=5" in train
    assert "--resume" not in train
    assert run(tmp_path, monkeypatch) == 0
    assert [command[0] for command in called] == ["train", "encode", "evaluate"] * 2, "a finished row is not made again"
    table = capsys.readouterr().out.splitlines()
    assert table[2] == "| plain | nothing | 5 | 0 | 40.0 | 35.0 to 45.0 | 30.0 | 41.0 | 80 |"
    assert table[3].startswith("| jitter | `quantizer.jitter=0.1`, `encoder.strides=[2, 4]` | 5 |")


def test_a_stopped_row_is_taken_up(tmp_path, monkeypatch, called):
    (tmp_path / "exp" / "plain").mkdir(parents=True)
    (tmp_path / "exp" / "plain" / "trainer.pt").touch()
    (tmp_path / "exp" / "plain" / "seconds.txt").write_text("60.0\n")
    assert run(tmp_path, monkeypatch, "--only", "plain") == 0
    assert "--resume" in called[0]
    assert json.loads((tmp_path / "exp" / "plain" / "row.json").read_text())["minutes"] >= 1


def test_a_failing_row_does_not_stop_the_others(tmp_path, monkeypatch, called, capsys):
    works = ablation.speechvq

    def fails_for_plain(*command):
        if str(tmp_path / "exp" / "plain") in map(str, command):
            raise subprocess.CalledProcessError(2, ["python", "-m", "speechvq", *command])
        return works(*command)

    monkeypatch.setattr(ablation, "speechvq", fails_for_plain)
    assert run(tmp_path, monkeypatch) == 1
    told = capsys.readouterr()
    assert "row 'plain' failed in speechvq train, with exit code 2" in told.err
    assert "| jitter |" in told.out


def test_an_unknown_row_is_refused(tmp_path, monkeypatch, called, capsys):
    assert run(tmp_path, monkeypatch, "--only", "nope") == 2
    assert "it has: plain, jitter" in capsys.readouterr().err and not called


def test_the_rows_that_ship_are_configurations():
    plan = yaml.safe_load((ROOT / "egs" / "vctk" / "conf" / "ablation.yaml").read_text())
    assert len(plan["rows"]) >= 10
    for changes in plan["rows"].values():
        merged = {**plan["set"], **(changes or {})}
        config = override(load_config(plan["preset"]), [f"{key}={json.dumps(value)}" for key, value in merged.items()])
        assert config.train.decoder_from > config.train.steps
