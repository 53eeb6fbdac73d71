"""One self-contained HTML page: text, tables, figures and audio players, with nothing fetched from elsewhere."""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from speechvq.errors import MissingDependency
from speechvq.files import atomic_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #8886; text-align: right; }
th:first-child, td:first-child { text-align: left; }
figure { margin: 1rem 0; } figure img { max-width: 100%; background: #fff; } figcaption { color: #888; }
audio { vertical-align: middle; width: 22rem; max-width: 100%; }
"""


class Report:
    """A page that grows from top to bottom; every method but `write` appends and returns the report.

    Args:
        title: of the page, also its first heading.
    """

    def __init__(self, title: str):
        self.title = title
        self._body: list[str] = []

    def heading(self, text: str, level: int = 2) -> Report:
        """Append a heading; level 2 is a section, 3 a part of one."""
        return self._append(f"<h{level}>{html.escape(text)}</h{level}>")

    def text(self, text: str) -> Report:
        """Append a paragraph of plain text; markup in it is shown, not obeyed."""
        return self._append(f"<p>{html.escape(text)}</p>")

    def table(self, rows: Iterable[Sequence[object]], columns: Sequence[str]) -> Report:
        """Append a table.

        Args:
            rows: each as long as `columns`; floats are shown with four significant digits, None as a dash.
            columns: the headings.
        """
        head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
        body = "".join("<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row) + "</tr>\n" for row in rows)
        return self._append(f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table>")

    def figure(self, figure: Figure, caption: str) -> Report:
        """Append a matplotlib figure as an inline picture, and close it."""
        picture = io.BytesIO()
        figure.savefig(picture, format="png", dpi=110, bbox_inches="tight")
        figure.clear()
        caption = html.escape(caption)
        source = _data_uri("image/png", picture.getvalue())
        return self._append(f'<figure><img alt="{caption}" src="{source}"><figcaption>{caption}</figcaption></figure>')

    def audio(self, samples: np.ndarray, rate: int, caption: str) -> Report:
        """Append a player.

        Args:
            samples: [T] in [-1, 1].
            rate: in Hz.
            caption: shown beside it.
        """
        wav = io.BytesIO()
        soundfile.write(wav, np.clip(samples, -1, 1), rate, format="WAV", subtype="PCM_16")
        source = _data_uri("audio/wav", wav.getvalue())
        return self._append(f'<p><audio controls preload="none" src="{source}"></audio> {html.escape(caption)}</p>')

    def html(self) -> str:
        """The whole page."""
        title = html.escape(self.title)
        head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
        body = "\n".join(self._body)
        return f"<!DOCTYPE html>\n<html lang=en><head>{head}<style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n{body}\n</body></html>\n"

    def write(self, path: str | os.PathLike) -> None:
        """Write the page; a page already there is replaced whole."""
        with atomic_file(path) as temporary:
            temporary.write_text(self.html(), encoding="utf-8")

    def _append(self, part: str) -> Report:
        self._body.append(part)
        return self


def new_figure(width: float = 8.0, height: float = 4.0) -> Figure:
    """An empty matplotlib figure that needs no display.

    Args:
        width: in inches.
        height: in inches.

    Raises:
        MissingDependency: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingDependency("matplotlib", "metrics") from None
    # Built without pyplot: no window system is asked for and no global list keeps the figure alive.
    return Figure(figsize=(width, height), layout="constrained")


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float | np.floating):
        return f"{value:.4g}"
    return html.escape(str(value))


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
