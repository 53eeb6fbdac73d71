"""Tables and figures of the units evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from speechvq.errors import MissingDependency
from speechvq.evaluate.page import Table, add_tables, percent
from speechvq.report import Report, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PARTS = {"all": "all frames", "speech": "speech frames", "speech_only": "speech only"}


def tables(results: dict) -> list[Table]:
    """What a terminal shows of `evaluate_units`."""
    shared = results["map"]
    told = shared if isinstance(shared, str) else f"map learned on {shared['units']} ({shared['utterances']} utterances)"
    scored = results["scored"]
    about = (
        f"{scored['units']}: {scored['utterances']} utterances, {scored['speakers']} speakers, {scored['frames']} units; "
        f"{told}. {results['convention']}. In brackets: 95 % bootstrap interval over utterances."
    )
    return [
        Table("Frame accuracy, the map learned on other utterances", *_accuracies(results["accuracy"]), about),
        Table("Differences, paired", *_accuracies(results["differences"])),
        Table("Not to be quoted: the map learned on the very frames it is scored on", *_accuracies([results["map_on_test"]])),
        Table("Units", ["measure", "value"], _measures(results)),
    ]


def details(results: dict) -> list[Table]:
    """What the page shows besides."""
    found = []
    if results["baseline_variants"]:
        found.append(Table("The MFCC k-means, all variants", *_accuracies(results["baseline_variants"])))
    return [*found, Table("What each unit stands for", ["unit", "frames", "phones and their frames"], _units(results))]


def page(results: dict) -> Report:
    """The whole page; without matplotlib it says so in place of its figures."""
    report = add_tables(Report(f"Units against phonemes: {results['scored']['units']}"), tables(results))
    try:
        _add_figures(report, results["classes"], np.array(results["counts"]), np.array(results["confusion"]))
    except MissingDependency as missing:
        report.text(f"No figures: {missing}")
    return add_tables(report, details(results))


def _add_figures(report: Report, classes: list[str], counts: np.ndarray, confused: np.ndarray) -> None:
    report.heading("Figures")
    report.figure(
        _heat_map(_shares(confused), classes, classes, "mapped to", "phone"), "Each row: what the frames of a phone were mapped to."
    )
    used = np.flatnonzero(counts.sum(axis=1))
    by_phone = used[np.lexsort([-counts[used].max(axis=1), counts[used].argmax(axis=1)])]
    report.figure(
        _heat_map(_shares(counts[by_phone]), classes, None, "phone", "units in use, by phone"), "Each row: the phones of one unit."
    )
    report.figure(_usage(counts.sum(axis=1)), "How often each unit occurs, the commonest first.")


def _accuracies(rows: list[dict]) -> tuple[list[str], list[list[str]]]:
    cells = [[row["name"], *(percent(row[part], row[f"{part}_interval"]) for part in PARTS)] for row in rows]
    return ["", *PARTS.values()], cells


def _measures(results: dict) -> list[list[object]]:
    boundaries, bitrate, codebook = results["boundaries"], results["bitrate"], results["codebook"]
    within = f"within {1000 * boundaries['tolerance']:.0f} ms"
    return [
        *([name.replace("_", " "), value] for name, value in results["clusters"].items()),
        *([f"boundary {name.replace('_', '-')}, {within}", boundaries[name]] for name in ("precision", "recall", "f1", "r_value")),
        ["bits per second", bitrate["bits_per_second"]],
        ["bits per second without repeats", bitrate["without_repeats"]],
        ["units per second", results["units_per_second"]],
        *([f"units {name}" if name != "perplexity" else name, value] for name, value in codebook.items()),
    ]


def _units(results: dict) -> list[list[object]]:
    classes, counts = results["classes"], np.array(results["counts"])
    rows = []
    for unit in np.argsort(-counts.sum(axis=1), kind="stable"):
        if counts[unit].any():
            phones = [p for p in np.argsort(-counts[unit], kind="stable")[:6] if counts[unit, p]]
            rows.append([int(unit), int(counts[unit].sum()), "  ".join(f"{classes[p]} {counts[unit, p]}" for p in phones)])
    return rows


def _shares(counts: np.ndarray) -> np.ndarray:
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _heat_map(shares: np.ndarray, columns: list[str], rows: list[str] | None, across: str, down: str) -> Figure:
    figure = new_figure(10, 8)
    axes = figure.add_subplot(xlabel=across, ylabel=down)
    image = axes.imshow(shares, aspect="auto", interpolation="nearest", cmap="magma_r", vmin=0, vmax=1)
    axes.set_xticks(range(len(columns)), columns, rotation=90, fontsize=8)
    if rows:
        axes.set_yticks(range(len(rows)), rows, fontsize=8)
    figure.colorbar(image, label="share of the row")
    return figure


def _usage(unit_counts: np.ndarray) -> Figure:
    figure = new_figure(10, 3)
    axes = figure.add_subplot(xlabel="units", ylabel="frames", yscale="symlog")
    axes.step(range(len(unit_counts)), np.sort(unit_counts)[::-1], where="mid")
    return figure
