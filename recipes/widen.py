#!/usr/bin/env python
"""Make a model's WaveNet twice as wide without changing what it says, to train on from there.

    recipes/widen.py exp/multi/best exp/wide/start
    speechvq train conf/train.yaml --init exp/wide/start --set decoder.residual=64 ...

Every residual channel gets a twin, and whatever read the one reads both, in random shares, so that
training soon tells them apart (Chen et al. 2016, Net2Net, arXiv 1511.05641).
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from speechvq.checkpoint import load_model, save_model
from speechvq.errors import SpeechVQError
from speechvq.model import VQVAE


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL_DIR")
    parser.add_argument("out", type=Path, metavar="OUT_DIR")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the shares (0)")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    try:
        wide = widened(load_model(args.model))
        save_model(args.out, wide)
    except SpeechVQError as error:
        print(f"widen.py: {error}", file=sys.stderr)
        return 2
    print(f"{args.out}: train it with --set decoder.residual={wide.config.decoder.residual}")
    return 0


def widened(model: VQVAE) -> VQVAE:
    """The same model with 2R residual channels.

    Args:
        model: with R.
    """
    decoder = replace(model.config.decoder, residual=2 * model.config.decoder.residual)
    wide = VQVAE(replace(model.config, decoder=decoder), model.speakers)
    state = model.state_dict()
    leave = "decoder.conditioner.leave."
    for name in ("decoder.embedding", "decoder.residual_bias"):
        state[name] = _twins(state[name])
    state["decoder.gate"] = _shared(_gate_twins(state["decoder.gate"], 2))
    state["decoder.residual"] = _shared(_twins(state["decoder.residual"], -2))
    state["decoder.skip"] = _shared(state["decoder.skip"])
    for name in (leave + "weight", leave + "bias"):
        layers = state[name].unflatten(0, (model.config.decoder.layers, -1))
        state[name] = _gate_twins(layers, 1).flatten(0, 1)
    wide.load_state_dict(state)
    return wide.eval()


def _twins(values: Tensor, dim: int = -1) -> Tensor:
    return torch.cat([values, values], dim)


def _gate_twins(values: Tensor, dim: int) -> Tensor:
    # The tanh's channels come first, then the sigmoid's: twins stay within their half.
    return torch.cat([_twins(half, dim) for half in values.chunk(2, dim)], dim)


def _shared(weights: Tensor) -> Tensor:
    """What read R channels reads them and their twins, a share each."""
    share = torch.rand_like(weights)
    return torch.cat([weights * share, weights * (1 - share)], dim=-1)


if __name__ == "__main__":
    sys.exit(main())
