"""What ships says the same as what was trained, in half the bytes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from speechvq.checkpoint import load_model, load_prior, prior_of, save_model, save_prior
from speechvq.config import PriorConfig
from speechvq.nn.prior import UnitPrior

SHIP = Path(__file__).parents[2] / "recipes" / "ship.py"


def ship(*arguments: str | Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, SHIP, *map(str, arguments)], capture_output=True, text=True)


def weights_size(path: Path) -> int:
    return (path / "model.safetensors").stat().st_size


def test_a_model_and_then_its_prior(tiny_exp, tmp_path):
    (tmp_path / "card.md").write_text("# A card\n")
    assert ship(tiny_exp / "best", tmp_path / "out", "--card", tmp_path / "card.md").returncode == 0
    shipped, trained = load_model(tmp_path / "out"), load_model(tiny_exp / "best")
    assert shipped.decoder.gate.detach().numpy() == pytest.approx(trained.decoder.gate.detach().numpy(), abs=1e-2)
    assert weights_size(tmp_path / "out") < 0.6 * weights_size(tiny_exp / "best")
    assert (tmp_path / "out" / "card.md").read_text() == "# A card\n"
    prior = UnitPrior(PriorConfig(codebook_size=16, layers=2, residual=8, skip=8))
    save_prior(tmp_path / "prior", prior)
    assert ship(tmp_path / "prior", tmp_path / "out" / "prior").returncode == 0
    torch.testing.assert_close(load_prior(prior_of(tmp_path / "out")).gate, prior.gate, atol=1e-2, rtol=1e-2)
    model = load_model(tiny_exp / "best")
    for changed, kept in (("decoder.gate", True), ("quantizer.codebook", False)):
        model.state_dict()[changed].add_(0.1)
        save_model(tmp_path / "later", model)
        assert ship(tmp_path / "later", tmp_path / "out", "--card", str(tmp_path / "card.md")).returncode == 0
        assert (tmp_path / "out" / "prior").exists() == kept
    assert load_model(tmp_path / "out").speakers == trained.speakers


def test_a_model_without_a_card_does_not_ship(tiny_exp, tmp_path):
    done = ship(tiny_exp / "best", tmp_path / "out")
    assert done.returncode == 2 and "--card" in done.stderr and not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--card", "--phones"])
def test_a_text_that_is_not_there_is_one_line(tiny_exp, tmp_path, option):
    (tmp_path / "card.md").write_text("# A card\n")
    done = ship(tiny_exp / "best", tmp_path / "out", "--card", tmp_path / "card.md", option, tmp_path / "absent")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "absent" in done.stderr
    assert not (tmp_path / "out").exists()
