"""The tab that says what model this is, how good, and how to do the same without the page."""

from __future__ import annotations

import gradio as gr

from speechvq.checkpoint import DEFAULT_MODEL
from speechvq.codec import Codec
from speechvq.demo.figures import PhoneTable
from speechvq.demo.studio import Studio
from speechvq.nn.conv import count_parameters

SHELL = """\
# the same from the shell
speechvq convert {option}--speaker {voice} my.wav -o converted.wav
speechvq encode  {option}my.wav -o units/my
speechvq decode  {option}units/my --speaker {voice} -o spoken/
speechvq export  units/my --format kaldi-text -o exports/my
speechvq enroll  {option}--name me my1.wav my2.wav -o {model}-with-me
speechvq info    {named}"""

CLIENT = """\
import base64
from gradio_client import Client

client = Client("http://127.0.0.1:7860")
audio = base64.b64encode(open("my.wav", "rb").read()).decode()
made = client.predict(audio, "{voice}", 0, 1.0, api_name="/convert")
open("converted.wav", "wb").write(base64.b64decode(made["audio"]))"""


def about_tab(studio: Studio, model: gr.Dropdown) -> None:
    """Lay out the tab."""
    card = gr.Markdown(describe(studio, studio.first), elem_id="about-card")
    model.change(lambda name: describe(studio, name), model, card, show_progress="hidden", api_visibility="private")


def describe(studio: Studio, name: str) -> str:
    """Markdown about a model: facts, its card, its metrics, commands."""
    codec = studio.codec(name)
    file = codec.path / "card.md"
    card = file.read_text(encoding="utf-8") if file.exists() else f"# The model {name}\n\nThis model came without a card."
    voice = codec.speakers[0]
    parts = [
        card,
        f"## In figures\n\n{_table(facts(codec))}",
        _metrics(studio.phones[name]),
        f"## Without this page\n\n```bash\n{_shell(codec, name)}\n```",
        f"From Python, through this page's API:\n\n```python\n{CLIENT.format(voice=voice)}\n```",
        "How it works: a convolutional encoder turns sound into a row of units from a codebook; a WaveNet, told the units and "
        "a speaker, draws the sound again one sample at a time (van den Oord et al., *Neural Discrete Representation Learning*, 2017).",
    ]
    return "\n\n".join(part for part in parts if part)


def _shell(codec: Codec, name: str) -> str:
    # The model that ships is taken where none is named.
    named = "" if codec.path == DEFAULT_MODEL else name
    option = f"--model {named} " if named else ""
    return SHELL.format(option=option, named=named, model=name, voice=codec.speakers[0]).rstrip()


def facts(codec: Codec) -> dict[str, str]:
    """What a model is, in a few words each."""
    config, units = codec.model.config, codec.sample_rate / codec.hop_length
    return {
        "Units a second": f"{units:g} (one for every {codec.hop_length} samples at {codec.sample_rate / 1000:g} kHz)",
        "Codebook": f"{codec.codebook_size} units",
        "Voices": str(len(codec.speakers)),
        "WaveNet": f"{config.decoder.layers} layers, {config.decoder.residual} residual and {config.decoder.skip} skip channels",
        "Parameters": f"{count_parameters(codec.model) / 1e6:.2f} million",
        "Engine": f"{codec.engine.backend}, {codec.engine.precision}",
        "Hash of encoder and codebook": f"`{codec.hash}`",
    }


def _metrics(phones: PhoneTable | None) -> str:
    if phones is None:
        return ""
    rows = {name: f"{100 * right:.1f} % (95 % interval {100 * low:.1f}–{100 * high:.1f})" for name, right, low, high in phones.scores}
    rows["Bits a second"] = f"{phones.bits:.0f}"
    return f"## How well units tell phones\n\nShare of frames whose phone is guessed right from the unit alone, beside simpler guesses.\n\n{_table(rows)}"


def _table(rows: dict[str, str]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])
