#!/usr/bin/env python
"""One self-contained page about an experiment: what was trained, its curves, units, scores and sounds."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path

import numpy as np

from speechvq import audio
from speechvq.config import load_config
from speechvq.corpus import DataDir
from speechvq.errors import InputError, SpeechVQError
from speechvq.report import Report, new_figure
from speechvq.units import UnitsDir

PLAYERS = 6


def main() -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exp", required=True, type=Path, help="folder of the experiment, as recipes/run.sh leaves it")
    parser.add_argument("--data", required=True, help="test data directory")
    parser.add_argument("-o", "--output", default="report.html", help="page to write (report.html)")
    args = parser.parse_args()
    try:
        build(args.exp, DataDir(args.data)).write(args.output)
    except SpeechVQError as error:
        print(f"report: {error}", file=sys.stderr)
        return 2
    return 0


def build(exp: Path, data: DataDir) -> Report:
    """The page of an experiment; parts whose files are missing are left out."""
    report = Report(f"speechvq: {exp.name}")
    log = [json.loads(line) for line in _lines(exp / "log.jsonl")]
    units = UnitsDir(exp / "units" / "test")
    summary(report, exp, data, log)
    report.heading("Training").figure(curves(log), "likelihood, spectral error and codebook use while training")
    report.heading("Units").figure(usage(units), f"how often each of the {units.codebook_size} units occurs in {data.path}")
    utt = next((utt for utt in data.utterances if utt in units), None)
    if utt is not None:
        report.figure(picture(data, units, utt), f"{utt}: {data.text.get(utt, '')}")
    for name, title in (("units.json", "Units against phones"), ("conversion.json", "Converted voices")):
        if (exp / name).exists():
            scores(report.heading(title), name, json.loads((exp / name).read_text()))
    if (exp / "prior.json").exists():
        prior(report.heading("Prior"), exp)
    players(report, exp)
    return report


def summary(report: Report, exp: Path, data: DataDir, log: list[dict]) -> None:
    """What was trained, in one table."""
    config = load_config(exp / "config.yaml")
    decoder, last = config.decoder, [line for line in log if line.get("dev_nll")]
    rows = [
        ("speakers", len(_lines(exp / "best" / "speakers.txt"))),
        ("units per second", config.sample_rate / config.hop_length),
        ("codebook", config.quantizer.codebook_size),
        ("WaveNet", f"{decoder.layers} layers, {decoder.residual} residual and {decoder.skip} skip channels"),
        ("steps", config.train.steps),
        ("test set", f"{data.path}: {len(data.utterances)} utterances of {len(data.speakers)} speakers"),
    ]
    if last:
        best = min(last, key=lambda line: line["dev_nll"])
        rows += [
            ("dev NLL, nats per sample", best["dev_nll"]),
            ("the same with another utterance's units", best["dev_nll_other_units"]),
            ("codebook perplexity on dev", best["dev_perplexity"]),
        ]
    report.table(rows, ("", exp.name))


def curves(log: list[dict]):
    """Likelihood, spectral error and perplexity over steps."""
    figure = new_figure(11, 3.2)
    panels = (
        ("nats per sample", ("nll", "dev_nll", "dev_nll_other_units")),
        ("log-mel error", ("spectral", "dev_spectral")),
        ("codebook perplexity", ("perplexity", "dev_perplexity")),
    )
    for axis, (title, names) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        for name in names:
            points = [(line["step"], line[name]) for line in log if line.get(name) is not None]
            if points:
                axis.plot(*zip(*points, strict=True), label=name.replace("_", " "), marker="." if name.startswith("dev") else "")
        axis.set(title=title, xlabel="step")
        axis.legend(fontsize="small")
    return figure


def usage(units: UnitsDir):
    """Units sorted by how often they occur."""
    counts = sum((np.bincount(units[utt].ids, minlength=units.codebook_size) for utt in units), np.zeros(units.codebook_size))
    figure = new_figure(11, 2)
    axis = figure.subplots()
    axis.bar(np.arange(units.codebook_size), np.sort(counts)[::-1] / max(counts.sum(), 1), width=1.0)
    axis.set(xlabel="units, most frequent first", ylabel="share")
    return figure


def picture(data: DataDir, units: UnitsDir, utt: str):
    """Spectrogram, the units under it, and the true phones where they are known."""
    rate = units.sample_rate
    samples = data.audio(utt, rate)
    figure = new_figure(11, 4)
    top, strip = figure.subplots(2, 1, sharex=True, height_ratios=(5, 1))
    top.specgram(samples + 1e-6 * np.random.default_rng(0).standard_normal(len(samples)), NFFT=400, Fs=rate, noverlap=320, cmap="magma", vmin=-140)
    top.set(ylabel="Hz", ylim=(0, rate / 2))
    # Neighbouring ids mean nothing, so colours are shuffled: equal units look equal, different ones different.
    colour = np.random.default_rng(0).permutation(units.codebook_size)[units[utt].ids]
    strip.imshow(colour[None], aspect="auto", cmap="nipy_spectral", interpolation="nearest", extent=(0, units[utt].duration, 0, 1))
    strip.set(yticks=[], ylabel="units", xlabel="seconds")
    alignment = data.alignment(utt)
    for interval in alignment.intervals if alignment else ():
        for axis in (top, strip):
            axis.axvline(interval.start, color="white", linewidth=0.4)
        top.text((interval.start + interval.end) / 2, rate * 0.46, interval.label, color="white", ha="center", fontsize=7)
    return figure


def scores(report: Report, name: str, results: dict) -> None:
    """The tables of an evaluation."""
    from speechvq.evaluate import conversion_page, phonemes_page
    from speechvq.evaluate.page import add_tables

    module = phonemes_page if name == "units.json" else conversion_page
    add_tables(report, module.tables(results))


def prior(report: Report, exp: Path) -> None:
    """How well a prior foretells the test units, its curve, and what it drew."""
    results = json.loads((exp / "prior.json").read_text())
    nats, rate = results["nats_per_unit"], results["units_per_second"]
    report.table([("nats per unit", nats), ("bits per second", nats / np.log(2) * rate)], ("on the test set, which nobody trained on", "prior"))
    log = [json.loads(line) for line in _lines(exp / "prior" / "log.jsonl")]
    figure = new_figure(6, 2.6)
    axis = figure.subplots()
    for name in ("nll", "dev_nll"):
        points = [(line["step"], line[name]) for line in log if line.get(name) is not None]
        axis.plot(*zip(*points, strict=True), label=name.replace("_", " "))
    axis.set(xlabel="step", ylabel="nats per unit")
    axis.legend()
    report.figure(figure, "the prior while training")
    for path in sorted((exp / "generated").glob("*.wav")):
        _player(report, path, f"{path.stem}, drawn from the prior")


def players(report: Report, exp: Path) -> None:
    """Source, reconstruction and conversion, to listen to."""
    report.heading("Listen")
    rebuilt = {row["input"]: row["output"] for row in _rows(exp / "reconstructions.csv")}
    rows = _rows(exp / "conversions.csv")
    # Those that were reconstructed come first: they can be heard in all three forms.
    rows.sort(key=lambda row: row["input"] not in rebuilt)
    for row in rows[:PLAYERS]:
        report.heading(f"{Path(row['input']).stem} to {row['speaker']}", 3)
        _player(report, Path(row["input"]), "source")
        if row["input"] in rebuilt:
            _player(report, exp / "reconstructed" / rebuilt[row["input"]], "reconstruction, in its own voice")
        _player(report, exp / "converted" / row["output"], f"conversion to {row['speaker']}")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): has the training come so far?") from None


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _player(report: Report, path: Path, caption: str) -> None:
    if path.exists():
        report.audio(audio.read(path, 16000), 16000, caption)


if __name__ == "__main__":
    sys.exit(main())
