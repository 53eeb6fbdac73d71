"""A grafted model has the units of the one and the WaveNet of the other, which is told what it was told before."""

import copy
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import RATE, TINY

from speechvq.config import Config
from speechvq.config_tree import override
from speechvq.corpus import DataDir
from speechvq.data import pack
from speechvq.errors import ModelError
from speechvq.model import VQVAE

sys.path.insert(0, str(Path(__file__).parents[2] / "recipes"))

from graft import graft


def model(seed: int, *more: str) -> VQVAE:
    torch.manual_seed(seed)
    return VQVAE(
        override(Config(), [*(change for change in TINY if not change.startswith("train.")), *more]), ["high", "low"]
    ).eval()


@pytest.fixture(scope="module")
def packed(tiny_data, tmp_path_factory):
    return pack(DataDir(tiny_data / "train"), tmp_path_factory.mktemp("packed"), RATE)[0]


def test_the_wavenet_is_told_what_it_was_told(packed):
    source = model(0)
    other = copy.deepcopy(source)
    for name, parameter in other.named_parameters():
        if name.startswith("decoder.") and not name.startswith(
            ("decoder.conditioner.enter", "decoder.conditioner.stack")
        ):
            torch.nn.init.normal_(parameter)
    joined, explained = graft(other, source, packed)
    assert explained == pytest.approx(1.0, abs=1e-6)
    ids = source.encode(torch.from_numpy(packed.excerpt("low"))[None, None])
    told = [made.condition(ids, made.speaker_vector("low")[None]) for made in (source, joined)]
    assert told[0].std() > 0.01
    torch.testing.assert_close(told[1], told[0], atol=1e-4, rtol=1e-3)
    assert torch.equal(joined.decoder.output.weight, source.decoder.output.weight)


def test_units_and_voices_are_those_of_the_one(packed):
    units, wavenet = (
        model(1, "quantizer.codebook_size=32", "decoder.condition_channels=24"),
        model(2, "decoder.residual=12"),
    )
    joined, explained = graft(units, wavenet, packed)
    assert 0.0 < explained < 1.0
    wav = torch.randn(1, 1, 640) * 0.1
    assert torch.equal(joined.encode(wav), units.encode(wav))
    assert torch.equal(joined.speaker.weight, units.speaker.weight)
    assert torch.equal(joined.decoder.gate, wavenet.decoder.gate)
    assert joined.config.decoder == replace(wavenet.config.decoder, condition_channels=24)


def test_models_that_cannot_be_joined(packed):
    with pytest.raises(ModelError, match="one rate and hop length, not 16000 Hz and 64, 16000 Hz and 32"):
        graft(model(0), model(0, "encoder.strides=[2,2,2,2,2]"), packed)
    with pytest.raises(ModelError, match="packed at 16000 Hz, the models are of 8000 Hz"):
        graft(model(0, "sample_rate=8000"), model(0, "sample_rate=8000"), packed)
