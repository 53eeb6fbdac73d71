"""Converted voices: every figure of `speechvq evaluate conversion`, as one dictionary."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from tqdm import tqdm

from speechvq import audio
from speechvq.corpus import DataDir
from speechvq.errors import AudioError, InputError, MissingDependency
from speechvq.evaluate.conversion_files import Conversion, Parallel
from speechvq.evaluate.judges import RATE, Case, Judge, Quality, Spectra, Voices, Words, real_recordings
from speechvq.metrics.bootstrap import bootstrap_means, interval
from speechvq.metrics.pitch import pitch, register, voiced_share
from speechvq.sphinx.recognise import MODEL

# Recordings that tell where a voice lies; its mean pitch moves by less than 0.2 semitones beyond.
REGISTER_UTTERANCES = 20


def evaluate_conversion(
    conversions: Sequence[Conversion], data: DataDir, train: DataDir | None = None, seed: int = 0
) -> dict:
    """Judge converted and reconstructed recordings.

    Args:
        conversions: what to judge.
        data: of the source utterances; transcripts give words and parallel recordings.
        train: real recordings that the speaker check is trained on, and more parallel ones.
        seed: of all that is drawn at random.

    Returns:
        results ready for JSON, described in docs/evaluation.md.
    """
    targets = {c.target for c in conversions}
    corpora = [data] if train is None else [data, train]
    faults: list[str] = []
    makers: dict[str, Callable[[], Judge]] = {
        "spectra": lambda: Spectra(Parallel(*corpora), faults),
        "STOI": lambda: Quality("stoi"),
        "PESQ": lambda: Quality("pesq"),
        "speaker check": lambda: Voices(train, targets, faults, seed),
        "recogniser": Words,
    }
    judges, missing = _available(makers)
    rows = _measure(conversions, data, judges.values(), faults)
    voices = judges.get("speaker check")
    on_real = voices.on_real(data, seed) if isinstance(voices, Voices) else None
    registers = _registers(rows, data, corpora, faults)
    return {
        "data": str(data.path),
        "train_data": str(train.path) if train else None,
        "recogniser": MODEL if "recogniser" in judges else None,
        "missing": missing,
        # A recording of the target is met again with every conversion.
        "faults": list(dict.fromkeys(faults)),
        "conversions": _summary([row for row in rows if row["source"] != row["target"]]),
        "reconstructions": _summary([row for row in rows if row["source"] == row["target"]]),
        "by_pair": _by_pair(rows),
        "speaker_check_on_real": on_real,
        "pitch": registers,
        "files": rows,
    }


def _available(makers: dict[str, Callable[[], Judge]]) -> tuple[dict[str, Judge], list[str]]:
    judges, missing = {}, []
    for name, make in makers.items():
        try:
            judges[name] = make()
        except (MissingDependency, InputError) as error:
            missing.append(f"no {name}: {error}")
    return judges, missing


def _measure(conversions: Sequence[Conversion], data: DataDir, judges, faults: list[str]) -> list[dict]:
    rows = []
    for conversion in tqdm(conversions, "judging", unit="file"):
        try:
            converted = audio.read(conversion.path, RATE)
            case = Case(conversion, converted, data.audio(conversion.utt, RATE), data.text.get(conversion.utt))
        except AudioError as error:
            faults.append(str(error))
            continue
        row = {"file": str(conversion.path), "utt": conversion.utt, "source": conversion.source, "target": conversion.target}
        for judge in judges:
            row |= judge.measure(case)
        rows.append(row)
    return rows


_NOT_MEANS = {"word_errors", "letter_errors", "words", "letters", "word_errors_original", "letter_errors_original"}


def _summary(rows: list[dict]) -> dict:
    """Means with 95 % intervals over files, and error rates over all words."""
    summary: dict = {"files": len(rows)}
    names = dict.fromkeys(name for row in rows for name, value in row.items() if isinstance(value, float))
    for name in names:
        values = np.array([row[name] for row in rows if row.get(name) is not None])
        if name not in _NOT_MEANS:
            means = bootstrap_means(values, np.ones(len(values)))
            summary[name] = {"mean": float(values.mean()), "interval": interval(means), "files": len(values)}
    for unit in ("word", "letter"):
        judged = [row for row in rows if row.get(f"{unit}s")]
        totals = np.array([row[f"{unit}s"] for row in judged], float)
        for which in ("", "_original"):
            errors = np.array([row[f"{unit}_errors{which}"] for row in judged])
            if len(judged):
                rate = float(errors.sum() / totals.sum())
                between = interval(bootstrap_means(errors, totals))
                summary[f"{unit}_error_rate{which}"] = {"mean": rate, "interval": between, "files": len(judged)}
    return summary


def _by_pair(rows: list[dict]) -> list[dict]:
    pairs = sorted({(row["source"], row["target"]) for row in rows})
    return [
        {"source": a, "target": b, **_summary([row for row in rows if (row["source"], row["target"]) == (a, b)])} for a, b in pairs
    ]


def _registers(rows: list[dict], data: DataDir, corpora: list[DataDir], faults: list[str]) -> list[dict]:
    """Mean and spread of the pitch of conversions to each target, of their sources, and of the target's own voice; how much is voiced."""
    found = []
    for target in sorted({row["target"] for row in rows}):
        chosen = [row for row in rows if row["target"] == target != row["source"]][:REGISTER_UTTERANCES]
        real = _real(target, corpora, faults) if chosen else []
        if not real:
            continue
        recordings = {
            "converted": [audio.read(row["file"], RATE) for row in chosen],
            "source": [data.audio(row["utt"], RATE) for row in chosen],
            "target": real,
        }
        found.append({"target": target})
        for name, samples in recordings.items():
            tracks = [pitch(x, RATE) for x in samples]
            found[-1][f"{name}_semitones"], found[-1][f"{name}_spread"] = register(tracks) or (None, None)
            found[-1][f"{name}_voiced"] = voiced_share(tracks)
    return found


def _real(speaker: str, corpora: list[DataDir], faults: list[str]) -> list[np.ndarray]:
    """Recordings of a speaker, from the first corpus that has any."""
    for data in corpora:
        utts = [utt for utt in data.utterances if data.utt2spk[utt] == speaker][:REGISTER_UTTERANCES]
        if found := real_recordings(data, utts, faults):
            return list(found.values())
    return []
