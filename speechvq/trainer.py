"""Training a VQ-VAE, in steps that can be stopped and taken up again exactly."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from speechvq.audio import pad_to_hop
from speechvq.checkpoint import load_model, save_model
from speechvq.config import Config
from speechvq.data import Crops, Packed
from speechvq.errors import ConfigError, ModelError
from speechvq.model import VQVAE, Losses
from speechvq.nn.conv import count_parameters
from speechvq.nn.quantizer import perplexity
from speechvq.optimizer import learning_rate
from speechvq.postfilter import long_term_spectrum
from speechvq.training import Report, Training
from speechvq.validation import ToTensors, Validation, validate

KMEANS_VECTORS_PER_CODE = 64


class Trainer(Training):
    """Everything that changes while training, and the loop that changes it.

    Args:
        config: of the model and its training.
        train: crops to learn from.
        dev: crops to validate on.
        exp: folder of the experiment: `last/` and `best/` model directories, `trainer.pt`, `log.jsonl`.
        init: a model to start from, with its speakers' vectors where names agree.
        device: to train on.
    """

    def __init__(self, config: Config, train: Crops, dev: Crops, exp: Path, init: Path | None, device: torch.device):
        torch.manual_seed(config.train.seed)
        self.train, self.dev = train, dev
        model = VQVAE(config, train.packed.speakers).to(device)
        if init is not None:
            _start_from(model, load_model(init))
        self.fine_tuning = init is not None
        if config.train.hold_units:
            _hold_units(model, self.fine_tuning)
        if config.train.spectral_weight:
            model.spectrum.copy_(measure_voices(model, train.packed))
        super().__init__(config, model, exp, device)
        self.usage = torch.zeros(config.quantizer.codebook_size, dtype=torch.long, device=device)
        self.to_tensors = ToTensors(device)
        self.encoder_cost = count_parameters(model.encoder) / 16  # most of it runs at frame rate
        self.decoder_cost = count_parameters(model.decoder) - count_parameters(model.decoder.conditioner)

    def quantizes(self, step: int) -> bool:
        """Whether the codebook is in place at a step."""
        return self.fine_tuning or step >= self.config.train.quantize_from

    def decodes(self, step: int) -> bool:
        """Whether the WaveNet takes part in a step."""
        return self.fine_tuning or step >= self.config.train.decoder_from

    def heard(self, step: int) -> int:
        """Crops that the WaveNet learns from in a step."""
        return self.config.train.batch_size if self.decodes(step) else 0

    def cost(self, step: int) -> float:
        """Work of a step, in multiply-adds up to a constant, for an honest estimate of the time left."""
        return self.config.train.encoder_batch_size * self.encoder_cost + self.heard(step) * self.decoder_cost

    def amount(self, step: int) -> int:
        """Samples that a step learns from: those that the WaveNet hears, once it does."""
        return self.config.train.crop_samples * (self.heard(step) or self.config.train.encoder_batch_size)

    def _update(self) -> Losses:
        train = self.config.train
        if self.step == train.quantize_from and not self.fine_tuning:
            self._initialise_codebook()
        self.model.train()
        if train.hold_units:
            self.model.quantizer.eval()
        wav, classes, speaker = self.to_tensors(self.train.batch(self.step, train.encoder_batch_size))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            losses = self.model(wav, classes, speaker, self.quantizes(self.step), self.heard(self.step))
        self._descend(losses.total)
        if losses.ids is not None:
            self.usage += torch.bincount(losses.ids.reshape(-1), minlength=len(self.usage))
        return losses

    def _learning_rate(self) -> float:
        since = self.step - (self.config.train.decoder_from if self.decodes(self.step) and not self.fine_tuning else 0)
        return learning_rate(self.config.train, self.step, since)

    @torch.no_grad()
    def _initialise_codebook(self) -> None:
        self.model.eval()
        wanted = KMEANS_VECTORS_PER_CODE * self.config.quantizer.codebook_size
        vectors: list[Tensor] = []
        step = self.step
        while sum(map(len, vectors)) < wanted:
            wav, _, _ = self.to_tensors(self.train.batch(step, self.config.train.encoder_batch_size))
            vectors.append(self.model.encoder(wav[:, None]).transpose(1, 2).flatten(0, 1))
            step += 1
        self.model.quantizer.initialise(torch.cat(vectors))

    def _log_line(self, losses: Losses, samples_per_second: float) -> dict:
        line = {
            "loss": losses.total.item(),
            "nll": losses.nll.item() if losses.nll is not None else None,
            "commitment": losses.commitment.item(),
            "spectral": losses.spectral.item(),
            "perplexity": perplexity(self.usage.float()).item() if losses.ids is not None else None,
            "learning_rate": self._learning_rate(),
            "samples_per_second": round(samples_per_second),
        }
        self.usage.zero_()
        return line

    def _checkpoint(self, report: Report) -> None:
        quantize, decode = self.quantizes(self.step - 1), self.decodes(self.step - 1)
        scores: Validation = validate(self.average, self.dev, self.config.train.dev_crops, quantize, decode)
        report({"step": self.step} | {f"dev_{name}": value for name, value in asdict(scores).items()} | {"dev_bits": scores.bits})
        save_model(self.exp / "last", self.average)
        # Scores before the WaveNet joins are of another kind and never the best.
        if decode and quantize and scores.nll < self.best:
            self.best = scores.nll
            save_model(self.exp / "best", self.average)
        self._save_state()  # last, so that what is stopped between is done again

    def _state(self) -> dict:
        cuda = torch.cuda.get_rng_state() if self.device.type == "cuda" else None
        return super()._state() | {"fine_tuning": self.fine_tuning, "usage": self.usage, "rng": torch.get_rng_state(), "cuda_rng": cuda}

    def _set_state(self, state: dict) -> None:
        super()._set_state(state)
        self.fine_tuning, self.usage = state["fine_tuning"], state["usage"]
        torch.set_rng_state(state["rng"].cpu())
        if state["cuda_rng"] is not None:
            torch.cuda.set_rng_state(state["cuda_rng"].cpu())


@torch.no_grad()
def measure_voices(model: VQVAE, packed: Packed) -> Tensor:
    """Long-term spectrum of every speaker, [speakers, bands], from up to a minute of each."""
    rows = []
    for name in model.speakers:
        wav = torch.from_numpy(pad_to_hop(packed.excerpt(name), model.hop_length))[None]
        log_mel = model.log_mel(wav.to(model.spectrum.device))[0].cpu().numpy()
        rows.append(torch.from_numpy(long_term_spectrum(log_mel)))
    return torch.stack(rows)


def _hold_units(model: VQVAE, fine_tuning: bool) -> None:
    if not fine_tuning:
        raise ConfigError("train.hold_units keeps the units of a model: name it with --init")
    for part in (model.encoder, model.quantizer):
        part.requires_grad_(False)


def _start_from(model: VQVAE, init: VQVAE) -> None:
    state = init.state_dict()
    own = model.state_dict()
    vectors = own["speaker.weight"].clone()
    mean = state["speaker.weight"].mean(0)
    for row, name in enumerate(model.speakers):
        vectors[row] = init.speaker_vector(name) if name in init.speakers else mean
    state["speaker.weight"] = vectors
    state["spectrum"] = own["spectrum"]
    wrong = [name for name, value in own.items() if state.get(name) is None or state[name].shape != value.shape]
    if wrong:
        raise ModelError(f"--init holds a model of other sizes ({wrong[0]} differs): train with its configuration")
    model.load_state_dict(state)
