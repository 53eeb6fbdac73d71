"""The HTML page holds what it was given, and nothing that a browser would have to fetch."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile

from speechvq.report import Report, new_figure


class Tags(HTMLParser):
    def __init__(self, page: str):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)


def test_markup_in_texts_is_shown_not_obeyed():
    page = Report("<b>&").heading("<h>").text("<script>").table([["<td>", 0.123456, None]], ["<a>", "b", "c"]).html()
    found = Tags(page)
    assert not {"b", "script", "h", "a"} & {tag for tag, _ in found.tags}
    assert {"<b>&", "<h>", "<script>", "<td>", "<a>", "0.1235", "–"} <= set(found.words)


def test_audio_and_figures_travel_inside_the_page(tmp_path):
    pytest.importorskip("matplotlib")
    samples = np.sin(np.arange(800) / 10).astype(np.float32) * 2
    figure = new_figure()
    figure.add_subplot().plot([1, 2])
    Report("page").audio(samples, 8000, "a tone").figure(figure, "a line").write(tmp_path / "new" / "page.html")
    page = (tmp_path / "new" / "page.html").read_text(encoding="utf-8")
    assert "http" not in page
    sources = {tag: attrs["src"] for tag, attrs in Tags(page).tags if "src" in attrs}
    back, rate = soundfile.read(io.BytesIO(base64.b64decode(sources["audio"].split(",")[1])))
    assert rate == 8000
    np.testing.assert_allclose(back, np.clip(samples, -1, 1), atol=1e-4)
    assert re.match(r"data:image/png;base64,iVBOR", sources["img"])
