"""The recogniser on real speech, and the judge that counts its errors."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from speechvq.audio import read
from speechvq.evaluate.conversion_files import Conversion
from speechvq.evaluate.judges import Case, Words
from speechvq.sphinx.recognise import Recogniser

pytest.importorskip("pocketsphinx")
CORPORA = os.environ.get("SPEECHVQ_CORPORA")


@pytest.mark.skipif(not CORPORA, reason="set SPEECHVQ_CORPORA to the folder of real speech")
def test_speech_is_heard_better_than_noise():
    original = read(Path(CORPORA) / "cmu_arctic/cmu_us_slt_arctic/wav/arctic_a0002.flac")
    text = "Not at this particular case, Tom, apologized Whittemore."
    noisy = original + 0.03 * np.random.default_rng(0).normal(size=len(original)).astype(np.float32)
    values = Words().measure(Case(Conversion(Path("x.wav"), "slt-a0002", "slt", "bdl"), noisy, original, text))
    assert values["words"] == 8 and values["letters"] == len("not at this particular case tom apologized whittemore")
    assert values["word_errors_original"] <= 3 < values["word_errors"]
    assert values["letter_errors_original"] < values["letter_errors"]


def test_utterances_do_not_influence_each_other():
    rng = np.random.default_rng(0)
    noise, quiet = rng.normal(size=4000) * 0.05, rng.normal(size=4000) * 0.001
    alone = Recogniser().transcribe(quiet)
    recogniser = Recogniser()
    recogniser.transcribe(noise)
    assert recogniser.transcribe(quiet) == alone
    assert Words().measure(Case(Conversion(Path("x.wav"), "u", "a", "b"), quiet, quiet, None)) == {}
