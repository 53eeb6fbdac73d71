"""The page's own widgets: Python's end of the scripts in static/."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import gradio as gr

STATIC = Path(__file__).parent / "static"
SCRIPTS = ("core.js", "recorder.js", "results.js", "strip.js", "units.js")
EXAMPLES = {"wind.mp3": "The north wind", "numbers.mp3": "Numbers", "question.mp3": "A question"}


def head() -> str:
    """What the page's <head> carries: style sheet, scripts and the example recordings, so that nothing else is fetched."""
    examples = [
        {"name": label, "data": base64.b64encode((STATIC / "examples" / file).read_bytes()).decode()}
        for file, label in EXAMPLES.items()
    ]
    scripts = [(STATIC / name).read_text(encoding="utf-8") for name in SCRIPTS]
    data = f"window.SpeechVQExamples = {json.dumps(examples)};"
    # Gradio would confine a sheet given as `css` to the inner of the page; ours sets its margins too.
    sheet = (STATIC / "page.css").read_text(encoding="utf-8")
    return f"<style>{sheet}</style>" + "".join(f"<script>{script}</script>" for script in (data, *scripts))


def recorder(name: str, label: str, sample_rate: int, seconds: float, examples: bool = True) -> gr.HTML:
    """Record, upload or take an example; the value is JSON with `name` and `data`, a WAV file in base64.

    Args:
        name: of the widget in the page, by which others find its audio.
        label: what it is for.
        sample_rate: that recordings are sent at, in Hz.
        seconds: longest recording.
        examples: offer the example recordings.
    """
    options = {"name": name, "label": label, "rate": sample_rate, "seconds": seconds, "examples": examples}
    return _widget(name, "recorder", options)


def results(name: str, source: str, starts: str, keep: int = 1) -> gr.HTML:
    """Cards that play what is made, while it is made; the value is a message of `takes.speak`.

    Args:
        name: of the widget in the page.
        source: name of the recorder whose audio plays beside them.
        starts: CSS selector of the buttons that start a job.
        keep: how many jobs stay on view.
    """
    return _widget(name, "results", {"name": name, "source": source, "starts": starts, "keep": keep})


def unit_strip(name: str, source: str, likely: bool) -> gr.HTML:
    """Spectrogram, units and phones over time; the value is a message of `figures.unit_view`.

    Args:
        name: of the widget in the page.
        source: name of the recorder whose audio it plays.
        likely: whether phones are known, so that their row is drawn.
    """
    return _widget(name, "units", {"name": name, "source": source, "likely": likely})


def downloader() -> gr.HTML:
    """Saves what it is told: JSON with `name` and `data`, a file in base64."""
    return gr.HTML("", html_template="<span></span>", js_on_load="watch('value', () => SpeechVQ.save(props.value));", elem_classes="sv-nothing")


def _widget(name: str, kind: str, options: dict) -> gr.HTML:
    # Gradio finds the events that a widget may send by their quoted names in this script.
    script = f"SpeechVQ.{kind}(element, props, watch, (event) => trigger(event), {json.dumps(options)}); /* 'change' 'edited' */"
    template = f'<div class="sv-widget sv-{kind}"></div>'
    return gr.HTML("", html_template=template, js_on_load=script, elem_id=name, elem_classes="sv-host", padding=False, apply_default_css=False)
