#!/usr/bin/env python
"""Join the units of one model with the WaveNet of another, to train on from there.

    recipes/graft.py --units exp/units/last --wavenet exp/multi/best --packed exp/multi/packed/train exp/joined/start
    speechvq train conf/train.yaml --init exp/joined/start ...

Encoder, codebook, conditioning network and voices come from the one. What the conditioning tells the layers
of the other's WaveNet is fitted by least squares to what its own network told them of the same speech.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from speechvq.audio import pad_to_hop
from speechvq.checkpoint import load_model, save_model
from speechvq.data import Packed
from speechvq.errors import ModelError, SpeechVQError
from speechvq.model import VQVAE
from speechvq.progress import progress

# Of two seconds each, from every voice.
PIECES = 5
CONDITIONER = "decoder.conditioner."


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--units", type=Path, required=True, metavar="MODEL_DIR", help="gives everything but the WaveNet"
    )
    parser.add_argument("--wavenet", type=Path, required=True, metavar="MODEL_DIR", help="gives the WaveNet")
    parser.add_argument(
        "--packed",
        type=Path,
        required=True,
        metavar="DIR",
        help="speech of both models' voices, packed by 'speechvq train'",
    )
    parser.add_argument("out", type=Path, metavar="OUT_DIR")
    args = parser.parse_args()
    try:
        joined, explained = graft(load_model(args.units), load_model(args.wavenet), Packed(args.packed))
        save_model(args.out, joined)
    except (SpeechVQError, OSError) as error:
        print(f"graft.py: {error}", file=sys.stderr)
        return 2
    print(f"{args.out}: {explained:.0%} of what the layers were told is told again")
    return 0


@torch.no_grad()
def graft(units: VQVAE, wavenet: VQVAE, packed: Packed) -> tuple[VQVAE, float]:
    """The joined model, and the share of the conditioning's variance that the fit explains.

    Args:
        units: gives everything but the WaveNet.
        wavenet: gives the WaveNet.
        packed: speech of voices that both know.

    Raises:
        ModelError: the models differ in rate or hop length, or from the packed speech in rate, or share no voice of it.
    """
    kinds = [f"{model.config.sample_rate} Hz and {model.hop_length}" for model in (units, wavenet)]
    if kinds[0] != kinds[1]:
        raise ModelError(f"the models must have one rate and hop length, not {kinds[0]}, {kinds[1]}")
    if packed.sample_rate != units.config.sample_rate:
        raise ModelError(f"{packed.path} is packed at {packed.sample_rate} Hz, the models are of {units.config.sample_rate} Hz")
    weight, bias, explained = _fitted(units, wavenet, packed)
    own = units.config.decoder
    decoder = replace(
        wavenet.config.decoder,
        condition_channels=own.condition_channels,
        condition_layers=own.condition_layers,
        speaker_dim=own.speaker_dim,
    )
    joined = VQVAE(replace(units.config, decoder=decoder), units.speakers)
    layers = {
        name: value
        for name, value in wavenet.state_dict().items()
        if name.startswith("decoder.") and not name.startswith(CONDITIONER)
    }
    leave = {CONDITIONER + "leave.weight": weight[:, :, None], CONDITIONER + "leave.bias": bias}
    joined.load_state_dict(units.state_dict() | layers | leave)
    return joined.eval(), explained


def _fitted(units: VQVAE, wavenet: VQVAE, packed: Packed) -> tuple[Tensor, Tensor, float]:
    """Weight [L * 2R, C] and bias [L * 2R] from the frames of `units` to the gates of `wavenet`, and how well they fit."""
    voices = [name for name in packed.speakers if name in units.speakers and name in wavenet.speakers]
    if not voices:
        raise ModelError("the models and the packed speech share no voice")
    products, squares = 0.0, 0.0
    for name in progress(voices, "listening", len(voices), unit="voice"):
        wav = torch.from_numpy(pad_to_hop(packed.excerpt(name, PIECES), units.hop_length))[None, None]
        given, told = (_frames(model, wav, name) for model in (units, wavenet))
        told = wavenet.decoder.conditioner.gates(told[None].transpose(1, 2)).flatten(1, 2)[0].T.double()
        given = torch.cat([given, torch.ones(len(given), 1)], dim=1).double()
        products = products + given.T @ torch.cat([given, told], dim=1)
        squares = squares + told.square().sum()
    size = len(products)
    inner, cross = products[:, :size], products[:, size:]
    solution = torch.linalg.lstsq(inner, cross).solution
    mean = cross[-1] / inner[-1, -1]
    spread = squares - inner[-1, -1] * mean.square().sum()
    left = squares - (solution * cross).sum()
    return solution[:-1].T.float(), solution[-1].float(), 1 - (left / spread).item()


def _frames(model: VQVAE, wav: Tensor, speaker: str) -> Tensor:
    quantized = model.quantizer.decode(model.encode(wav))
    return model.decoder.conditioner(quantized, model.speaker_vector(speaker)[None])[0].T


if __name__ == "__main__":
    sys.exit(main())
