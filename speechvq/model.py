"""The VQ-VAE: encoder, quantizer and decoder together, and the loss that trains them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from speechvq.config import Config
from speechvq.errors import InputError
from speechvq.nn.encoder import LONGEST_FEATURE_HOP, Encoder
from speechvq.nn.features import LogMel
from speechvq.nn.quantizer import VectorQuantizer
from speechvq.nn.wavenet import CLASSES, WaveNetDecoder

SPECTRAL_BANDS = 40
LOUDNESS_SAMPLES = 512


@dataclass(frozen=True)
class Voice:
    """Somebody whom the decoder can speak as.

    Args:
        vector: [E], what the decoder is told.
        spectrum: [bands] mean log-mel of this voice's speech frames; NaN where it was never measured.
    """

    vector: np.ndarray
    spectrum: np.ndarray


@dataclass
class Losses:
    """The parts of a batch's loss, scalars all; `nll` is in nats per sample, None where the WaveNet was left out.

    Args:
        total: what is minimised.
        nll: of the decoder.
        commitment: of the quantizer, weighted.
        spectral: mean absolute error of the predicted log-mel frames.
        ids: [B, N], or None while the code is continuous.
    """

    total: Tensor
    nll: Tensor | None
    commitment: Tensor
    spectral: Tensor
    ids: Tensor | None


class VQVAE(nn.Module):
    """A speech VQ-VAE (van den Oord et al. 2017, arXiv 1711.00937).

    Beside the paper's loss, the conditioning network may predict the log-mel frame each
    unit covers. That costs little, teaches the encoder long before the WaveNet can, and
    keeps the codebook from collapsing; `train.spectral_weight: 0` turns it off.

    Args:
        config: sizes.
        speakers: names, in the order of the speaker vectors.
    """

    def __init__(self, config: Config, speakers: list[str]):
        super().__init__()
        self.config = config
        self.speakers = list(speakers)
        self.encoder = Encoder(config.encoder, config.sample_rate)
        self.quantizer = VectorQuantizer(config.quantizer, config.encoder.code_dim)
        self.decoder = WaveNetDecoder(config.decoder, config.encoder.code_dim, config.hop_length)
        self.speaker = nn.Embedding(len(speakers), config.decoder.speaker_dim)
        self.spectral = nn.Conv1d(config.decoder.condition_channels, SPECTRAL_BANDS * self.mel_frames, 1)
        # Of each speaker's speech frames, as log_mel has them; see postfilter.py.
        self.register_buffer("spectrum", torch.full((len(speakers), SPECTRAL_BANDS), torch.nan))

    @property
    def hop_length(self) -> int:
        """Samples per unit."""
        return self.config.hop_length

    @property
    def mel_frames(self) -> int:
        """Log-mel frames of a unit: the fewest that makes none longer than a feature's hop."""
        frames = -(-self.hop_length // LONGEST_FEATURE_HOP)
        while self.hop_length % frames:
            frames += 1
        return frames

    @cached_property
    def log_mel(self) -> LogMel:
        """What the spectral loss compares with; made when first asked for, since only training needs it."""
        made = LogMel(self.config.sample_rate, self.hop_length // self.mel_frames, SPECTRAL_BANDS)
        return made.to(self.spectral.weight.device)

    @torch.no_grad()
    def encode(self, wav: Tensor) -> Tensor:
        """Units of a batch.

        Args:
            wav: [B, 1, T] in [-1, 1]; T a multiple of the hop length.

        Returns:
            ids [B, N].
        """
        return self.quantizer.encode(self.encoder(wav))

    @torch.no_grad()
    def condition(self, ids: Tensor, speaker: Tensor) -> Tensor:
        """Conditioning of the decoder: ids [B, N] and speaker vectors [B, E] -> [B, L, 2R, N]."""
        return self.decoder.condition(self.quantizer.decode(ids), speaker)

    @torch.no_grad()
    def condition_and_guess(self, ids: Tensor, speaker: Tensor) -> tuple[Tensor, Tensor]:
        """The same, and the log-mel frames that it lets one expect: [B, N, as many as a unit has, bands]."""
        frames = self.decoder.conditioner(self.quantizer.decode(ids), speaker)
        return self.decoder.conditioner.gates(frames), self._guess(frames)

    def speaker_vector(self, name: str) -> Tensor:
        """The vector [E] of a known speaker.

        Raises:
            InputError: the model has no such speaker.
        """
        if name not in self.speakers:
            raise InputError(f"this model has no speaker '{name}'; it has: {', '.join(self.speakers)}")
        return self.speaker.weight[self.speakers.index(name)].detach()

    def voice(self, name: str) -> Voice:
        """A known speaker's voice.

        Raises:
            InputError: the model has no such speaker.
        """
        vector = self.speaker_vector(name)
        return Voice(vector.cpu().numpy(), self.spectrum[self.speakers.index(name)].cpu().numpy())

    @property
    def matrices(self) -> list[Tensor]:
        """The weights that Muon trains: the kernels of all convolutions but the guess's, and the WaveNet's matrices."""
        kernels = [m.weight for m in self.modules() if isinstance(m, nn.Conv1d) and m is not self.spectral]
        return [*kernels, *self.decoder.matrices]

    def decoder_weights(self) -> dict[str, np.ndarray]:
        """The decoder's weights for an engine, as numpy arrays."""
        return self.decoder.weights(self.hop_length)

    def forward(self, wav: Tensor, classes: Tensor, speaker: Tensor, quantize: bool = True, heard: int | None = None) -> Losses:
        """The loss of a batch of crops.

        Args:
            wav: [B, T] in [-1, 1].
            classes: [B, T], the same samples as mu-law classes.
            speaker: [B], which speaker vector each crop takes.
            quantize: put the codebook between encoder and decoder.
            heard: of how many crops, from the first, the WaveNet learns; None for all, 0 leaves it out.
        """
        z = self.encoder(wav[:, None])
        commitment, ids = z.new_zeros(()), None
        if quantize:
            output = self.quantizer(z)
            z, ids, commitment = output.quantized, output.ids, output.commitment
        frames = self.decoder.conditioner(z, self.speaker(speaker))
        spectral = self.spectral_loss(frames, wav)
        total = commitment + self.config.train.spectral_weight * spectral
        nll = None
        if heard != 0:
            nll = self._heard_nll(wav[:heard], classes[:heard], self.decoder.conditioner.gates(frames[:heard]))
            total = total + nll
        return Losses(total, nll, commitment, spectral, ids)

    def nll(self, classes: Tensor, conditioning: Tensor) -> Tensor:
        """Mean negative log-likelihood of samples [B, T], in nats, given [B, L, 2R, N]."""
        return self._surprise(classes, classes, conditioning).mean()

    def _heard_nll(self, wav: Tensor, classes: Tensor, conditioning: Tensor) -> Tensor:
        train = self.config.train
        seen = noisy(classes, train.input_noise) if train.input_noise else classes
        surprise = self._surprise(seen, classes, conditioning)
        return (surprise * loudness_weights(wav, train.loudness_weight)).mean() if train.loudness_weight else surprise.mean()

    def _surprise(self, seen: Tensor, classes: Tensor, conditioning: Tensor) -> Tensor:
        """-log p of each sample [B, T], given those seen before it."""
        logits = self.decoder(seen, conditioning).transpose(1, 2)
        return F.cross_entropy(logits.reshape(-1, CLASSES).float(), classes.reshape(-1).long(), reduction="none").view_as(classes)

    def spectral_loss(self, frames: Tensor, wav: Tensor) -> Tensor:
        """Mean absolute error of the log-mel frames guessed from conditioning frames [B, C, N], for wav [B, T]."""
        target = self.log_mel(wav)
        return F.l1_loss(self._guess(frames).permute(0, 3, 1, 2).flatten(2), target)

    def _guess(self, frames: Tensor) -> Tensor:
        return self.spectral(frames).unflatten(1, (SPECTRAL_BANDS, -1)).permute(0, 3, 2, 1)


def loudness_weights(wav: Tensor, power: float) -> Tensor:
    """How much samples count [B, T]: 1 in the mean over a batch, more where it is loud.

    Args:
        wav: [B, T] in [-1, 1]; T a multiple of what a unit covers.
        power: of the root mean square over some 30 ms.
    """
    frames = F.avg_pool1d(wav.square(), LOUDNESS_SAMPLES, LOUDNESS_SAMPLES // 4, LOUDNESS_SAMPLES // 2)
    squares = F.interpolate(frames[:, None], wav.shape[1], mode="linear")[:, 0]
    weights = (squares + 1e-8).pow(power / 2)
    return weights / weights.mean()


def noisy(classes: Tensor, largest: float) -> Tensor:
    """Samples as a decoder might have drawn them: moved by Gaussian noise, of another deviation in each crop.

    Args:
        classes: [B, T] mu-law.
        largest: deviation, in classes.

    Source: Jin et al. 2018, "FFTNet" (injected noise, so that errors of drawing do not add up).
    """
    deviation = largest * torch.rand(len(classes), 1, device=classes.device)
    return (classes + (deviation * torch.randn(classes.shape, device=classes.device)).round().long()).clamp(0, CLASSES - 1)
