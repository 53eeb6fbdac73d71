"""A model that needs no training and speech that needs no speaker."""

from __future__ import annotations

import numpy as np
import torch

from speechvq.checkpoint import save_model
from speechvq.config import Config, DecoderConfig, EncoderConfig, QuantizerConfig
from speechvq.model import VQVAE


def make_model(path, speakers=("anna", "ben", "cleo"), seed=0):
    """A small untrained model: it makes noise, but the same noise every time."""
    torch.manual_seed(seed)
    decoder = DecoderConfig(layers=6, residual=8, skip=16, dilation_cycle=6, condition_channels=16, condition_layers=2, speaker_dim=4)
    config = Config(encoder=EncoderConfig(channels=16, layers=1, code_dim=8), quantizer=QuantizerConfig(codebook_size=32), decoder=decoder)
    save_model(path, VQVAE(config, list(speakers)))
    return path


def sweep(seconds: float, sample_rate: int = 16000, pitch: float = 120.0) -> np.ndarray:
    """A buzz whose pitch and vowel wander: speech enough for an encoder."""
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.2 * np.sin(2 * np.pi * 0.7 * t))) / sample_rate
    voice = sum(np.sin(k * phase) / (1 + abs(k - 5 - 4 * np.sin(4 * t))) for k in range(1, 16))
    return (0.2 * voice / np.abs(voice).max()).astype(np.float32)
