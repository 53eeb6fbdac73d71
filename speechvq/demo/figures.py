"""What the unit view draws: the spectrogram under the units, and the phones each unit stands for."""

from __future__ import annotations

import base64
import json
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


def likely_phones(model: Path) -> Likely:
    """The phones that each unit most often meets.

    Args:
        model: a model directory; its `phones.json`, where there is one, is what
            `speechvq evaluate units --json` printed for this model.

    Returns:
        unit -> up to three (phone, share), the likeliest first; empty without the file.

    Raises:
        InputError: the file is there but is not what evaluate prints.
    """
    path = model / PHONES_FILE
    if not path.exists():
        return {}
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        counts, classes = np.asarray(results["counts"], np.float64), results["classes"]
        totals = counts.sum(axis=1)
        best = np.argsort(-counts, axis=1, kind="stable")[:, :LIKELY]
        return {
            unit: [(classes[c], round(counts[unit, c] / totals[unit], 3)) for c in best[unit] if counts[unit, c] > 0]
            for unit in np.flatnonzero(totals).tolist()
        }
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise InputError(f"{path} is not what 'speechvq evaluate units --json' prints ({error})") from None


def unit_view(codec: Codec, samples: np.ndarray, units: Units, gain: float, likely: Likely) -> str:
    """JSON for the unit view.

    Args:
        codec: the model.
        samples: [T] of the recording at the model's rate.
        units: of the recording.
        gain: that levelled it, in dB.
        likely: from `likely_phones`.
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
