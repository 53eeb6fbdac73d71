"""The loop of every training: steps, log lines, checkpoints, and a state from which it goes on exactly."""

from __future__ import annotations

import copy
import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from speechvq.config import Config, PriorConfig
from speechvq.errors import ModelError
from speechvq.files import atomic_file
from speechvq.optimizer import follow, learning_rate, make_optimizers, update

Report = Callable[[dict], None]


class Training(ABC):
    """A model, the moving average of its weights, its optimizers, and how far it has come.

    Subclasses say what a step learns from, what it logs, and what a checkpoint holds.

    Args:
        config: of the model and its training.
        model: to train; it has `matrices`, those of its parameters that Muon trains.
        exp: folder of the experiment, where `trainer.pt` goes.
        device: to train on.
    """

    def __init__(self, config: Config | PriorConfig, model: nn.Module, exp: Path, device: torch.device):
        self.config, self.model, self.exp, self.device = config, model, exp, device
        self.average = copy.deepcopy(model).eval().requires_grad_(False)
        self.optimizers = make_optimizers(model, model.matrices, config.train.weight_decay)
        self.step, self.best = 0, math.inf

    @abstractmethod
    def amount(self, step: int) -> int:
        """Samples or units that a step learns from, to tell its speed by."""

    @abstractmethod
    def _update(self) -> Any:
        """Make one step; returns its losses."""

    @abstractmethod
    def _log_line(self, losses: Any, per_second: float) -> dict:
        """What is logged of a step's losses."""

    @abstractmethod
    def _checkpoint(self, report: Report) -> None:
        """Validate and save."""

    def cost(self, step: int) -> float:
        """Work of a step, up to a constant, for an honest estimate of the time left."""
        return 1.0

    def run(self, report: Report, advance: Callable[[float], None]) -> None:
        """Train to the end.

        Args:
            report: takes each log line.
            advance: takes the cost of each step made.
        """
        train = self.config.train
        began, amount = time.perf_counter(), 0
        while self.step < train.steps:
            losses = self._update()
            self.step += 1
            advance(self.cost(self.step - 1))
            amount += self.amount(self.step - 1)
            if self.step % train.log_every == 0 or self.step == train.steps:
                report({"step": self.step} | self._log_line(losses, amount / (time.perf_counter() - began)))
                began, amount = time.perf_counter(), 0
            if self.step % train.validate_every == 0 or self.step == train.steps:
                self._checkpoint(report)
                began, amount = time.perf_counter(), 0

    def resume(self) -> None:
        """Take up where `trainer.pt` left off.

        Raises:
            ModelError: there is nothing to resume, or it was of other sizes.
        """
        path = self.exp / "trainer.pt"
        if not path.exists():
            raise ModelError(f"{path} does not exist: nothing to resume; leave out --resume to begin")
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
        except Exception:  # of any kind: the reader takes the bytes as they come
            raise ModelError(f"{path} is damaged: begin anew in another --exp, from best/ with --init if it is there") from None
        try:
            self._set_state(state)
        except (KeyError, RuntimeError, ValueError):
            raise ModelError(f"{path} belongs to a model of other sizes or speakers: take its configuration, or another --exp") from None

    def _state(self) -> dict:
        """All that a resumed run needs."""
        state = {"step": self.step, "best": self.best, "model": self.model.state_dict(), "average": self.average.state_dict()}
        return state | {"optimizers": [optimizer.state_dict() for optimizer in self.optimizers]}

    def _set_state(self, state: dict) -> None:
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step, self.best = state["step"], state["best"]

    def _save_state(self) -> None:
        with atomic_file(self.exp / "trainer.pt") as temporary:
            torch.save(self._state(), temporary)

    def _learning_rate(self) -> float:
        return learning_rate(self.config.train, self.step, self.step)

    def _descend(self, loss: Tensor) -> None:
        """Go down a loss, and let the average follow."""
        train = self.config.train
        update(self.model, loss, self.optimizers, self._learning_rate(), train.clip_norm)
        follow(self.average, self.model, train.average_decay, self.step)


def append_json_line(path: Path, line: dict) -> None:
    """Add one JSON object to a log; what is not a number becomes null."""
    clean = {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in line.items()}
    with open(path, "a", encoding="utf-8") as out:
        out.write(json.dumps(clean) + "\n")
