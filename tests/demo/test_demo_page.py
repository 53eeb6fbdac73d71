"""The real page in headless Chromium, as a visitor uses it."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from demo_inputs import sweep

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'speechvq[demo]'")
playwright = pytest.importorskip("playwright.sync_api", reason="driving the page needs playwright: pip install playwright")

from speechvq import audio  # noqa: E402

pytestmark = pytest.mark.demo
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
]  # fmt: skip
LAPTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
PATIENCE = 180_000


@pytest.fixture(scope="module")
def browser():
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        pytest.skip("no chromium: apt-get install chromium, or name it in $CHROMIUM")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser, real_address):
    """The page in a session of its own; fails the test where the page asked others for anything, or a script failed."""
    context = browser.new_context(viewport=LAPTOP, permissions=["microphone"], accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    outside, faults = [], []
    page.on("request", lambda r: r.url.startswith((real_address, "data:", "blob:")) or outside.append(r.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(real_address)
    page.wait_for_selector("#convert-source .sv-button")
    yield page
    context.close()
    assert not outside and not faults


def open_tab(page, name: str) -> None:
    page.click(f"role=tab[name='{name}']")


def ready(page, widget: str, text: str) -> None:
    page.wait_for_function("([id, text]) => document.querySelector(`#${id} .sv-status`).textContent.includes(text)", arg=[widget, text])


def take_example(page, widget: str, name: str = "Numbers") -> None:
    page.click(f"#{widget} >> text={name}")
    ready(page, widget, f"{name}, ")


def test_upload_and_convert_to_two_voices(page, tmp_path, real_studio):
    audio.write(tmp_path / "mine.wav", sweep(1.5), 16000)
    page.set_input_files("#convert-source input[type=file]", tmp_path / "mine.wav")
    ready(page, "convert-source", "mine.wav, 1.5 s")
    second = real_studio.codec(real_studio.first).speakers[1]
    page.click("#convert-voices input")
    page.click(f"role=option >> text={second}")
    page.keyboard.press("Escape")
    page.click("#convert-go")
    page.wait_for_selector("#convert-results .sv-card:nth-child(3).sv-whole")
    notes = page.locator("#convert-results .sv-note").all_text_contents()
    assert "as it came" in notes[0] and all("× real time" in note and note.startswith("1.5 s") for note in notes[1:])
    with page.expect_download() as download:
        page.click("#convert-results .sv-card:nth-child(3) .sv-save")
    assert download.value.suggested_filename == f"mine-{second}.wav"
    saved = audio.read(Path(download.value.path()))
    assert len(saved) == 24000 and saved.std() > 1e-3


def test_record_from_the_microphone(page):
    page.click("#convert-source .sv-record")
    ready(page, "convert-source", "Recording …")
    page.wait_for_timeout(2500)
    page.click("#convert-source .sv-record")
    ready(page, "convert-source", "Recording, ")
    page.click("#convert-go")
    page.wait_for_selector("#convert-results .sv-card:nth-child(2).sv-whole")


@pytest.mark.parametrize(("name", "seconds", "says"), [("notes.wav", None, "no audio"), ("long.wav", 31.0, "up to 30 seconds")])
def test_wrong_and_long_files_are_refused_in_a_sentence(page, tmp_path, name, seconds, says):
    if seconds:
        audio.write(tmp_path / name, sweep(seconds), 16000)
    else:
        (tmp_path / name).write_text("these are words")
    page.set_input_files("#convert-source input[type=file]", tmp_path / name)
    ready(page, "convert-source", says)
    page.click("#convert-go")
    page.wait_for_selector("text=There is no recording yet")


def test_units_are_shown_edited_and_heard(page):
    open_tab(page, "Units")
    page.wait_for_selector("#units-source .sv-button")
    take_example(page, "units-source")
    ready(page, "units-strip", "without repeats")
    text = page.locator("#units-text textarea")
    before = text.input_value().split()
    strip = page.locator("#units-strip .sv-scroller")
    strip.focus()
    page.keyboard.press("ArrowRight")
    ready(page, "units-strip", f"Unit {before[0]} · 0.000")
    run = next(i for i, unit in enumerate([*before, ""]) if unit != before[0])
    page.click("#units-strip >> text=Delete")
    page.wait_for_function("n => document.querySelector('#units-text textarea').value.split(' ').length === n", arg=len(before) - run)
    assert text.input_value().split() == before[run:]
    page.click("#units-strip >> text=Undo")
    page.wait_for_function("n => document.querySelector('#units-text textarea').value.split(' ').length === n", arg=len(before))
    text.fill(" ".join(before[:100]))
    ready(page, "units-strip", "100 units in")
    page.click("#units-speak")
    page.wait_for_selector("#units-results .sv-card.sv-whole")
    strip.focus()
    page.keyboard.press("ArrowRight")
    page.click("#units-speak-selection")
    page.wait_for_function("() => document.querySelectorAll('#units-results .sv-card.sv-whole').length === 2")
    with page.expect_download() as download:
        page.click("#units-export")
    assert download.value.suggested_filename == "units-kaldi-text.zip"


def test_a_new_voice_needs_consent_and_stays_in_its_session(page, browser, real_address, tmp_path):
    open_tab(page, "New voice")
    page.wait_for_selector("#voice-source .sv-button")
    audio.write(tmp_path / "me.wav", sweep(6.0), 16000)
    page.set_input_files("#voice-source input[type=file]", tmp_path / "me.wav")
    ready(page, "voice-source", "me.wav, 6.0 s")
    page.click("#voice-go")
    page.wait_for_selector("text=Tick the box first")
    page.check("#voice-consent input")
    page.click("#voice-go")
    page.wait_for_selector("#voice-report >> text=The voice me is ready")
    open_tab(page, "Convert")
    page.wait_for_selector("#convert-voices >> text=me (yours)")
    take_example(page, "convert-source")
    page.click("#convert-go")
    page.wait_for_selector("#convert-results .sv-card[aria-label='me'].sv-whole")
    other = browser.new_page()
    other.goto(real_address)
    other.click("#convert-voices input", timeout=PATIENCE)
    other.wait_for_selector("role=option")
    assert "me (yours)" not in other.locator("role=option").all_text_contents()
    other.close()


def test_an_abandoned_job_is_cancelled(browser, real_address, real_studio, monkeypatch):
    from speechvq.demo import convert_tab

    ended, real = [], convert_tab.speak

    def watched(*args):
        try:
            yield from real(*args)
            ended.append("finished")
        except GeneratorExit:
            ended.append("cancelled")
            raise

    monkeypatch.setattr(convert_tab, "speak", watched)
    # Slow enough to be caught in the middle, however fast the machine.
    engine = type(real_studio.codec(real_studio.first).engine)
    generate = engine.generate
    monkeypatch.setattr(engine, "generate", lambda *args: (time.sleep(0.5), generate(*args))[1])
    for leave in ("stop", "close"):
        page = browser.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(real_address)
        page.wait_for_selector("#convert-source .sv-button")
        take_example(page, "convert-source")
        page.click("#convert-go")
        page.wait_for_selector("#convert-results .sv-card:nth-child(2) progress:not([value='0'])")
        if leave == "stop":
            page.click("#convert-stop")
            page.wait_for_selector("#convert-results >> text=stopped")
        else:
            page.close()
        wait_until(lambda count=1 + (leave == "close"): len(ended) == count)
    assert ended == ["cancelled", "cancelled"]


@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_tab_fits_its_screen(browser, real_address, size, scheme, tmp_path):
    """Writes a picture of each tab to $SPEECHVQ_SHOTS, where that is set."""
    context = browser.new_context(viewport=size, color_scheme=scheme, is_mobile=size is PHONE, has_touch=size is PHONE)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(real_address)
    page.wait_for_selector("#convert-source .sv-button")
    folder = Path(os.environ.get("SPEECHVQ_SHOTS", tmp_path))
    for tab, widget in (("Convert", "#convert-go"), ("Units", "#units-speak"), ("New voice", "#voice-go"), ("About", "#about-card")):
        open_tab(page, tab)
        page.wait_for_selector(widget)
        if tab == "Convert":
            take_example(page, "convert-source")
            page.click("#convert-go")
            page.wait_for_selector("#convert-results .sv-card:nth-child(2).sv-whole")
        if tab == "Units":
            take_example(page, "units-source", "A question")
            ready(page, "units-strip", "without repeats")
        page.wait_for_timeout(300)
        page.screenshot(path=folder / f"{tab.replace(' ', '-').lower()}-{'phone' if size is PHONE else 'laptop'}-{scheme}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        unnamed = page.evaluate("[...document.querySelectorAll('button, input, audio, textarea')].filter(e => e.offsetParent && !(e.innerText || e.ariaLabel || e.title || (e.labels && e.labels.length))).map(e => e.outerHTML.slice(0, 120))")
        assert not unnamed
    context.close()


def wait_until(true, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.1)
    assert true()
