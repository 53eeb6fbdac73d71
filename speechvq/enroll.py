"""A new voice from half a minute of speech: one more speaker vector, and if asked the layers that read it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from speechvq.audio import apply_gain, gain_db, mu_law_encode, pad_to_hop
from speechvq.checkpoint import save_model
from speechvq.data import speech_span
from speechvq.errors import AudioError, InputError, ModelError
from speechvq.model import VQVAE, Voice
from speechvq.postfilter import long_term_spectrum

SHORTEST_SECONDS = 3.0
CROP_SECONDS = 0.5
SEED = 0


@dataclass(frozen=True)
class Stage:
    """A stretch of gradient descent.

    Args:
        steps: how many.
        batch_size: crops per step.
        learning_rate: of Adam, falling linearly to nothing.
        decode: score by the WaveNet's likelihood too, not by the log-mel frames alone.
        cost: of a step, in those of a spectral one, for an honest progress bar.
    """

    steps: int
    batch_size: int
    learning_rate: float
    decode: bool
    cost: float


# Log-mel frames place the voice in milliseconds a step; the WaveNet, far dearer, only refines it.
STAGES = (Stage(200, 4, 0.03, False, 1.0), Stage(24, 1, 0.01, True, 17.0))
# Of the conditioning layers' learning rate in the vector's: they are many, and know the other voices.
LAYERS_RATE = 0.03


def fit_voice(
    model: VQVAE,
    recordings: Sequence[np.ndarray],
    advance: Callable[[float], None] = lambda share: None,
    stages: Sequence[Stage] = STAGES,
    layers: bool = False,
) -> Voice:
    """Find the speaker vector under which the model best explains some speech, and measure its spectrum.

    The search begins at the known voice that explains it best. The same recordings give the same vector.

    Args:
        model: whose weights stay as they are, except with `layers`.
        recordings: [T] each, at the model's rate, any loudness.
        advance: is told the share of the work done so far, in [0, 1].
        stages: of the descent.
        layers: fit the model's conditioning layers too, in place: closer to this voice, at the others' cost.

    Returns:
        the voice.

    Raises:
        AudioError: less than three seconds of speech in all.
        ModelError: the model cannot guess log-mel frames, by which a voice is found.
    """
    if not model.config.train.spectral_weight:
        raise ModelError("this model was trained with train.spectral_weight 0, so it cannot find a new voice: train one with more")
    speech = _speech(recordings, model.config.sample_rate, model.hop_length)
    fitted = list(model.decoder.conditioner.parameters()) if layers else []
    frozen = [p for p in model.parameters() if p.requires_grad and not any(p is other for other in fitted)]
    for parameter in frozen:
        parameter.requires_grad_(False)
    try:
        crops = _Crops(model, speech)
        vector = nn.Parameter(_nearest(model, crops))
        total = sum(stage.steps * stage.cost for stage in stages)
        done = 0.0
        for stage in stages:
            for _ in _descend(model, crops, vector, fitted, stage):
                done += stage.cost
                advance(done / total)
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)
    with torch.no_grad():
        log_mel = model.log_mel(crops.wav)[0].numpy()
    return Voice(vector.detach().numpy().copy(), long_term_spectrum(log_mel))


def voice_loss(model: VQVAE, vector: np.ndarray, recording: np.ndarray) -> float:
    """How badly a voice explains a recording: mean absolute error of its log-mel frames.

    Args:
        model: that speaks.
        vector: [E] of the voice.
        recording: [T] at the model's rate.
    """
    crops = _Crops(model, _speech([recording], model.config.sample_rate, model.hop_length))
    with torch.no_grad():
        return _spectral(model, crops.quantized, crops.wav, torch.as_tensor(vector)[None]).item()


def enroll(model: VQVAE, name: str, voice: Voice, path: str | os.PathLike, source: Path | None = None) -> None:
    """Write a model directory that knows one more voice.

    Args:
        model: that the voice was fitted to.
        name: of the voice; without white space, and new.
        voice: from `fit_voice`.
        path: the model directory to write.
        source: directory of the model that it began as, whose card, phones and prior come along.

    Raises:
        InputError: the name is taken or cannot be one.
    """
    require_new_name(name, model.speakers)
    state = model.state_dict()
    for table, row in (("speaker.weight", voice.vector), ("spectrum", voice.spectrum)):
        state[table] = torch.cat([state[table], torch.as_tensor(row)[None]])
    save_model(path, VQVAE(model.config, [*model.speakers, name]), state, beside=source)


def require_new_name(name: str, taken: Sequence[str]) -> None:
    """Refuse a name that is taken or cannot stand in speakers.txt.

    Raises:
        InputError: it cannot be used.
    """
    if not name or len(name.split()) != 1 or name.strip() != name:
        raise InputError(f"'{name}' cannot be the name of a voice: take one word")
    if name in taken:
        raise InputError(f"there is a voice called '{name}' already: take another name")


class _Crops:
    """Levelled speech with its units' vectors, cut at random."""

    def __init__(self, model: VQVAE, speech: np.ndarray):
        self.hop = model.hop_length
        self.wav = torch.from_numpy(speech)[None]
        self.classes = torch.from_numpy(mu_law_encode(speech)).long()[None]
        with torch.no_grad():
            self.quantized = model.quantizer.decode(model.encode(self.wav[:, None]))
        self.frames = min(self.quantized.shape[-1], max(1, round(CROP_SECONDS * model.config.sample_rate / self.hop)))
        self.random = np.random.default_rng(SEED)

    def draw(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Vectors [B, D, n], waveform [B, n * hop] and classes [B, n * hop] of random crops."""
        starts = self.random.integers(0, self.quantized.shape[-1] - self.frames + 1, count)
        spans = [slice(at * self.hop, (at + self.frames) * self.hop) for at in starts]
        return (
            torch.cat([self.quantized[..., at : at + self.frames] for at in starts]),
            torch.cat([self.wav[:, span] for span in spans]),
            torch.cat([self.classes[:, span] for span in spans]),
        )


def _speech(recordings: Sequence[np.ndarray], sample_rate: int, hop_length: int) -> np.ndarray:
    parts = []
    for samples in recordings:
        samples = apply_gain(samples, gain_db(samples, sample_rate))
        start, end = speech_span(samples, sample_rate)
        parts.append(pad_to_hop(samples[start:end].astype(np.float32), hop_length))
    speech = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    seconds = len(speech) / sample_rate
    if seconds < SHORTEST_SECONDS or not speech.any():
        raise AudioError(
            f"these recordings hold {seconds:.1f} s of speech; a voice needs {SHORTEST_SECONDS:.0f} s, better half a minute"
        )
    return np.clip(speech, -1.0, 1.0)


def _nearest(model: VQVAE, crops: _Crops) -> Tensor:
    quantized, wav, _ = crops.draw(8)
    with torch.no_grad():
        losses = [_spectral(model, quantized, wav, vector[None]).item() for vector in model.speaker.weight]
    return model.speaker.weight[int(np.argmin(losses))].clone()


def _spectral(model: VQVAE, quantized: Tensor, wav: Tensor, vector: Tensor) -> Tensor:
    return model.spectral_loss(model.decoder.conditioner(quantized, vector.expand(len(wav), -1)), wav)


def _descend(model: VQVAE, crops: _Crops, vector: nn.Parameter, layers: list[nn.Parameter], stage: Stage) -> Iterator[None]:
    groups = [([vector], stage.learning_rate), (layers, LAYERS_RATE * stage.learning_rate)]
    optimizer = torch.optim.Adam([{"params": parameters, "lr": rate} for parameters, rate in groups if parameters])
    falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, stage.steps)
    for _ in range(stage.steps):
        quantized, wav, classes = crops.draw(stage.batch_size)
        frames = model.decoder.conditioner(quantized, vector[None].expand(len(wav), -1))
        loss = model.spectral_loss(frames, wav)
        if stage.decode:
            loss = loss + model.nll(classes, model.decoder.conditioner.gates(frames))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        falling.step()
        yield
