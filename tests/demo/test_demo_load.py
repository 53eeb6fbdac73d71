"""Many visitors at once: everybody gets their own result, and a full queue says so."""

from __future__ import annotations

import base64
import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
from demo_inputs import sweep

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'speechvq[demo]'")
from gradio_client import Client

from speechvq.codec import Sampling
from speechvq.demo.limits import Limits
from speechvq.demo.server import running, settings
from speechvq.demo.studio import Studio
from speechvq.demo.wire import wav_base64

pytestmark = pytest.mark.demo
VISITORS = 20


def test_twenty_visitors_get_their_own_results(real_address, real_studio):
    codec = real_studio.codec(real_studio.first)
    voices = codec.speakers
    recordings = [sweep(0.6 + 0.05 * k, pitch=90 + 9 * k) for k in range(VISITORS)]
    clients = [Client(real_address, verbose=False, httpx_kwargs={"timeout": 600}) for _ in range(VISITORS)]

    def visit(k: int) -> np.ndarray:
        made = clients[k].predict(wav_base64(recordings[k], 16000), voices[k % len(voices)], k, 1.0, api_name="/convert")
        return soundfile.read(io.BytesIO(base64.b64decode(made["audio"])))[0]

    with ThreadPoolExecutor(VISITORS) as pool:
        results = list(pool.map(visit, range(VISITORS)))
    for k, result in enumerate(results):
        sent = soundfile.read(io.BytesIO(base64.b64decode(wav_base64(recordings[k], 16000))), dtype="float32")[0]
        expected = codec.convert(sent, 16000, voices[k % len(voices)], Sampling(k))
        assert len(result) == len(expected)
        assert np.abs(result - np.clip(expected, -1, 1)).max() < 1e-4, f"visitor {k} got something else"


def test_a_full_queue_says_so_and_the_others_are_served(tiny):
    studio = Studio({"tiny": tiny}, Limits(seconds=8.0, jobs=1, queue=2), {"tiny": None})
    with settings(), running(studio, "127.0.0.1", None) as url:
        client = Client(url, verbose=False, httpx_kwargs={"timeout": 600})
        jobs = [client.submit([1, 2] * 900, "anna", api_name="/decode") for _ in range(10)]
        refused = [job.exception(timeout=120) for job in jobs]
        assert any(refused) and not all(refused)
        assert all("queue" in str(error).lower() for error in refused if error)
        assert client.predict([1, 2], "anna", api_name="/decode")["seconds"] > 0
