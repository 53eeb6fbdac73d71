"""Training a prior over units, in steps that can be stopped and taken up again exactly."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from speechvq.checkpoint import save_prior
from speechvq.config import PriorConfig
from speechvq.nn.prior import UnitPrior, boundary, to_classes
from speechvq.optimizer import follow, learning_rate, make_optimizers, update
from speechvq.training_state import load_state, save_state
from speechvq.unit_crops import UnitCrops
from speechvq.units import UnitsDir


class PriorTrainer:
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
        self.config, self.train, self.dev, self.exp, self.device = config, train, dev, exp, device
        self.model = UnitPrior(config).to(device)
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.optimizers = make_optimizers(self.model, self.model.matrices, config.train.weight_decay)
        self.step, self.best = 0, math.inf

    def cost(self, step: int) -> float:
        """Work of a step: each the same."""
        return 1.0

    def run(self, report: Callable[[dict], None], advance: Callable[[float], None]) -> None:
        """Train to the end.

        Args:
            report: takes each log line.
            advance: takes the cost of each step made.
        """
        train = self.config.train
        began, units = time.perf_counter(), 0
        while self.step < train.steps:
            loss = self._update()
            self.step += 1
            advance(1.0)
            units += train.batch_size * train.crop_units
            if self.step % train.log_every == 0 or self.step == train.steps:
                speed = round(units / (time.perf_counter() - began))
                report({"step": self.step, "nll": loss, "learning_rate": learning_rate(train, self.step, self.step), "units_per_second": speed})
                began, units = time.perf_counter(), 0
            if self.step % train.validate_every == 0 or self.step == train.steps:
                self._checkpoint(report)
                began = time.perf_counter()

    def resume(self) -> None:
        """Take up where `trainer.pt` left off.

        Raises:
            ModelError: there is nothing to resume, or it was another prior.
        """
        state = load_state(self.exp / "trainer.pt", self._modules, self.optimizers, self.device)
        self.step, self.best = state["step"], state["best"]

    def _update(self) -> float:
        train = self.config.train
        self.model.train()
        # What dropout hides is drawn from the step alone, so that a resumed run hides the same.
        torch.manual_seed((train.seed << 32) + self.step)
        loss = self.model.loss(torch.from_numpy(self.train.batch(self.step, train.batch_size)).to(self.device))
        update(self.model, loss, self.optimizers, learning_rate(train, self.step, self.step), train.clip_norm)
        follow(self.average, self.model, train.average_decay, self.step)
        return loss.item()

    def _checkpoint(self, report: Callable[[dict], None]) -> None:
        nll = validate(self.average, self.dev)
        report({"step": self.step, "dev_nll": nll})
        save_prior(self.exp / "last", self.average)
        if nll < self.best:
            self.best = nll
            save_prior(self.exp / "best", self.average)
        save_state(self.exp / "trainer.pt", self._modules, self.optimizers, step=self.step, best=self.best)

    @property
    def _modules(self) -> dict[str, nn.Module]:
        return {"model": self.model, "average": self.average}


@torch.no_grad()
def validate(prior: UnitPrior, dev: UnitsDir) -> float:
    """Nats per unit over whole utterances, each after a boundary, their ends not counted."""
    K, device = dev.codebook_size, prior.gate.device
    total, count = 0.0, 0
    for utt in dev:
        classes = np.concatenate([[boundary(K)], to_classes(dev[utt].ids, K)])
        if len(classes) > 1:
            total += prior.loss(torch.from_numpy(classes)[None].to(device)).item() * (len(classes) - 1)
            count += len(classes) - 1
    return total / max(count, 1)


def frequencies_nll(train: UnitCrops, dev: UnitsDir) -> float:
    """Nats per unit of a table of how often each unit occurs in the training set, with one added to each: what any prior must beat."""
    K = dev.codebook_size
    counts = np.bincount(train.stream, minlength=K + 1) + 1.0
    counts[boundary(K)] = 0
    with np.errstate(divide="ignore"):
        surprise = -np.log(counts / counts.sum())
    classes = np.concatenate([to_classes(dev[utt].ids, K) for utt in dev])
    return float(surprise[classes].mean())
