"""Models and servers for the tests of the demo."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from demo_inputs import make_model

from speechvq.checkpoint import DEFAULT_MODEL
from speechvq.codec import Codec


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Codec:
    """A model that makes the same noise every time."""
    return Codec(make_model(tmp_path_factory.mktemp("tiny") / "tiny"), backend="cpu", precision="float32", threads=1)


@pytest.fixture(scope="session")
def studio(tiny):
    """The tiny model under tight limits."""
    from speechvq.demo.limits import Limits
    from speechvq.demo.studio import Studio

    return Studio({"tiny": tiny}, Limits(seconds=2.0, jobs=2, queue=8), {"tiny": None})


@pytest.fixture(scope="module")
def address(studio):
    """The page on the tiny model."""
    from speechvq.demo.server import running, settings

    with settings(), running(studio, "127.0.0.1", None) as url:
        yield url


@pytest.fixture(scope="session")
def real_studio(tmp_path_factory):
    """The model that $SPEECHVQ_MODEL names, or that which ships; an untrained one where there is neither."""
    from speechvq.demo.limits import Limits
    from speechvq.demo.studio import open_studio

    torch.set_num_threads(1)
    path = os.environ.get("SPEECHVQ_MODEL") or (DEFAULT_MODEL if (DEFAULT_MODEL / "config.yaml").exists() else None)
    path = Path(path) if path else make_model(tmp_path_factory.mktemp("real") / "untrained")
    return open_studio([path], Limits(jobs=2))


@pytest.fixture(scope="module")
def real_address(real_studio):
    """The page on the real model."""
    from speechvq.demo.server import running, settings

    with settings(), running(real_studio, "127.0.0.1", None) as url:
        yield url
