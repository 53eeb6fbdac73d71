"""What a resumed run needs, in one file; and the log beside it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from torch import nn

from speechvq.errors import ModelError
from speechvq.files import atomic_file


def save_state(path: Path, modules: dict[str, nn.Module], optimizers: list[torch.optim.Optimizer], **more: object) -> None:
    """Write `trainer.pt`, atomically.

    Args:
        path: the file.
        modules: whose weights to keep, by name.
        optimizers: whose state to keep.
        more: numbers and tensors beside.
    """
    state = {name: module.state_dict() for name, module in modules.items()}
    state |= {"optimizers": [optimizer.state_dict() for optimizer in optimizers], **more}
    with atomic_file(path) as temporary:
        torch.save(state, temporary)


def load_state(path: Path, modules: dict[str, nn.Module], optimizers: list[torch.optim.Optimizer], device: torch.device) -> dict:
    """Read `trainer.pt` into modules and optimizers.

    Args:
        path: the file.
        modules: by the names they were saved under.
        optimizers: in the order they were saved in.
        device: where tensors go.

    Returns:
        everything that was saved.

    Raises:
        ModelError: there is nothing to resume, or it was of other sizes.
    """
    if not path.exists():
        raise ModelError(f"{path} does not exist: nothing to resume; leave out --resume to begin")
    state = torch.load(path, map_location=device, weights_only=True)
    try:
        for name, module in modules.items():
            module.load_state_dict(state[name])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
    except (KeyError, RuntimeError, ValueError):
        raise ModelError(f"{path} belongs to a model of other sizes or speakers: take its configuration, or another --exp") from None
    return state


def append_json_line(path: Path, line: dict) -> None:
    """Add one JSON object to a log; what is not a number becomes null."""
    clean = {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in line.items()}
    with open(path, "a", encoding="utf-8") as out:
        out.write(json.dumps(clean) + "\n")
