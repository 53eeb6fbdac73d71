"""What the unit view draws: the spectrogram under the units, and the phones each unit stands for."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from speechvq.audio import apply_gain, pad_to_hop
from speechvq.codec import Codec
from speechvq.errors import InputError
from speechvq.nn.features import LogMel
from speechvq.units import Units

BANDS = 64
DYNAMIC_RANGE = 2.8  # log-mel units below the loudest that still show, about 70 dB
LIKELY = 3
PHONES_FILE = "phones.json"

Likely = dict[int, list[tuple[str, float]]]


@dataclass(frozen=True)
class PhoneTable:
    """What was measured of a model's units against phones.

    Args:
        likely: unit -> up to three (phone, share) that it most often meets, the likeliest first.
        scores: (what guessed the phone, share of frames guessed right, its interval's ends).
        bits: per second, of the units.
    """

    likely: Likely
    scores: list[tuple[str, float, float, float]]
    bits: float


def read_phone_table(model: Path) -> PhoneTable | None:
    """The phone table of a model directory.

    Args:
        model: the directory; its `phones.json`, where there is one, is what
            `speechvq evaluate units --json` printed for this model.

    Returns:
        the table; None without the file.

    Raises:
        InputError: the file is there but is not what evaluate prints.
    """
    path = model / PHONES_FILE
    if not path.exists():
        return None
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        scores = [(row["name"], float(row["all"]), *map(float, row["all_interval"])) for row in results["accuracy"]]
        likely = _likely(np.asarray(results["counts"], np.float64), results["classes"])
        return PhoneTable(likely, scores, float(results["bitrate"]["bits_per_second"]))
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise InputError(f"{path} is not what 'speechvq evaluate units --json' prints ({error})") from None


def _likely(counts: np.ndarray, classes: list[str]) -> Likely:
    totals = counts.sum(axis=1)
    best = np.argsort(-counts, axis=1, kind="stable")[:, :LIKELY]
    return {
        unit: [(classes[c], round(counts[unit, c] / totals[unit], 3)) for c in best[unit] if counts[unit, c] > 0]
        for unit in np.flatnonzero(totals).tolist()
    }


def unit_view(codec: Codec, samples: np.ndarray, units: Units, gain: float, likely: Likely) -> str:
    """JSON for the unit view.

    Args:
        codec: the model.
        samples: [T] of the recording at the model's rate.
        units: of the recording.
        gain: that levelled it, in dB.
        likely: of its phone table; empty where there is none.
    """
    image = spectrogram(codec, apply_gain(samples, gain))
    return json.dumps(
        {
            "ids": units.ids.tolist(),
            "rate": codec.sample_rate,
            "hop": codec.hop_length,
            "codebook": codec.codebook_size,
            "bands": image.shape[0],
            "columns": image.shape[1] // max(1, len(units)),
            "image": base64.b64encode(np.ascontiguousarray(image.T).tobytes()).decode(),
            "phones": likely,
        }
    )


def spectrogram(codec: Codec, samples: np.ndarray) -> np.ndarray:
    """Log-mel power as bytes.

    Args:
        codec: whose rate the samples have, and whose units give the columns.
        samples: [T], levelled.

    Returns:
        uint8 [bands, N * columns per unit], low frequencies first; 255 is the loudest.
    """
    wav = torch.from_numpy(pad_to_hop(samples, codec.hop_length))[None]
    log_mel = LogMel(codec.sample_rate, codec.model.log_mel.hop_length, BANDS)(wav)[0].numpy()
    scaled = (log_mel - log_mel.max(initial=-1.0)) / DYNAMIC_RANGE + 1.0
    return np.round(255 * np.clip(scaled, 0.0, 1.0)).astype(np.uint8)
