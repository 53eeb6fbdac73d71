"""The tab that converts a recording to other voices."""

from __future__ import annotations

import gradio as gr

from speechvq.codec import Sampling
from speechvq.demo import widgets
from speechvq.demo.limits import LARGEST_SEED, TEMPERATURES, check_sampling
from speechvq.demo.session import find_voices
from speechvq.demo.studio import WORK, Studio, in_a_sentence
from speechvq.demo.takes import speak
from speechvq.demo.wire import recording


def sampling_controls() -> tuple[gr.Number, gr.Slider]:
    """Seed and temperature, under a fold."""
    with gr.Accordion("How to draw", open=False), gr.Row():
        seed = gr.Number(0, label="Seed", info="The same seed gives the same audio.", precision=0, minimum=0, maximum=LARGEST_SEED, min_width=140)
        low, high = TEMPERATURES
        temperature = gr.Slider(low, high, 1.0, step=0.05, label="Temperature", info="Below 1 draws likelier samples: calmer, duller.", min_width=200)
    return seed, temperature


def convert_tab(studio: Studio, model: gr.Dropdown, own: gr.State, rate: int) -> gr.Dropdown:
    """Lay out the tab; returns its choice of voices."""
    limits, codec = studio.limits, studio.codec(studio.first)
    gr.Markdown("Say something, choose voices, and hear the same words from them. The model turns your speech into a row of numbers, and speaks these numbers again as somebody else.")
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=280):
            source = widgets.recorder("convert-source", "Your recording", rate, limits.seconds)
        with gr.Column(scale=4, min_width=280):
            voices = gr.Dropdown(codec.speakers, value=codec.speakers[:1], multiselect=True, max_choices=limits.voices, label="Voices", info=f"One or several, up to {limits.voices}.", elem_id="convert-voices")
            seed, temperature = sampling_controls()
            with gr.Row():
                go = gr.Button("Convert", variant="primary", elem_id="convert-go", min_width=120)
                stop = gr.Button("Stop", elem_id="convert-stop", min_width=80)
    shown = widgets.results("convert-results", "convert-source", "#convert-go")

    @in_a_sentence
    def convert(value: str, names: list[str], seed: float, temperature: float, model: str, own: dict):
        codec = studio.codec(model)
        how = Sampling(*check_sampling(seed, temperature))
        chosen = find_voices(model, codec, own, names, limits.voices)
        samples = recording(value, codec.sample_rate, limits.seconds)
        units, gain = codec.encode_levelled(samples)
        yield from speak(codec, units, chosen, how, len(samples), gain)

    inputs = [source, voices, seed, temperature, model, own]
    running = go.click(convert, inputs, shown, concurrency_limit=limits.jobs, concurrency_id=WORK, trigger_mode="once", show_progress="hidden", api_visibility="private")
    running.then(None, None, None, js="() => SpeechVQ.end('convert-results')")
    stop.click(None, None, None, js="() => SpeechVQ.stop('convert-results')", cancels=[running])
    return voices
