"""What tests of the model share: a tiny corpus, and a tiny model trained on it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

RATE = 16000
TINY = [
    "encoder.channels=16", "encoder.layers=2", "encoder.code_dim=8", "quantizer.codebook_size=16", "quantizer.jitter=0.3",
    "decoder.layers=4", "decoder.residual=8", "decoder.skip=8", "decoder.dilation_cycle=4",
    "decoder.condition_channels=16", "decoder.condition_layers=2", "decoder.speaker_dim=4",
    "train.steps=16", "train.quantize_from=3", "train.decoder_from=6", "train.batch_size=2",
    "train.warmup_batch_size=2", "train.crop_samples=1024", "train.log_every=4", "train.validate_every=8",
    "train.dev_crops=4", "train.warmup_steps=2",
]  # fmt: skip


@pytest.fixture(scope="session")
def corpora() -> Path:
    """Real speech, named by the environment."""
    path = os.environ.get("SPEECHVQ_CORPORA")
    if not path:
        pytest.skip("SPEECHVQ_CORPORA names no folder of real speech")
    return Path(path)


def voice(seed: int, seconds: float, pitch: float) -> np.ndarray:
    """Something like speech: harmonics under a moving envelope, with pauses."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * pitch * t
    colour = 1 + np.sin(2 * np.pi * 3 * t + rng.uniform(0, 6))
    tone = sum(np.sin(k * phase) / k ** (0.5 + colour) for k in range(1, 12))
    return (0.1 * tone * (np.sin(2 * np.pi * 1.5 * t) > -0.5) + 0.001 * rng.standard_normal(len(t))).astype(np.float32)


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory) -> Path:
    """A folder with data directories `train` and `dev` of two invented voices."""
    from speechvq.audio import write
    from speechvq.corpus import Utterance, write_data_dir

    folder = tmp_path_factory.mktemp("corpus")
    for part, count in (("train", 3), ("dev", 1)):
        utterances = []
        for speaker, pitch in (("low", 110.0), ("high", 210.0)):
            for number in range(count):
                utt = f"{speaker}-{part}{number}"
                write(folder / "wav" / f"{utt}.wav", voice(number, 1.5 + 0.1 * number, pitch), RATE)
                utterances.append(Utterance(utt, speaker, folder / "wav" / f"{utt}.wav"))
        write_data_dir(folder / part, utterances)
    return folder


@pytest.fixture(scope="session")
def tiny_exp(tiny_data, tmp_path_factory) -> Path:
    """An experiment folder in which a tiny model was trained."""
    from speechvq.cli import main

    exp = tmp_path_factory.mktemp("exp") / "tiny"
    assert main(train_arguments(tiny_data, exp)) == 0
    return exp


def train_arguments(data: Path, exp: Path, *more: str) -> list[str]:
    """Arguments that train the tiny model."""
    changes = [part for change in TINY for part in ("--set", change)]
    return ["train", "vctk64", "--data", str(data / "train"), "--dev", str(data / "dev"), "--exp", str(exp), *changes, *more]
