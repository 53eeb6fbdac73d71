"""Results as tables: printed in a terminal, and with figures on a page."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from speechvq.files import atomic_file
from speechvq.report import Report


@dataclass(frozen=True)
class Table:
    """A table of results.

    Args:
        title: its heading.
        columns: headings of the columns.
        rows: each as long as columns; floats, texts or None.
        note: a sentence on how to read it, or empty.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str = ""

    def __str__(self) -> str:
        cells = [list(self.columns)] + [[_text(value) for value in row] for row in self.rows]
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]
        lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in cells]
        return "\n".join([self.title, *("  " + line for line in lines), *(["  " + self.note] if self.note else [])])


def add_tables(report: Report, tables: Iterable[Table]) -> Report:
    """Append tables with their headings and notes to a page."""
    for table in tables:
        report.heading(table.title)
        if table.note:
            report.text(table.note)
        report.table([[_text(value) for value in row] for row in table.rows], table.columns)
    return report


def percent(value: float, bounds: Sequence[float] | None = None) -> str:
    """A share in per cent, with its interval where there is one."""
    return f"{100 * value:.1f} %" + (f" [{100 * bounds[0]:.1f}, {100 * bounds[1]:.1f}]" if bounds else "")


def write_results(directory: str | os.PathLike, results: dict, report: Report) -> None:
    """Write `results.json` and the page `index.html` into a directory."""
    directory = Path(directory)
    with atomic_file(directory / "results.json") as temporary:
        temporary.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    report.write(directory / "index.html")


def _text(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
