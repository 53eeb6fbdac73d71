"""What tests of the model share: a tiny corpus, and a tiny model trained on it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tiny import RATE, train_arguments, voice


def pytest_configure(config: pytest.Config) -> None:
    """Before there are several processes, compile what librosa compiles when it is imported.

    Two that do so at once may leave halves of two in numba's cache, and whoever loads those crashes.
    """
    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        import librosa.core.pitch
        import librosa.util.utils  # noqa: F401


@pytest.fixture(scope="session")
def corpora() -> Path:
    """Real speech, named by the environment."""
    path = os.environ.get("SPEECHVQ_CORPORA")
    if not path:
        pytest.skip("SPEECHVQ_CORPORA names no folder of real speech")
    return Path(path)


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory) -> Path:
    """A folder with data directories `train` and `dev` of two invented voices."""
    from speechvq.audio import write
    from speechvq.corpus import Utterance, write_data_dir

    folder = tmp_path_factory.mktemp("corpus")
    for part, count in (("train", 3), ("dev", 1)):
        utterances = []
        for speaker, pitch in (("low", 110.0), ("high", 210.0)):
            for number in range(count):
                utt = f"{speaker}-{part}{number}"
                write(folder / "wav" / f"{utt}.wav", voice(number, 1.5 + 0.1 * number, pitch), RATE)
                utterances.append(Utterance(utt, speaker, folder / "wav" / f"{utt}.wav"))
        write_data_dir(folder / part, utterances)
    return folder


@pytest.fixture(scope="session")
def tiny_exp(tiny_data, tmp_path_factory) -> Path:
    """An experiment folder in which a tiny model was trained."""
    from speechvq.cli import main

    exp = tmp_path_factory.mktemp("exp") / "tiny"
    assert main(train_arguments(tiny_data, exp)) == 0
    return exp
