"""A model directory: config.yaml, model.safetensors, speakers.txt, and perhaps card.md. Never a pickle."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from speechvq.config import Config, from_dict, to_dict
from speechvq.errors import ModelError
from speechvq.files import atomic_dir
from speechvq.model import VQVAE

FORMAT = 1
DEFAULT_MODEL = Path(__file__).parent / "models" / "default"


def save_model(path: str | os.PathLike, model: VQVAE, state: dict[str, torch.Tensor] | None = None, half: bool = False) -> None:
    """Write a model directory, atomically.

    Args:
        path: the directory; an older one is replaced.
        model: whose configuration and speakers are written.
        state: the weights to write instead of the model's own, such as their moving average.
        half: store weights as float16.
    """
    state = model.state_dict() if state is None else state
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    if half:
        tensors = {name: value.half() if value.is_floating_point() else value for name, value in tensors.items()}
    with atomic_dir(path) as folder:
        # Its own save_file would make a file that only its owner may read.
        (folder / "model.safetensors").write_bytes(save(tensors))
        tree = {"format": FORMAT} | to_dict(model.config)
        (folder / "config.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
        (folder / "speakers.txt").write_text("".join(f"{name}\n" for name in model.speakers))


def load_model(path: str | os.PathLike) -> VQVAE:
    """Read a model directory, ready to evaluate.

    Args:
        path: the directory.

    Raises:
        ModelError: it is missing, incomplete, newer than this speechvq, or its files disagree.
    """
    path = Path(path)
    config, speakers = _read_config(path), _read_speakers(path)
    model = VQVAE(config, speakers)
    try:
        # Models of before voices' spectra were measured do without.
        state = {"spectrum": model.spectrum} | load_file(path / "model.safetensors")
        model.load_state_dict({name: value.float() if value.is_floating_point() else value for name, value in state.items()})
    except FileNotFoundError:
        raise ModelError(f"{path} has no model.safetensors: copy the whole model directory") from None
    except SafetensorError as error:
        raise ModelError(f"{path}/model.safetensors is damaged ({error}): copy it again") from None
    except RuntimeError as error:
        first = str(error).splitlines()[1:2] or [str(error)]
        raise ModelError(f"{path}: weights and config.yaml disagree: {first[0].strip()}") from None
    return model.eval()


def model_directory(path: str | os.PathLike | None) -> Path:
    """The directory named, or that of the model that ships.

    Raises:
        ModelError: none was named and none ships with this installation.
    """
    if path is not None:
        return Path(path)
    if not (DEFAULT_MODEL / "config.yaml").exists():
        raise ModelError("this installation ships no model: name one with --model DIR")
    return DEFAULT_MODEL


def model_hash(path: str | os.PathLike) -> str:
    """A short hash of the weights, by which units and priors name the model that made them."""
    digest = hashlib.sha256()
    with open(Path(path) / "model.safetensors", "rb") as weights:
        while block := weights.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:16]


def _read_config(path: Path) -> Config:
    try:
        tree = yaml.safe_load((path / "config.yaml").read_text())
    except FileNotFoundError:
        raise ModelError(f"{path} is not a model directory (no config.yaml): train one with 'speechvq train'") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}/config.yaml is not YAML: {error}") from None
    version = tree.pop("format", None) if isinstance(tree, dict) else None
    if version != FORMAT:
        raise ModelError(f"{path} has model format {version}; this speechvq reads {FORMAT}: update speechvq")
    if tree.get("kind") != "vqvae":
        raise ModelError(f"{path} holds a model of kind '{tree.get('kind')}'; a vqvae is needed here")
    return from_dict(Config, tree, f"{path}/config.yaml")


def _read_speakers(path: Path) -> list[str]:
    try:
        speakers = (path / "speakers.txt").read_text(encoding="utf-8").split()
    except FileNotFoundError:
        raise ModelError(f"{path} has no speakers.txt: copy the whole model directory") from None
    if not speakers:
        raise ModelError(f"{path}/speakers.txt names no speaker")
    return speakers
