"""speechvq info: what a directory holds."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from speechvq.errors import InputError

HELP = "Describe a model, prior, units or data directory."
EXAMPLE = """  speechvq info                      # the model that ships, and its voices
  speechvq info exp/vctk64/best
  speechvq info units/test --json"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("directory", nargs="?", metavar="DIR", help="model, prior, units or data directory; the model that ships where left out")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the description."""
    facts = _facts(None if args.directory is None else Path(args.directory))
    if args.json:
        print(json.dumps(facts))
    else:
        for name, value in facts.items():
            print(f"{name.replace('_', ' '):>20}  {', '.join(value) if isinstance(value, list) else value}")
    return 0


def _facts(path: Path | None) -> dict:
    if path is None or (path / "config.yaml").exists():
        return _prior_facts(path) if path and _is_prior(path) else _model_facts(path)
    if (path / "units.yaml").exists():
        return _units_facts(path)
    if (path / "wav.scp").exists():
        return _data_facts(path)
    raise InputError(f"{path} is no model or prior (config.yaml), units (units.yaml) or data directory (wav.scp)")


def _is_prior(path: Path) -> bool:
    from speechvq.checkpoint import kind_of

    return kind_of(path) == "prior"


def _model_facts(path: Path | None) -> dict:
    from speechvq.checkpoint import load_model, model_directory, units_hash
    from speechvq.nn.conv import count_parameters

    path = model_directory(path)
    model = load_model(path)
    config, decoder = model.config, model.config.decoder
    return {
        "kind": "model",
        "hash": units_hash(model),
        "sample_rate": config.sample_rate,
        "hop_length": config.hop_length,
        "units_per_second": config.sample_rate / config.hop_length,
        "codebook_size": config.quantizer.codebook_size,
        "encoder_input": config.encoder.input,
        "decoder": f"{decoder.layers} layers, {decoder.residual} residual, {decoder.skip} skip channels",
        "parameters": count_parameters(model),
        "speakers": model.speakers,
    }


def _prior_facts(path: Path) -> dict:
    from speechvq.checkpoint import load_prior
    from speechvq.nn.conv import count_parameters

    prior = load_prior(path)
    config = prior.config
    return {
        "kind": "prior",
        "model_hash": config.model_hash,
        "units_per_second": config.sample_rate / config.hop_length,
        "codebook_size": config.codebook_size,
        "network": f"{config.layers} layers, {config.residual} residual, {config.skip} skip channels",
        "receptive_field": config.receptive_field,
        "parameters": count_parameters(prior),
    }


def _units_facts(path: Path) -> dict:
    import numpy as np

    from speechvq.units import UnitsDir

    units = UnitsDir(path)
    counts = sum((np.bincount(units[utt].ids, minlength=units.codebook_size) for utt in units), np.zeros(units.codebook_size))
    p = counts[counts > 0] / max(1, counts.sum())
    rate = units.sample_rate / units.hop_length
    entropy = float(-(p * np.log2(p)).sum())
    return {
        "kind": "units",
        "model_hash": units.model_hash,
        "utterances": len(units),
        "seconds": round(counts.sum() / rate, 2),
        "units_per_second": rate,
        "codebook_size": units.codebook_size,
        "units_used": int((counts > 0).sum()),
        "perplexity": round(2**entropy, 1),
        "bits_per_second": round(rate * entropy, 1),
    }


def _data_facts(path: Path) -> dict:
    from speechvq.corpus import DataDir

    data = DataDir(path)
    return {
        "kind": "data",
        "utterances": len(data.utterances),
        "minutes": round(sum(data.duration(utt) for utt in data.utterances) / 60, 2),
        "with_text": len(data.text),
        "with_phone_times": len(data.alignments),
        "speakers": data.speakers,
    }
