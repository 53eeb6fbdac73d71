"""Training a prior over units, in steps that can be stopped and taken up again exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from speechvq.checkpoint import save_prior
from speechvq.config import PriorConfig
from speechvq.errors import ModelError
from speechvq.nn.prior import UnitPrior, boundary, to_classes
from speechvq.training import Report, Training
from speechvq.unit_crops import UnitCrops
from speechvq.units import UnitsDir

# Units of an utterance that are validated at a time.
PIECE = 4096


class PriorTrainer(Training):
    """Everything that changes while training, and the loop that changes it.

    Args:
        config: of the prior and its training.
        train: crops to learn from.
        dev: units to validate on.
        exp: folder of the experiment: `last/` and `best/` directories of priors, `trainer.pt`.
        device: to train on.
    """

    def __init__(self, config: PriorConfig, train: UnitCrops, dev: UnitsDir, exp: Path, device: torch.device):
        torch.manual_seed(config.train.seed)
        super().__init__(config, UnitPrior(config).to(device), exp, device)
        self.train, self.dev = train, dev

    def amount(self, step: int) -> int:
        """Units that a step learns from."""
        return self.config.train.batch_size * self.config.train.crop_units

    def _update(self) -> float:
        train = self.config.train
        self.model.train()
        # What dropout hides is drawn from the step alone, so that a resumed run hides the same.
        torch.manual_seed((train.seed << 32) + self.step)
        loss = self.model.loss(torch.from_numpy(self.train.batch(self.step, train.batch_size)).to(self.device))
        self._descend(loss)
        return loss.item()

    def _log_line(self, losses: float, per_second: float) -> dict:
        return {"nll": losses, "learning_rate": self._learning_rate(), "units_per_second": round(per_second)}

    def _checkpoint(self, report: Report) -> None:
        nll = validate(self.average, self.dev)
        report({"step": self.step, "dev_nll": nll})
        save_prior(self.exp / "last", self.average)
        if nll < self.best:
            self.best = nll
            save_prior(self.exp / "best", self.average)
        self._save_state()

    def _state(self) -> dict:
        return super()._state() | {"model_hash": self.config.model_hash}

    def _set_state(self, state: dict) -> None:
        if state["model_hash"] != self.config.model_hash:
            raise ModelError(f"{self.exp} began with units of model {state['model_hash']}, these are of {self.config.model_hash}: take another --exp")
        super()._set_state(state)


@torch.no_grad()
def validate(prior: UnitPrior, dev: UnitsDir) -> float:
    """Nats per unit over whole utterances, each after a boundary, their ends not counted."""
    K, device = dev.codebook_size, prior.gate.device
    total, count = 0.0, 0
    for utt in dev:
        classes = torch.from_numpy(np.concatenate([[boundary(K)], to_classes(dev[utt].ids, K)])).to(device)
        for at in range(1, len(classes), PIECE):
            # A long utterance goes in pieces, each with as much before it as the network sees.
            first = max(0, at - prior.config.receptive_field)
            piece = classes[None, first : at + PIECE]
            logits = prior(piece[:, :-1])[0, at - 1 - first :]
            total += F.cross_entropy(logits, piece[0, at - first :], reduction="sum").item()
        count += len(classes) - 1
    return total / count


def frequencies_nll(train: UnitCrops, dev: UnitsDir) -> float:
    """Nats per unit of a table of how often each unit occurs in the training set, with one added to each: what any prior must beat."""
    K = dev.codebook_size
    counts = np.bincount(train.stream, minlength=K + 1) + 1.0
    counts[boundary(K)] = 0
    with np.errstate(divide="ignore"):
        surprise = -np.log(counts / counts.sum())
    classes = np.concatenate([to_classes(dev[utt].ids, K) for utt in dev])
    return float(surprise[classes].mean())
