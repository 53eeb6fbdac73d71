"""Small recipes answer input that cannot be used with one line and exit code 2."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from speechvq.config import load_config, save_config
from speechvq.units import UnitsWriter

RECIPES = Path(__file__).parents[2] / "recipes"


def refusal(name: str, *arguments: str | Path) -> str:
    """What a recipe complains of, in its one line."""
    done = subprocess.run([sys.executable, RECIPES / name, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_items_need_a_data_directory_with_phone_times(tiny_data, tmp_path):
    assert "nowhere" in refusal("abx_items.py", tmp_path / "nowhere", tmp_path / "out.item")
    assert "no phone times" in refusal("abx_items.py", tiny_data / "dev", tmp_path / "out.item")
    assert not (tmp_path / "out.item").exists()


def test_mfcc_units_need_data_directories(tiny_data, tmp_path):
    assert "nowhere" in refusal("mfcc_units.py", tmp_path / "nowhere", tiny_data / "dev", tmp_path / "units")
    assert not (tmp_path / "units").exists()


def test_mfcc_units_need_a_hop():
    wrong = [sys.executable, RECIPES / "mfcc_units.py", "train", "data", "units", "--hop-length", "0"]
    done = subprocess.run(wrong, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.endswith("--hop-length: 0 is not at least 1\n")


@pytest.mark.parametrize("lacking", ["log.jsonl", "best/speakers.txt"])
def test_a_report_needs_a_trained_model(tiny_data, tmp_path, lacking):
    if lacking != "log.jsonl":
        (tmp_path / "log.jsonl").write_text(json.dumps({"step": 1, "nll": 3.0}) + "\n")
    save_config(load_config("mini64"), tmp_path / "config.yaml")
    with UnitsWriter(tmp_path / "units" / "test", 16, 64, 16000) as writer:
        writer.add("low-dev0", np.zeros(4, int))
    assert lacking in refusal("report.py", "--exp", tmp_path, "--data", tiny_data / "dev", "-o", tmp_path / "report.html")
