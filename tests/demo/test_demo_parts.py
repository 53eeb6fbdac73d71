"""The parts of the page that need neither browser nor server."""

from __future__ import annotations

import base64
import io
import json
import threading
import zipfile

import numpy as np
import pytest
import soundfile
from demo_inputs import sweep

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'speechvq[demo]'")

from speechvq import audio
from speechvq.checkpoint import DEFAULT_MODEL
from speechvq.codec import Sampling
from speechvq.demo import widgets
from speechvq.demo.about_tab import describe
from speechvq.demo.figures import read_phone_table, spectrogram, unit_view
from speechvq.demo.guard import allowed, names_file
from speechvq.demo.limits import Limits, check_sampling
from speechvq.demo.session import add_voice, choices, find_voices
from speechvq.demo.stepwise import stepwise
from speechvq.demo.studio import in_a_sentence, open_studio
from speechvq.demo.takes import speak
from speechvq.demo.units_tab import export_zip
from speechvq.demo.wire import audio_from_base64, parse_units, pcm_base64, recording, wav_base64
from speechvq.errors import AudioError, InputError
from speechvq.formats import FORMATS
from speechvq.model import Voice


def as_base64(samples, rate, **options) -> str:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, **options)
    return base64.b64encode(file.getvalue()).decode()


@pytest.mark.parametrize("format", ["WAV", "FLAC", "OGG"])
def test_audio_travels_as_text_at_any_rate(format):
    samples = sweep(1.0, 48000)
    read = audio_from_base64(as_base64(samples, 48000, format=format), 16000, 2.0)
    expected = audio.resample(samples, 48000, 16000)
    assert abs(len(read) - 16000) <= 1
    assert np.abs(read[:15900] - expected[:15900]).mean() < (0.01 if format == "OGG" else 1e-4)


def test_wav_and_pcm_come_back_as_they_went():
    samples = sweep(0.3)
    back, rate = soundfile.read(io.BytesIO(base64.b64decode(wav_base64(samples, 16000))))
    assert rate == 16000 and np.abs(back - samples).max() < 1e-4
    assert np.abs(np.frombuffer(base64.b64decode(pcm_base64(samples)), "<i2") / 32767 - samples).max() < 1e-4


@pytest.mark.parametrize("text", ["not base64!", base64.b64encode(b"hello").decode(), "", None, "/etc/passwd"])
def test_what_is_no_audio_is_refused_in_a_sentence(text):
    with pytest.raises(AudioError):
        audio_from_base64(text, 16000, 2.0)


def test_long_audio_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(audio, "read", lambda *_: pytest.fail("it was read"))
    with pytest.raises(InputError, match="up to 2 s"):
        audio_from_base64(as_base64(np.zeros(16000 * 3, np.float32), 16000, format="WAV"), 16000, 2.0)


@pytest.mark.parametrize("value", ["", None])
def test_no_recording_is_a_sentence(value):
    with pytest.raises(InputError, match="record one"):
        recording(value, 16000, 2.0)


@pytest.mark.parametrize("value", ["{", "[]", '{"path": "/etc/passwd"}', "3"])
def test_half_a_recording_is_a_sentence(value):
    with pytest.raises(AudioError):
        recording(value, 16000, 2.0)


def test_units_are_read_as_people_type_them(tiny):
    assert parse_units("1 2,3\n 31", tiny, 1.0).ids.tolist() == [1, 2, 3, 31]


@pytest.mark.parametrize("text", ["", "1 -2", "1.5", "32", "999999999999", "¹", "one", "1 " * 600])
def test_units_that_cannot_be_are_refused(tiny, text):
    with pytest.raises(InputError):
        parse_units(text, tiny, 1.0)


@pytest.mark.parametrize(("seed", "temperature"), [(-1, 1), (0.5, 1), (float("nan"), 1), (2**40, 1), (None, 1), (0, -0.1), (0, 2.1), (0, float("nan")), (0, None)])
def test_sampling_out_of_range_is_refused(seed, temperature):
    with pytest.raises(InputError):
        check_sampling(seed, temperature)


def test_takes_tell_the_truth_as_they_are_made(tiny):
    units, gain = tiny.encode_levelled(sweep(1.3))
    messages = [json.loads(m) for m in speak(tiny, units, [("anna", "anna"), ("ben", "ben")], Sampling(3), 20800, gain)]
    assert len({m["job"] for m in messages}) == 1
    assert [m["takes"][0]["made"] for m in messages[:4]] == [6976, 14976, 19776, 20800]
    assert all(m["takes"][1]["made"] == 0 for m in messages[:4])
    for row, voice in zip(messages[-1]["takes"], ("anna", "ben"), strict=True):
        made = np.frombuffer(base64.b64decode(row["pcm"]), "<i2") / 32767
        expected = np.clip(tiny.convert(sweep(1.3), 16000, voice, Sampling(3)), -1, 1)
        assert np.abs(made - expected).max() < 1e-4
        assert row["made"] == row["total"] == 20800 and row["speed"] > 0
    # Each message carries on where the one before ended, even if the page missed some.
    partial = [row for m in messages[:-1] for row in m["takes"] if "pcm" in row]
    assert all(row["from"] + len(base64.b64decode(row["pcm"])) // 2 == row["made"] for row in partial)


def test_own_voices_stay_with_their_session_and_model(tiny):
    voice = Voice(np.zeros(4, np.float32), np.zeros(40, np.float32))
    own = add_voice({}, "tiny", "me", voice)
    assert choices("tiny", tiny, own)[0] == ("me (yours)", "me")
    assert choices("other", tiny, own)[0] == ("anna", "anna")
    assert find_voices("tiny", tiny, own, ["me", "ben"], 4)[0][1] is voice
    for names in ([], ["nobody"], ["anna"] * 5):
        with pytest.raises(InputError):
            find_voices("tiny", tiny, own, names, 4)
    with pytest.raises(InputError):
        find_voices("tiny", tiny, {}, ["me"], 4)


def test_spectrogram_has_a_column_for_every_unit_and_shows_a_tone(tiny):
    tone = 0.1 * np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32)
    image = spectrogram(tiny, tone)
    assert image.shape == (64, 250) and image.dtype == np.uint8
    loudest = np.bincount(image[:, 50:200].argmax(axis=0)).argmax()
    assert 8 < loudest < 32 and image[60, 100] < image[loudest, 100] - 100
    view = json.loads(unit_view(tiny, tone, tiny.encode(tone, 16000), 0.0, {3: [("AH", 0.5)]}))
    assert len(view["ids"]) == 250 and view["columns"] == 1 and view["phones"] == {"3": [["AH", 0.5]]}


def test_phone_table_is_what_evaluate_prints(tmp_path):
    assert read_phone_table(tmp_path) is None
    results = {"classes": ["AA", "B"], "counts": [[3, 1], [0, 0], [0, 2]], "accuracy": [{"name": "units", "all": 0.5, "all_interval": [0.4, 0.6]}], "bitrate": {"bits_per_second": 9}}
    (tmp_path / "phones.json").write_text(json.dumps(results))
    table = read_phone_table(tmp_path)
    assert table.likely == {0: [("AA", 0.75), ("B", 0.25)], 2: [("B", 1.0)]}
    assert table.scores == [("units", 0.5, 0.4, 0.6)] and table.bits == 9
    (tmp_path / "phones.json").write_text("{}")
    with pytest.raises(InputError, match="evaluate units"):
        read_phone_table(tmp_path)


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_comes_as_a_zip_or_a_sentence(tiny, format):
    units = tiny.units([1, 1, 2, 3, 3, 3])
    try:
        data = export_zip(tiny, units, format)
    except InputError as error:
        assert str(error)
        return
    names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    assert names and not [name for name in names if name.startswith("/") or ".." in name]


def test_work_tells_its_progress_and_ends_when_abandoned():
    def work(advance):
        for share in (0.5, 1.0):
            advance(share)
        return "made"

    steps = stepwise(work)
    assert [next(steps), next(steps)] == [0.5, 1.0]
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value == "made"

    ended = threading.Event()

    def endless(advance):
        try:
            while True:
                advance(0.1)
        finally:
            ended.set()

    steps = stepwise(endless)
    next(steps)
    steps.close()
    assert ended.is_set()


def test_what_work_raises_reaches_its_watcher():
    def work(advance):
        raise InputError("too little")

    with pytest.raises(InputError, match="too little"):
        list(stepwise(work))


def test_every_fault_becomes_a_sentence_without_a_trace(caplog):
    import gradio as gr

    @in_a_sentence
    def known():
        raise InputError("the seed must be <b> whole")

    @in_a_sentence
    def unknown():
        yield 1
        raise RuntimeError("/secret/path: boom")

    with pytest.raises(gr.Error, match=r"^'?The seed must be &lt;b&gt; whole\.'?$"):
        known()
    with pytest.raises(gr.Error) as error:
        list(unknown())
    assert "secret" not in str(error.value) and "secret" in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "fine"),
    [
        ("GET", "/", True),
        ("GET", "/assets/index.js", True),
        ("POST", "/gradio_api/queue/join", True),
        ("GET", "/gradio_api/queue/data", True),
        ("POST", "/gradio_api/call/convert", True),
        ("GET", "/gradio_api/call/convert/abc", True),
        ("POST", "/gradio_api/upload", False),
        ("GET", "/gradio_api/file=/etc/passwd", False),
        ("GET", "/file=/etc/passwd", False),
        ("GET", "/gradio_api/proxy=http://example.org", False),
        ("POST", "/gradio_api/component_server", False),
        ("POST", "/gradio_api/vibe-code", False),
        ("GET", "/assets/../../../etc/passwd", False),
        ("GET", "/gradio_api/stream/a/b/c/playlist.m3u8", False),
        ("GET", "/monitoring", False),
        ("DELETE", "/", False),
    ],
)
def test_only_what_the_page_needs_is_open(method, path, fine):
    assert allowed(method, path) is fine


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ('{"data": ["text", 1]}', False),
        ('{"data": ["{\\"path\\": 1}"]}', False),
        ('{"data": [{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}]}', True),
        ('{"data": [[{"a": {"url": "http://example.org"}}]]}', True),
        ("not json", True),
        ("[" * 100000, True),
    ],
)
def test_bodies_that_name_files_are_found(body, names):
    assert names_file(body.encode()) is names


def test_the_page_carries_all_it_needs(tiny, studio):
    head = widgets.head()
    assert "http://" not in head.replace("http://www.w3.org", "") and "https://" not in head
    assert head.count("<script>") == head.count("</script>") == len(widgets.SCRIPTS) + 1
    assert "speechvq convert --model tiny" in describe(studio, "tiny")


def test_commands_for_the_model_that_ships_name_no_model():
    shipped = open_studio([DEFAULT_MODEL], Limits())
    commands = describe(shipped, shipped.first)
    assert "speechvq convert --speaker" in commands and "--model" not in commands.split("```bash")[1].split("```")[0]
