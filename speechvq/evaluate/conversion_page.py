"""Tables, pictures and players of the conversion evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from speechvq import audio
from speechvq.corpus import DataDir
from speechvq.errors import MissingDependency
from speechvq.evaluate.conversion_files import Parallel
from speechvq.evaluate.judges import RATE, real_recordings
from speechvq.evaluate.page import Table, add_tables, percent
from speechvq.report import Report, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLAYERS = 10
# Name in the results -> how it is shown, and whether it is a share.
MEASURES = {
    "mcd": ("mel-cepstral distortion to the target's own recording, dB", False),
    "mcd_source": ("the same of the unconverted source, dB", False),
    "log_f0_rmse": ("log-F0 RMSE to the target's own recording", False),
    "log_f0_correlation": ("log-F0 correlation with it", False),
    "log_f0_correlation_with_source": ("log-F0 correlation with the source", False),
    "stoi": ("STOI to the original", False),
    "pesq": ("PESQ (wide band) to the original", False),
    "similarity_to_target": ("speaker check: cosine to the target", False),
    "similarity_to_source": ("speaker check: cosine to the source", False),
    "target_chosen_of_all": ("speaker check: target chosen among all its voices", True),
    "target_chosen_of_targets": ("speaker check: target chosen among the targets", True),
    "word_error_rate": ("word error rate", True),
    "word_error_rate_original": ("word error rate of the originals", True),
    "letter_error_rate": ("character error rate", True),
    "letter_error_rate_original": ("character error rate of the originals", True),
}


def tables(results: dict) -> list[Table]:
    """What a terminal shows of `evaluate_conversion`."""
    parts = [results["conversions"], results["reconstructions"]]
    real = results["speaker_check_on_real"] or {}
    rows = [
        [label, *(_value(part, name, share) for part in parts), percent(real[name]) if share and real.get(name) is not None else None]
        for name, (label, share) in MEASURES.items()
        if any(name in part for part in parts)
    ]
    columns = ["", f"{parts[0]['files']} conversions", f"{parts[1]['files']} reconstructions", "real recordings"]
    found = [Table("Voices", columns, rows, _note(results))]
    pairs = [
        [f"{row['source']} to {row['target']}", row["files"], _value(row, "mcd"), _value(row, "mcd_source"), _value(row, "similarity_to_target")]
        for row in results["by_pair"]
        if row["source"] != row["target"] and "mcd" in row
    ]
    if pairs:
        found.append(Table("Pairs with parallel recordings", ["", "files", "MCD, dB", "MCD of the source", "cosine to the target"], pairs))
    if results["pitch"]:
        found.append(_pitch_table(results["pitch"]))
    return found


def page(results: dict, data: DataDir, parallel: Parallel) -> Report:
    """The whole page, with pictures and players of some conversions spread over the list."""
    report = add_tables(Report(f"Voices: {results['data']}"), tables(results))
    rows = results["files"]
    chosen = [rows[i] for i in np.unique(np.linspace(0, len(rows) - 1, min(PLAYERS, len(rows))).astype(int))]
    for row in chosen:
        recordings = {f"source: {row['source']}": data.audio(row["utt"], RATE)}
        recordings[f"converted to {row['target']}"] = audio.read(row["file"], RATE)
        if real := parallel.find(row["target"], data.text.get(row["utt"])):
            recordings |= {f"real: {row['target']}": samples for samples in real_recordings(real[0], [real[1]], []).values()}
        report.heading(f"{row['utt']}: {row['source']} to {row['target']}", 3)
        if text := data.text.get(row["utt"]):
            report.text(text)
        for name, samples in recordings.items():
            report.audio(samples, RATE, name)
        try:
            report.figure(_spectrograms(recordings), "Spectrograms: " + ", ".join(recordings))
        except MissingDependency as missing:
            report.text(f"No spectrograms: {missing}")
    return report


def _note(results: dict) -> str:
    notes = ["In brackets: 95 % bootstrap interval over files."]
    if results["recogniser"]:
        notes.append(f"Recogniser: {results['recogniser']}.")
    if real := results["speaker_check_on_real"]:
        notes.append(f"Speaker check: {real['speakers']} voices, {real['targets']} of them targets; {real['utterances']} real recordings.")
    return " ".join([*notes, *(f"{line}." for line in results["missing"]), *(f"Left out: {line}." for line in results["faults"])])


def _value(part: dict, name: str, share: bool = False) -> str | None:
    if name not in part:
        return None
    mean, (low, high) = part[name]["mean"], part[name]["interval"]
    return percent(mean, (low, high)) if share else f"{mean:.3g} [{low:.3g}, {high:.3g}]"


def _pitch_table(rows: list[dict]) -> Table:
    def away(row: dict, which: str) -> float | None:
        here, there = row[f"{which}_semitones"], row["target_semitones"]
        return None if here is None or there is None else here - there

    def voiced(row: dict) -> list[str]:
        return [percent(row[f"{which}_voiced"]) for which in ("converted", "source", "target")]

    cells = [
        [row["target"], away(row, "converted"), away(row, "source"), row["converted_spread"], row["target_spread"], *voiced(row)]
        for row in rows
    ]
    columns = ["target", "converted - target", "source - target", "spread converted", "spread target"]
    columns += ["voiced converted", "voiced source", "voiced target"]
    note = "Mean pitch against the target's own, in semitones, and its deviation; share of all frames that have a pitch: a whisper has few."
    return Table("Pitch", columns, cells, note)


def _spectrograms(recordings: dict[str, np.ndarray]) -> Figure:
    figure = new_figure(10, 2.2 * len(recordings))
    for axes, (name, samples) in zip(np.atleast_1d(figure.subplots(len(recordings), 1)), recordings.items(), strict=True):
        axes.specgram(samples + 1e-6, NFFT=512, Fs=RATE, noverlap=352, cmap="magma", vmin=-130, vmax=-40)
        axes.set(title=name, ylabel="Hz")
    axes.set_xlabel("seconds")
    return figure
