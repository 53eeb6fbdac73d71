"""Configuration: presets, inheritance, and errors that name the key."""

from __future__ import annotations

import pytest

from speechvq.config import Config, load_config, preset_names, save_config
from speechvq.config_tree import from_dict, override, to_dict
from speechvq.errors import ConfigError


@pytest.mark.parametrize(("name", "hop", "size"), [("vctk64", 64, 512), ("prior128", 128, 512), ("phoneme640", 640, 128)])
def test_presets_are_the_papers_models(name, hop, size):
    config = load_config(name)
    assert (config.hop_length, config.quantizer.codebook_size, config.quantizer.commitment_weight) == (hop, size, 0.25)


def test_every_preset_loads():
    for name in preset_names():
        load_config(name)


def test_a_file_holds_only_what_differs(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("preset: phoneme640\ntrain: {learning_rate: 1e-3}\n")
    config = load_config(path)
    assert config.hop_length == 640
    assert config.train.learning_rate == 1e-3
    assert config.train.crop_samples == load_config("phoneme640").train.crop_samples


def test_a_saved_configuration_is_the_same(tmp_path):
    config = override(Config(), ["encoder.strides=[4, 4, 4]", "train.seed=7"])
    save_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config
    assert from_dict(Config, to_dict(config), "here") == config


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("encoder: {chanels: 3}", "encoder.chanels"),
        ("encoder: {channels: three}", "encoder.channels"),
        ("encoder: {channels: true}", "encoder.channels"),
        ("encoder: {strides: 64}", "encoder.strides"),
        ("encoder: 3", "encoder"),
        ("train: {crop_samples: 5000}", "crop_samples"),
        ("quantizer: {update: magic}", "quantizer.update"),
        ("train: {steps: 0}", "steps"),
        ("train: {spectral_weight: 0}", "decoder_from"),
        ("train: {batch_size: 32}", "encoder_batch_size"),
        ("train: {learning_rate: .nan}", "learning_rate must be positive"),
        ("train: {clip_norm: .inf}", "clip_norm must be positive"),
        ("sample_rate: 0", "sample_rate must be positive"),
        ("preset: nothing", "nothing"),
        ("- a list", "key: value"),
        ("a: [", "YAML"),
    ],
)
def test_faults_are_named(tmp_path, text, named):
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=named.replace("[", r"\[")):
        load_config(path)


def test_a_missing_configuration_lists_the_presets():
    with pytest.raises(ConfigError, match="vctk64"):
        load_config("no-such-preset")


def test_an_override_without_equals_is_refused():
    with pytest.raises(ConfigError, match="section.key=value"):
        override(Config(), ["train.steps"])


def test_an_override_that_is_no_yaml_is_refused():
    with pytest.raises(ConfigError, match="strides=.* not YAML"):
        override(Config(), ["encoder.strides=[2,2"])
