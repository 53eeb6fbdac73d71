"""The tab that shows units, lets them be edited, and speaks them."""

from __future__ import annotations

import base64
import io
import json
import tempfile
import zipfile
from pathlib import Path

import gradio as gr

from speechvq.codec import Codec, Sampling
from speechvq.demo import widgets
from speechvq.demo.convert_tab import sampling_controls
from speechvq.demo.figures import unit_view
from speechvq.demo.limits import check_sampling
from speechvq.demo.session import find_voices
from speechvq.demo.studio import WORK, Studio, in_a_sentence
from speechvq.demo.takes import speak
from speechvq.demo.wire import format_units, parse_units, recording
from speechvq.errors import InputError
from speechvq.formats import FORMATS
from speechvq.formats.transfer import export_units
from speechvq.units import Units, UnitsDir, UnitsWriter

UTTERANCE = "demo"


def units_tab(studio: Studio, model: gr.Dropdown, own: gr.State, rate: int) -> gr.Dropdown:
    """Lay out the tab; returns its choice of voice."""
    limits, codec = studio.limits, studio.codec(studio.first)
    gr.Markdown("What the model hears: each coloured block is a unit, under the sound it stands for. Click or drag to select, cut and repeat, and hear what becomes of it.")
    source = widgets.recorder("units-source", "Your recording", rate, limits.seconds)
    strip = widgets.unit_strip("units-strip", "units-source", any(studio.phones.values()))
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=280):
            text = gr.Textbox(label="Units as text", info="Numbers from left to right. What you change here changes above.", lines=3, max_lines=6, buttons=["copy"], elem_id="units-text")
            with gr.Row(equal_height=False):
                formats = gr.Dropdown(list(FORMATS), value="kaldi-text", label="Format", elem_id="units-format", min_width=160)
                export = gr.Button("Download units", elem_id="units-export", min_width=140)
        with gr.Column(scale=4, min_width=280):
            voice = gr.Dropdown(codec.speakers, value=codec.speakers[0], label="Voice", elem_id="units-voice")
            seed, temperature = sampling_controls()
            with gr.Row():
                everything = gr.Button("Speak all", variant="primary", elem_id="units-speak", min_width=100)
                selection = gr.Button("Speak selection", elem_id="units-speak-selection", min_width=160)
                stop = gr.Button("Stop", elem_id="units-stop", min_width=70)
    shown = widgets.results("units-results", "units-source", "#units-speak, #units-speak-selection", keep=3)
    saved = widgets.downloader()

    @in_a_sentence
    def encode(value: str, model: str) -> tuple[str, str]:
        codec = studio.codec(model)
        samples = recording(value, codec.sample_rate, limits.seconds)
        units, gain = codec.encode_levelled(samples)
        phones = studio.phones[model]
        return unit_view(codec, samples, units, gain, phones.likely if phones else {}), format_units(units.ids)

    @in_a_sentence
    def say(text: str, name: str, seed: float, temperature: float, model: str, own: dict):
        codec = studio.codec(model)
        how = Sampling(*check_sampling(seed, temperature))
        units = parse_units(text or "", codec, limits.seconds)
        chosen = find_voices(model, codec, own, [name] if name else [], 1)
        yield from speak(codec, units, chosen, how, len(units) * codec.hop_length)

    @in_a_sentence
    def say_selection(text: str, *rest):
        if not text:
            raise InputError("nothing is selected: click a unit above, or drag over several")
        yield from say(text, *rest)

    @in_a_sentence
    def download(text: str, format: str, model: str) -> str:
        codec = studio.codec(model)
        units = parse_units(text or "", codec, limits.seconds)
        return json.dumps({"name": f"units-{format}.zip", "data": base64.b64encode(export_zip(codec, units, format)).decode()})

    quiet = {"show_progress": "hidden", "api_visibility": "private"}
    light = quiet | {"concurrency_limit": limits.jobs, "concurrency_id": "encode"}
    work = quiet | {"concurrency_limit": limits.jobs, "concurrency_id": WORK, "trigger_mode": "once"}
    source.change(encode, [source, model], [strip, text], **light)
    model.change(lambda value, model: encode(value, model) if value else ("", ""), [source, model], [strip, text], **light)
    strip.edited(None, None, text, js="() => SpeechVQ.strips['units-strip'].text()")
    # `change`, since `input` misses what is pasted at one go.
    text.change(None, text, None, js="(text) => { SpeechVQ.strips['units-strip'].type(text); }")
    inputs = [text, voice, seed, temperature, model, own]
    all_of_it = everything.click(say, inputs, shown, **work)
    part = selection.click(say_selection, inputs, shown, js="(text, ...rest) => [SpeechVQ.strips['units-strip'].selected(), ...rest]", **work)
    for running in (all_of_it, part):
        running.then(None, None, None, js="() => SpeechVQ.end('units-results')")
    stop.click(None, None, None, js="() => SpeechVQ.stop('units-results')", cancels=[all_of_it, part])
    export.click(download, [text, formats, model], saved, **light)
    return voice


def export_zip(codec: Codec, units: Units, format: str) -> bytes:
    """One utterance in another toolkit's format, its files in a zip archive.

    Raises:
        InputError: there is no such format.
        FormatError: the format needs more than units.
    """
    if format not in FORMATS:
        raise InputError(f"there is no format '{format}'; there are: {', '.join(FORMATS)}")
    archive = io.BytesIO()
    with tempfile.TemporaryDirectory(prefix="speechvq-") as folder:
        source, target = Path(folder) / "units", Path(folder) / "export"
        with UnitsWriter(source, codec.codebook_size, codec.hop_length, codec.sample_rate, codec.hash) as writer:
            writer.add(UTTERANCE, units.ids)
        export_units(UnitsDir(source), format, target)
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
            for path in sorted(target.rglob("*")):
                if path.is_file():
                    out.write(path, path.relative_to(target))
    return archive.getvalue()
