"""speechvq train: from data directories to a model directory, from units directories to a prior's."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

# The engines draw from 65,536 classes at most, and one of a prior's is the boundary.
MOST_CODES = 65535
HELP = "Train a VQ-VAE on a data directory, or a prior on a units directory."
EXAMPLE = """  speechvq train vctk64 --data data/train --dev data/dev --exp exp/vctk64
  speechvq train conf/mine.yaml --data data/train --dev data/dev --exp exp/mine --resume
  speechvq train vctk64 --set train.steps=1000 --data data/train --dev data/dev --exp exp/short
  speechvq train prior --data units/train --dev units/dev --exp exp/prior"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("config", metavar="CONFIG", help="a YAML file, or the name of a preset: vctk64, prior128, phoneme640, mini64; prior")
    parser.add_argument("--data", required=True, metavar="DIR", help="data directory to learn from; a prior learns from a units directory")
    parser.add_argument("--dev", required=True, metavar="DIR", help="data directory to validate on; or units directory")
    parser.add_argument("--exp", required=True, metavar="DIR", help="folder of the experiment: best/ and last/ are model directories")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint, to the very same weights")
    parser.add_argument("--init", metavar="MODEL", help="start from this model and fine-tune it")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one value of the configuration")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, ...; auto takes cuda where there is one")


def run(args: argparse.Namespace) -> int:
    """Train."""
    from speechvq.config import PriorConfig, load_config, save_config
    from speechvq.config_tree import override
    from speechvq.errors import InputError

    exp = Path(args.exp)
    if (exp / "trainer.pt").exists() and not args.resume:
        raise InputError(f"{exp} holds an experiment already: add --resume to go on with it, or take another --exp")
    config = override(load_config(args.config), args.set)
    make = _prior_trainer if isinstance(config, PriorConfig) else _trainer
    trainer = make(args, config, exp)
    if args.resume:
        trainer.resume()
    save_config(trainer.config, exp / "config.yaml")
    _train(trainer, exp)
    if trainer.best < math.inf:
        print(f"{exp / 'best'}: the best, {trainer.best:.4f} nats per {'unit' if make is _prior_trainer else 'sample'} on {args.dev}")
    else:
        print(f"{exp / 'last'}: the model; there is no best, because its WaveNet was never trained (train.decoder_from)")
    return 0


def _trainer(args: argparse.Namespace, config, exp: Path):
    import torch

    from speechvq.corpus import DataDir, refuse_held_out
    from speechvq.data import Crops
    from speechvq.trainer import Trainer

    data, dev = DataDir(args.data), DataDir(args.dev)
    refuse_held_out(data)
    exp.mkdir(parents=True, exist_ok=True)
    train = config.train
    packed = {name: _pack(name, source, exp, config.sample_rate) for name, source in (("train", data), ("dev", dev))}
    speakers = packed["train"].speakers
    return Trainer(
        config,
        Crops(packed["train"], speakers, train.crop_samples, train.seed, train.speaker_balance),
        Crops(packed["dev"], speakers, train.crop_samples),
        exp,
        Path(args.init) if args.init else None,
        torch.device(_device(args.device)),
    )


def _prior_trainer(args: argparse.Namespace, config, exp: Path):
    from dataclasses import replace

    import torch

    from speechvq.errors import InputError
    from speechvq.prior_trainer import PriorTrainer, frequencies_nll
    from speechvq.unit_crops import UnitCrops
    from speechvq.units import UnitsDir

    if args.init:
        raise InputError("--init is for models; a prior is trained from nothing")
    units, dev = UnitsDir(args.data), UnitsDir(args.dev)
    if units.model_hash != dev.model_hash or units.codebook_size != dev.codebook_size:
        raise InputError(f"{args.data} and {args.dev} hold units of different models: encode both with one")
    if units.codebook_size > MOST_CODES:
        raise InputError(f"a prior can know {MOST_CODES} codes, {args.data} has {units.codebook_size}")
    if not any(len(dev[utt].ids) for utt in dev):
        raise InputError(f"{args.dev} holds no units to validate on")
    config = replace(
        config, codebook_size=units.codebook_size, hop_length=units.hop_length, sample_rate=units.sample_rate, model_hash=units.model_hash
    )
    crops = UnitCrops(units, config.train.crop_units, config.train.seed)
    print(f"a table of how often each unit occurs: {frequencies_nll(crops, dev):.4f} nats per unit on {args.dev}")
    exp.mkdir(parents=True, exist_ok=True)
    return PriorTrainer(config, crops, dev, exp, torch.device(_device(args.device)))


def _pack(name: str, data, exp: Path, sample_rate: int):
    import sys

    from speechvq.data import pack
    from speechvq.progress import progress

    total = len(data.utterances)
    packed, faults = pack(data, exp / "packed" / name, sample_rate, lambda it: progress(it, f"packing {name}", total, unit="utt"))
    for fault in faults:
        print(f"left out: {fault}", file=sys.stderr)
    return packed


def _train(trainer, exp: Path) -> None:
    from speechvq.progress import progress
    from speechvq.training import append_json_line

    board = _tensorboard(exp)
    steps = trainer.config.train.steps
    total = sum(trainer.cost(step) for step in range(steps))
    done = sum(trainer.cost(step) for step in range(trainer.step))
    # The bar counts work, not steps: early steps are cheap, and an estimate from them would promise too much.
    bar = progress(total=1.0, initial=done / total, bar_format="{percentage:3.0f}%|{bar}| {elapsed}<{remaining} {postfix}")

    def report(line: dict) -> None:
        append_json_line(exp / "log.jsonl", line)
        for key, value in line.items():
            if key != "step" and value is not None and board is not None:
                board.add_scalar(key, value, line["step"])
        # Without the WaveNet there is no likelihood: NaN.
        shown = {key: value for key in ("nll", "spectral", "perplexity", "dev_nll", "dev_spectral") if (value := line.get(key)) and value == value}
        bar.set_postfix_str(f"step {line['step']}/{steps} " + " ".join(f"{key} {value:.3f}" for key, value in shown.items()))

    with bar:
        trainer.run(report, lambda cost: bar.update(min(cost / total, 1.0 - bar.n)))
    if board is not None:
        board.close()


def _tensorboard(exp: Path):
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None  # log.jsonl holds the same
    return SummaryWriter(str(exp / "tensorboard"))


def _device(name: str) -> str:
    import torch

    from speechvq.errors import InputError

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return str(torch.empty(0, device=name).device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"--device {name} cannot be used here: {str(error).splitlines()[0]}") from None
