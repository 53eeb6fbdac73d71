"""Model directories: what goes in comes out, and faults are named."""

from __future__ import annotations

import shutil

import pytest
import torch
import yaml

from speechvq.checkpoint import load_model, save_model, units_hash
from speechvq.errors import InputError


@pytest.fixture
def copy(tiny_exp, tmp_path):
    return shutil.copytree(tiny_exp / "best", tmp_path / "model")


def test_a_model_survives_the_trip(tiny_exp, tmp_path):
    model = load_model(tiny_exp / "best")
    save_model(tmp_path / "again", model)
    again = load_model(tmp_path / "again")
    assert again.speakers == model.speakers == ["high", "low"]
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())


def test_half_precision_is_half_the_size(tiny_exp, tmp_path):
    model = load_model(tiny_exp / "best")
    save_model(tmp_path / "half", model, half=True)
    whole, half = ((path / "model.safetensors").stat().st_size for path in (tiny_exp / "best", tmp_path / "half"))
    assert half < 0.6 * whole
    close = [torch.allclose(value, model.state_dict()[name], atol=1e-2) for name, value in load_model(tmp_path / "half").state_dict().items()]
    assert all(close)


def test_the_hash_is_that_of_the_units(tiny_exp, tmp_path):
    model = load_model(tiny_exp / "best")
    first = units_hash(model)
    save_model(tmp_path / "half", model, half=True)
    assert units_hash(load_model(tmp_path / "half")) == first
    for names, same in ((("decoder.", "speaker.", "spectral.", "quantizer.counts"), True), (("encoder.",), False), (("quantizer.codebook",), False)):
        changed = load_model(tiny_exp / "best")
        for name, value in changed.state_dict().items():
            if name.startswith(names) and value.is_floating_point():
                value.add_(0.5)
        assert (units_hash(changed) == first) is same, names


def test_what_lies_beside_comes_along(tiny_exp, copy, tmp_path):
    (copy / "card.md").write_text("# tiny\n")
    (copy / "prior").mkdir()
    (copy / "prior" / "config.yaml").write_text("kind: prior\n")
    (copy / "notes.txt").write_text("mine\n")
    (copy / "prior" / "else").symlink_to("/")
    save_model(tmp_path / "again", load_model(copy), beside=copy)
    assert sorted(p.name for p in (tmp_path / "again").iterdir()) == ["card.md", "config.yaml", "model.safetensors", "prior", "speakers.txt"]
    assert (tmp_path / "again" / "prior" / "config.yaml").read_text() == "kind: prior\n"
    assert not (tmp_path / "again" / "prior" / "else").exists()
    save_model(copy, load_model(copy), beside=copy)
    assert (copy / "card.md").read_text() == "# tiny\n", "in its own place too"


def change(path, **values):
    tree = yaml.safe_load((path / "config.yaml").read_text()) | values
    (path / "config.yaml").write_text(yaml.safe_dump(tree))


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda path: (path / "config.yaml").unlink(), "no config.yaml"),
        (lambda path: (path / "model.safetensors").unlink(), "no model.safetensors"),
        (lambda path: (path / "speakers.txt").unlink(), "no speakers.txt"),
        (lambda path: (path / "speakers.txt").write_text(""), "names no speaker"),
        (lambda path: (path / "model.safetensors").write_bytes(b"junk" * 9), "damaged"),
        (lambda path: (path / "speakers.txt").write_text("a\nb\nc\n"), "disagree"),
        (lambda path: change(path, format=99), "format 99"),
        (lambda path: change(path, format=None), "folder best/ or last/"),
        (lambda path: change(path, kind="prior"), "kind 'prior'"),
        (lambda path: change(path, encoder={"chanels": 1}), "encoder.chanels"),
    ],
)
def test_faults_are_named(copy, spoil, named):
    spoil(copy)
    with pytest.raises(InputError, match=named):
        load_model(copy)
