"""An invented voice and a tiny configuration, for tests that need a model or audio."""

from __future__ import annotations

from pathlib import Path

import numpy as np

RATE = 16000
TINY = [
    "encoder.channels=16", "encoder.layers=2", "encoder.code_dim=8", "quantizer.codebook_size=16", "quantizer.jitter=0.3",
    "decoder.layers=4", "decoder.residual=8", "decoder.skip=8", "decoder.dilation_cycle=4",
    "decoder.condition_channels=16", "decoder.condition_layers=2", "decoder.speaker_dim=4",
    "train.steps=16", "train.quantize_from=3", "train.decoder_from=6", "train.batch_size=2",
    "train.encoder_batch_size=3", "train.crop_samples=1024", "train.log_every=4", "train.validate_every=8",
    "train.dev_crops=4", "train.warmup_steps=2",
]  # fmt: skip


def voice(seed: int, seconds: float, pitch: float) -> np.ndarray:
    """Something like speech: harmonics under a moving envelope, with pauses."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * pitch * t
    colour = 1 + np.sin(2 * np.pi * 3 * t + rng.uniform(0, 6))
    tone = sum(np.sin(k * phase) / k ** (0.5 + colour) for k in range(1, 12))
    return (0.1 * tone * (np.sin(2 * np.pi * 1.5 * t) > -0.5) + 0.001 * rng.standard_normal(len(t))).astype(np.float32)


def train_arguments(data: Path, exp: Path, *more: str) -> list[str]:
    """Arguments that train the tiny model."""
    changes = [part for change in TINY for part in ("--set", change)]
    return ["train", "vctk64", "--data", str(data / "train"), "--dev", str(data / "dev"), "--exp", str(exp), *changes, *more]
