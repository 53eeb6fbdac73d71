"""A model directory: config.yaml, model.safetensors, speakers.txt, and perhaps card.md. Never a pickle."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import TypeVar

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from speechvq.config import Config, PriorConfig
from speechvq.config_tree import from_dict, to_dict
from speechvq.errors import ModelError
from speechvq.files import atomic_dir
from speechvq.model import VQVAE
from speechvq.nn.prior import UnitPrior

FORMAT = 1
DEFAULT_MODEL = Path(__file__).parent / "models" / "default"
PRIOR = "prior"
WEIGHTS = "model.safetensors"
# What may lie in a model directory beside the model, and stays true as long as its units do.
BESIDE = ("card.md", "phones.json", f"{PRIOR}/config.yaml", f"{PRIOR}/{WEIGHTS}")

Module = TypeVar("Module", bound=nn.Module)


def save_model(
    path: str | os.PathLike, model: VQVAE, state: dict[str, torch.Tensor] | None = None, half: bool = False, beside: Path | None = None
) -> None:
    """Write a model directory, atomically.

    Args:
        path: the directory; an older one is replaced.
        model: whose configuration and speakers are written.
        state: the weights to write instead of the model's own, such as their moving average.
        half: store weights as float16.
        beside: a model directory of the same units, whose card, phones and prior come along.
    """
    with atomic_dir(path, WEIGHTS) as folder:
        _copy_beside(beside, folder)
        _write(folder, model.config, model.state_dict() if state is None else state, half)
        (folder / "speakers.txt").write_text("".join(f"{name}\n" for name in model.speakers))


def save_prior(path: str | os.PathLike, prior: UnitPrior, half: bool = False) -> None:
    """Write a prior's directory, atomically.

    Args:
        path: the directory; an older one is replaced.
        prior: whose configuration and weights are written.
        half: store weights as float16.
    """
    with atomic_dir(path, WEIGHTS) as folder:
        _write(folder, prior.config, prior.state_dict(), half)


def load_model(path: str | os.PathLike) -> VQVAE:
    """Read a model directory, ready to evaluate.

    Args:
        path: the directory.

    Raises:
        ModelError: it is missing, incomplete, newer than this speechvq, or its files disagree.
    """
    path = Path(path)
    config, speakers = _read_config(path, Config), _read_speakers(path)
    model = VQVAE(config, speakers)
    # Models of before voices' spectra were measured do without.
    return _load(path, model, {"spectrum": model.spectrum})


def load_prior(path: str | os.PathLike) -> UnitPrior:
    """Read a prior's directory, ready to evaluate.

    Args:
        path: the directory.

    Raises:
        ModelError: it is missing, incomplete, newer than this speechvq, or its files disagree.
    """
    path = Path(path)
    return _load(path, UnitPrior(_read_config(path, PriorConfig)), {})


def _copy_beside(source: Path | None, folder: Path) -> None:
    for name in BESIDE if source else ():
        # By name, file by file: what else lies there, or is linked to, is not ours to copy.
        if (source / name).is_file():
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(source / name, folder / name)


def _write(folder: Path, config: Config | PriorConfig, state: dict[str, torch.Tensor], half: bool) -> None:
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    if half:
        tensors = {name: value.half() if value.is_floating_point() else value for name, value in tensors.items()}
    # Its own save_file would make a file that only its owner may read.
    (folder / WEIGHTS).write_bytes(save(tensors))
    (folder / "config.yaml").write_text(yaml.safe_dump({"format": FORMAT} | to_dict(config), sort_keys=False))


def _load(path: Path, module: Module, default: dict[str, torch.Tensor]) -> Module:
    try:
        state = default | load_file(path / WEIGHTS)
        module.load_state_dict({name: value.float() if value.is_floating_point() else value for name, value in state.items()})
    except FileNotFoundError:
        raise ModelError(f"{path} has no model.safetensors: copy the whole model directory") from None
    except SafetensorError as error:
        raise ModelError(f"{path}/model.safetensors is damaged ({error}): copy it again") from None
    except RuntimeError as error:
        first = str(error).splitlines()[1:2] or [str(error)]
        raise ModelError(f"{path}: weights and config.yaml disagree: {first[0].strip()}") from None
    return module.eval()


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


def prior_of(model: Path) -> Path:
    """The prior that lies beside a model, in its folder `prior`.

    Raises:
        ModelError: there is none.
    """
    if not (model / PRIOR / "config.yaml").exists():
        raise ModelError(f"{model} has no prior: name one with --prior DIR, or train one with 'speechvq train prior'")
    return model / PRIOR


def units_hash(model: VQVAE) -> str:
    """A short hash of encoder and codebook, rounded as they ship, by which units and priors name the model that made them.

    Voices and the WaveNet may change, by enrolling or further training, and the units mean what they did.
    """
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        if name.startswith("encoder.") or name == "quantizer.codebook":
            digest.update(name.encode() + value.cpu().half().numpy().tobytes())
    return digest.hexdigest()[:16]


def kind_of(path: str | os.PathLike) -> str:
    """What a directory holds: `vqvae` or `prior`.

    Raises:
        ModelError: it is neither's, or newer than this speechvq.
    """
    return _read_tree(Path(path)).get("kind", "")


def _read_config(path: Path, kind: type):
    tree = _read_tree(path)
    if tree.get("kind") != kind.kind:
        raise ModelError(f"{path} holds a model of kind '{tree.get('kind')}'; a {kind.kind} is needed here")
    return from_dict(kind, tree, f"{path}/config.yaml")


def _read_tree(path: Path) -> dict:
    try:
        tree = yaml.safe_load((path / "config.yaml").read_text())
    except FileNotFoundError:
        raise ModelError(f"{path} is not a model directory (no config.yaml): train one with 'speechvq train'") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}/config.yaml is not YAML: {error}") from None
    version = tree.pop("format", None) if isinstance(tree, dict) else None
    if version is None:
        raise ModelError(f"{path}/config.yaml is not a model's: of an experiment, name the folder best/ or last/ in it")
    if version != FORMAT:
        raise ModelError(f"{path} has model format {version}; this speechvq reads {FORMAT}: update speechvq")
    return tree


def _read_speakers(path: Path) -> list[str]:
    try:
        speakers = (path / "speakers.txt").read_text(encoding="utf-8").split()
    except FileNotFoundError:
        raise ModelError(f"{path} has no speakers.txt: copy the whole model directory") from None
    if not speakers:
        raise ModelError(f"{path}/speakers.txt names no speaker")
    return speakers
