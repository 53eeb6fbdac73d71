"""The page: title, model, four tabs, and the endpoints behind them."""

from __future__ import annotations

import gradio as gr

from speechvq.demo.about_tab import about_tab
from speechvq.demo.api import add_endpoints
from speechvq.demo.convert_tab import convert_tab
from speechvq.demo.session import choices
from speechvq.demo.studio import Studio
from speechvq.demo.units_tab import units_tab
from speechvq.demo.voice_tab import voice_tab

TITLE = "speechvq"
SESSION_SECONDS = 3600
FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "monospace")


def build_page(studio: Studio) -> gr.Blocks:
    """The whole page; launch it with `server.start`."""
    names = list(studio.codecs)
    rate = max(codec.sample_rate for codec in studio.codecs.values())
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as page:
        # First, so that no handler of a tab takes an endpoint's name.
        add_endpoints(studio)
        gr.HTML(f"<h1>{TITLE}</h1><p>Speech as a row of discrete units, and a fast WaveNet to hear them again.</p>", elem_id="sv-title")
        model = gr.Dropdown(names, value=studio.first, label="Model", visible=len(names) > 1, elem_id="model")
        own = gr.State({}, time_to_live=SESSION_SECONDS)
        with gr.Tabs():
            with gr.Tab("Convert", id="convert"):
                voices = convert_tab(studio, model, own, rate)
            with gr.Tab("Units", id="units"):
                voice = units_tab(studio, model, own, rate)
            with gr.Tab("New voice", id="voice"):
                voice_tab(studio, model, own, rate, (voices, voice))
            with gr.Tab("About", id="about"):
                about_tab(studio, model)
        def offer(name: str, own: dict):
            listed = choices(name, studio.codec(name), own)
            first = listed[0][1]
            return gr.Dropdown(choices=listed, value=[first]), gr.Dropdown(choices=listed, value=first)

        model.change(offer, [model, own], [voices, voice], show_progress="hidden", api_visibility="private")
    return page


def theme() -> gr.themes.Base:
    """Quiet colours and the system's own fonts, so that nothing is fetched."""
    soft = gr.themes.Soft(primary_hue="indigo", neutral_hue="slate", font=FONTS, font_mono=MONO, radius_size="md")
    return soft.set(
        block_title_background_fill="transparent",
        block_title_background_fill_dark="transparent",
        block_title_text_color="*body_text_color",
        block_title_text_color_dark="*body_text_color",
        block_title_padding="0",
        body_background_fill="*neutral_50",
        block_border_width="1px",
        input_border_width="1px",
        # The theme's own grey is too faint to read.
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_500",
        block_info_text_color_dark="*neutral_400",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_500",
    )
