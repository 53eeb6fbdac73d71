"""The tab that learns a visitor's voice, for this browser session only."""

from __future__ import annotations

import html

import gradio as gr

from speechvq.demo import widgets
from speechvq.demo.session import add_voice, choices
from speechvq.demo.stepwise import stepwise
from speechvq.demo.studio import WORK, Studio, in_a_sentence
from speechvq.demo.wire import recording
from speechvq.enroll import fit_voice, require_new_name
from speechvq.errors import InputError

CONSENT = "This is my own voice, or its owner has agreed that I use it here."
READ_THIS = (
    "Read this aloud, or say what you like: *The north wind and the sun were disputing which of them was the stronger, "
    "when a traveller came along wrapped in a warm cloak. They agreed that whoever first made the traveller take off "
    "his cloak should be held to be the stronger of the two.*"
)


def voice_tab(studio: Studio, model: gr.Dropdown, own: gr.State, rate: int, chosen: tuple[gr.Dropdown, gr.Dropdown]) -> None:
    """Lay out the tab.

    Args:
        chosen: the choices of voices of the other tabs, which learn of the new one.
    """
    limits = studio.limits
    gr.Markdown("Teach the model a voice from about half a minute of speech. It lives in this browser session only: nothing is written down, and a reload forgets it.")
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=280):
            source = widgets.recorder("voice-source", "Speech of one person", rate, limits.enrol_seconds)
            gr.Markdown(READ_THIS, elem_classes="sv-quiet")
        with gr.Column(scale=4, min_width=280):
            name = gr.Textbox("me", label="Name of the voice", info="One word.", max_length=24, elem_id="voice-name")
            consent = gr.Checkbox(label=CONSENT, elem_id="voice-consent")
            with gr.Row():
                go = gr.Button("Learn this voice", variant="primary", elem_id="voice-go", min_width=190)
                stop = gr.Button("Stop", elem_id="voice-stop", min_width=80)
            report = gr.HTML(status("Record some speech, tick the box, and start. It takes about half a minute."), elem_id="voice-report", elem_classes="sv-host", apply_default_css=False, padding=False)

    @in_a_sentence
    def learn(value: str, name: str, agreed: bool, model: str, own: dict):
        if agreed is not True:
            raise InputError("tick the box first: a voice is learned only with its owner's consent")
        codec, name = studio.codec(model), (name or "").strip()
        require_new_name(name, [known for _, known in choices(model, codec, own)])
        samples = recording(value, codec.sample_rate, limits.enrol_seconds)
        yield status("Listening …", 0.0), own
        work, shown = stepwise(lambda advance: fit_voice(codec.model, [samples], advance)), 0.0
        try:
            while True:
                share = next(work)
                if share - shown >= 0.02:
                    shown = share
                    yield status("Learning …", share), own
        except StopIteration as done:
            own = add_voice(own, model, name, done.value)
        finally:
            work.close()
        yield status(f"The voice {name} is ready: choose it under Convert or Units.", 1.0), own

    def offer(names: list[str], model: str, own: dict):
        listed = choices(model, studio.codec(model), own)
        newest = [voice for of, voice in own if of == model][-1:]
        return gr.Dropdown(choices=listed, value=newest or names), gr.Dropdown(choices=listed, value=(newest or [listed[0][1]])[0])

    running = go.click(learn, [source, name, consent, model, own], [report, own], concurrency_limit=limits.jobs, concurrency_id=WORK, trigger_mode="once", show_progress="hidden", api_visibility="private")
    running.success(offer, [chosen[0], model, own], list(chosen), show_progress="hidden", api_visibility="private")
    stop.click(lambda: status("Stopped."), None, report, cancels=[running], show_progress="hidden", api_visibility="private")


def status(text: str, share: float | None = None) -> str:
    """A line, and a bar that shows how far the work is."""
    line = f'<p class="sv-status" role="status">{html.escape(text)}</p>'
    width = 0 if share is None else round(100 * share)
    bar = f'<div class="sv-meter" role="progressbar" aria-label="Progress" aria-valuenow="{width}" aria-valuemin="0" aria-valuemax="100"><div style="width:{width}%"></div></div>'
    return line + bar
