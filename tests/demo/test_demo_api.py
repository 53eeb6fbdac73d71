"""The server over HTTP: endpoints, guard, and the sentences they answer with."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
import soundfile
from demo_inputs import sweep

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'speechvq[demo]'")
import httpx
from gradio_client import Client
from gradio_client.exceptions import AppError

from speechvq.codec import Sampling
from speechvq.demo.wire import wav_base64


@pytest.fixture(scope="module")
def client(address):
    return Client(address, verbose=False, httpx_kwargs={"timeout": 120})


def samples_of(made: dict) -> np.ndarray:
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(made["audio"])))
    assert rate == made["sample_rate"]
    return samples


def test_endpoints_do_what_the_library_does(client, tiny):
    speech = sweep(0.8)
    encoded = client.predict(wav_base64(speech, 16000), api_name="/encode")
    as_sent = soundfile.read(io.BytesIO(base64.b64decode(wav_base64(speech, 16000))), dtype="float32")[0]
    assert encoded["units"] == tiny.encode(as_sent, 16000).ids.tolist()
    spoken = samples_of(client.predict(encoded["units"], "ben", 7, 0.8, api_name="/decode"))
    expected = tiny.decode(tiny.units(encoded["units"]), "ben", Sampling(7, 0.8))
    assert np.abs(spoken - np.clip(expected, -1, 1)).max() < 1e-4
    converted = samples_of(client.predict(wav_base64(speech, 16000), "anna", 7, 0.8, api_name="/convert"))
    assert np.abs(converted - np.clip(tiny.convert(as_sent, 16000, "anna", Sampling(7, 0.8)), -1, 1)).max() < 1e-4
    assert client.predict(api_name="/voices")["voices"] == ["anna", "ben", "cleo"]


def test_plain_http_is_enough(address):
    body = {"data": [wav_base64(sweep(0.3), 16000), ""]}
    event = httpx.post(f"{address}gradio_api/call/encode", json=body).json()["event_id"]
    lines = httpx.get(f"{address}gradio_api/call/encode/{event}", timeout=30).text.splitlines()
    assert lines[0] == "event: complete"
    assert len(json.loads(lines[1].removeprefix("data: "))[0]["units"]) == 75


def test_types_are_documented(address):
    described = httpx.get(f"{address}gradio_api/info").json()["named_endpoints"]
    assert set(described) == {"/voices", "/convert", "/encode", "/decode"}
    types = {p["parameter_name"]: p["python_type"]["type"] for p in described["/convert"]["parameters"]}
    assert types == {"audio": "str", "voice": "str", "seed": "int", "temperature": "float", "model": "str"}


@pytest.mark.parametrize(
    ("endpoint", "arguments", "says"),
    [
        ("/convert", ("no audio", "anna"), "base64"),
        ("/convert", (wav_base64(sweep(2.5), 16000), "anna"), "up to 2 s"),
        ("/convert", (wav_base64(sweep(0.3), 16000), "nobody"), "no speaker 'nobody'"),
        ("/convert", (wav_base64(sweep(0.3), 16000), "anna", -4), "seed"),
        ("/convert", (wav_base64(sweep(0.3), 16000), "anna", 0, 9.0), "temperature"),
        ("/encode", (wav_base64(sweep(0.3), 16000), "other"), "no model 'other'"),
        ("/decode", ([1, 32], "anna"), "between 0 and 31"),
        ("/decode", ([], "anna"), "one at least"),
        ("/decode", ([1] * 600, "anna"), "up to 2 s"),
        ("/decode", (["x"], "anna"), "whole numbers"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(client, endpoint, arguments, says):
    with pytest.raises(AppError) as error:
        client.predict(*arguments, api_name=endpoint)
    assert says in str(error.value) and "Traceback" not in str(error.value)


def test_no_path_reaches_the_file_system(address):
    stolen = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
    refused = httpx.post(f"{address}gradio_api/call/convert", json={"data": [stolen, "anna"]})
    assert refused.status_code == 400 and "path" in refused.json()["error"]
    for path in ("gradio_api/file=/etc/passwd", "file=/etc/passwd", "assets/..%2f..%2f..%2fetc/passwd", "gradio_api/proxy=http://example.org"):
        assert httpx.get(f"{address}{path}").status_code == 404
    assert httpx.post(f"{address}gradio_api/upload", files={"files": b"x"}).status_code == 404


def test_large_requests_stop_at_the_door(address, studio):
    refused = httpx.post(f"{address}gradio_api/call/encode", content=b"x" * (studio.limits.upload_bytes + 1))
    assert refused.status_code == 413 and "shorter" in refused.json()["error"]


def test_the_page_may_fetch_nothing_from_elsewhere(address):
    answer = httpx.get(address)
    assert answer.status_code == 200 and "default-src 'self'" in answer.headers["content-security-policy"]
