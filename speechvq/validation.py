"""How good a model is on held-out speech, in the terms of its own loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from speechvq.data import Batch, Crops, mu_law_table
from speechvq.model import VQVAE
from speechvq.nn.quantizer import perplexity

BATCH = 8


@dataclass(frozen=True)
class Validation:
    """Scores over a dev set; likelihoods in nats per sample.

    Args:
        nll: with the right units.
        nll_other_units: with the units of another crop: equal to `nll` where the decoder does not listen.
        spectral: mean absolute error of the log-mel frames.
        perplexity: of the codebook over the whole set.
        used: codes used at least once.
    """

    nll: float
    nll_other_units: float
    spectral: float
    perplexity: float
    used: int

    @property
    def bits(self) -> float:
        """Bits per sample."""
        return self.nll / float(np.log(2.0))


class ToTensors:
    """Turn a batch of 16-bit crops into what the model takes.

    Args:
        device: where to put it.
    """

    def __init__(self, device: torch.device):
        self.device = device
        self.table = torch.from_numpy(mu_law_table()).to(device)

    def __call__(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """wav [B, T] in [-1, 1], classes [B, T], speaker [B]."""
        pcm = torch.from_numpy(batch.pcm).to(self.device)
        speaker = torch.from_numpy(batch.speaker).to(self.device)
        return pcm.float() / 32768, self.table[pcm.long() + 32768].long(), speaker


@torch.no_grad()
def validate(model: VQVAE, crops: Crops, count: int, quantize: bool = True, decode: bool = True) -> Validation:
    """Score a model on crops spread evenly over a corpus.

    Args:
        model: to score; left in evaluation mode.
        crops: of the dev set.
        count: how many crops.
        quantize: as in training.
        decode: score with the WaveNet; NaN otherwise.
    """
    model.eval()
    to_tensors = ToTensors(model.speaker.weight.device)
    fixed = crops.fixed(count)
    # Neighbours in the list are other speakers or other times; half the list away is another crop for every count > 1.
    other = np.roll(np.arange(count), count // 2)
    codes = _codes(model, to_tensors, fixed, quantize)
    spectral, right, wrong = [], [], []
    for start in range(0, count, BATCH):
        rows = slice(start, start + BATCH)
        wav, classes, speaker = to_tensors(Batch(fixed.pcm[rows], fixed.speaker[rows]))
        vector = model.speaker(speaker)
        frames = model.decoder.conditioner(codes[rows], vector)
        spectral.append(model.spectral_loss(frames, wav).item() * len(wav))
        if decode:
            right.append(model.nll(classes, model.decoder.conditioner.gates(frames)).item() * len(wav))
            wrong.append(model.nll(classes, model.decoder.condition(codes[other[rows]], vector)).item() * len(wav))
    counts = torch.bincount(model.quantizer.encode(codes).reshape(-1), minlength=model.config.quantizer.codebook_size)
    nan = float("nan")
    return Validation(
        nll=sum(right) / count if decode else nan,
        nll_other_units=sum(wrong) / count if decode else nan,
        spectral=sum(spectral) / count,
        perplexity=perplexity(counts).item(),
        used=int((counts > 0).sum()),
    )


def _codes(model: VQVAE, to_tensors: ToTensors, batch: Batch, quantize: bool) -> Tensor:
    codes = []
    for start in range(0, len(batch.pcm), BATCH):
        rows = slice(start, start + BATCH)
        z = model.encoder(to_tensors(Batch(batch.pcm[rows], batch.speaker[rows]))[0][:, None])
        codes.append(model.quantizer.decode(model.quantizer.encode(z)) if quantize else z)
    return torch.cat(codes)
