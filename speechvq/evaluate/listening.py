"""Does the decoder listen to its units? Its likelihood with the right ones, with others, and with none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from speechvq.audio import apply_gain, gain_db, mu_law_encode
from speechvq.codec import Codec
from speechvq.corpus import DataDir
from speechvq.errors import InputError
from speechvq.evaluate.page import Table, add_tables
from speechvq.metrics.bootstrap import bootstrap_means, interval
from speechvq.report import Report

CROP_SECONDS = 4.0
KINDS = {"right": "its own units", "other": "another utterance's units", "none": "no units: the mean code everywhere"}


@dataclass(frozen=True)
class Excerpt:
    """The start of an utterance at reference loudness: classes [T], unit ids [N] and speaker."""

    classes: np.ndarray
    ids: np.ndarray
    speaker: str


@torch.no_grad()
def evaluate_decoder(codec: Codec, data: DataDir, seconds: float = 120.0, seed: int = 0) -> dict:
    """Negative log-likelihood of real speech under the decoder, in nats per sample.

    Args:
        codec: the model.
        data: utterances of speakers that the model knows; others are left out.
        seconds: how much of them to score, in excerpts of up to four seconds.
        seed: of the choice.

    Returns:
        results ready for JSON, described in docs/evaluation.md.

    Raises:
        InputError: fewer than two utterances of known speakers.
    """
    excerpts = _excerpts(codec, data, seconds, seed)
    if len(excerpts) < 2:
        raise InputError(f"{data.path} holds fewer than two utterances of the model's speakers: {', '.join(codec.speakers)}")
    model = codec.model
    everything = torch.from_numpy(np.concatenate([e.ids for e in excerpts]))[None]
    mean = model.quantizer.decode(everything).mean(dim=2, keepdim=True)
    totals = np.array([len(e.classes) for e in excerpts], float)
    sums: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for excerpt, neighbour in zip(excerpts, excerpts[1:] + excerpts[:1], strict=True):
        classes, speaker = torch.from_numpy(excerpt.classes)[None], model.speaker_vector(excerpt.speaker)[None]
        codes = {
            "right": model.quantizer.decode(torch.from_numpy(excerpt.ids)[None]),
            "other": model.quantizer.decode(torch.from_numpy(np.resize(neighbour.ids, len(excerpt.ids)))[None]),
            "none": mean.expand(-1, -1, len(excerpt.ids)),
        }
        for kind in KINDS:
            nll = model.nll(classes, model.decoder.condition(codes[kind], speaker)).item()
            sums[kind].append(nll * len(excerpt.classes))
    means = {kind: bootstrap_means(np.array(values), totals) for kind, values in sums.items()}
    rows = [
        {
            "name": KINDS[kind],
            "nll": sum(sums[kind]) / totals.sum(),
            "nll_interval": interval(means[kind]),
            "above_right": (sum(sums[kind]) - sum(sums["right"])) / totals.sum(),
            "above_right_interval": interval(means[kind] - means["right"]),
        }
        for kind in KINDS
    ]
    scored = {"model": str(codec.path), "data": str(data.path), "excerpts": len(excerpts), "left_out": _unknown(codec, data)}
    return {**scored, "seconds": totals.sum() / codec.sample_rate, "seed": seed, "nll": rows}


def tables(results: dict) -> list[Table]:
    """What a terminal shows of `evaluate_decoder`."""
    note = (
        f"{results['model']} on {results['data']}: {results['excerpts']} excerpts, {results['seconds']:.0f} s, "
        f"{results['left_out']} utterances of unknown speakers left out. Nats per sample; "
        "in brackets: 95 % bootstrap interval over excerpts. A decoder that does not listen has three equal rows."
    )
    rows = [[row["name"], _nats(row, "nll"), _nats(row, "above_right")] for row in results["nll"]]
    return [Table("Likelihood of real speech, mu-law 256", ["conditioned on", "NLL", "above its own units"], rows, note)]


def page(results: dict) -> Report:
    """The whole page."""
    return add_tables(Report(f"Does the decoder listen? {results['model']}"), tables(results))


def _excerpts(codec: Codec, data: DataDir, seconds: float, seed: int) -> list[Excerpt]:
    found: list[Excerpt] = []
    left = seconds
    for utt in map(str, np.random.default_rng(seed).permutation(data.utterances)):
        if data.utt2spk[utt] not in codec.speakers:
            continue
        samples = data.audio(utt, codec.sample_rate)
        samples = apply_gain(samples, gain_db(samples, codec.sample_rate))
        num_units = int(min(len(samples), CROP_SECONDS * codec.sample_rate) // codec.hop_length)
        if not num_units:
            continue
        samples = samples[: num_units * codec.hop_length]
        ids = np.concatenate(list(codec.encode_blocks([samples]))).astype(np.int64)
        found.append(Excerpt(mu_law_encode(samples).astype(np.int64), ids, data.utt2spk[utt]))
        left -= len(samples) / codec.sample_rate
        if left <= 0:
            break
    return found


def _unknown(codec: Codec, data: DataDir) -> int:
    return sum(speaker not in codec.speakers for speaker in data.utt2spk.values())


def _nats(row: dict, name: str) -> str:
    low, high = row[f"{name}_interval"]
    return f"{row[name]:.3f} [{low:.3f}, {high:.3f}]"
