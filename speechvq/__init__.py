"""Discrete speech units from raw audio, and a fast WaveNet to hear them again.

    model = speechvq.load(directory)
    units = model.encode(samples, sample_rate)
    voice = model.convert(samples, sample_rate, speaker="slt")
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from speechvq.version import VERSION as __version__

if TYPE_CHECKING:
    from speechvq.codec import Codec

__all__ = ["Codec", "DataDir", "Prior", "Sampling", "Units", "UnitsDir", "__version__", "load"]

_HOMES = {"Codec": "codec", "Sampling": "codec", "DataDir": "corpus", "Prior": "prior", "Units": "units", "UnitsDir": "units"}


def load(directory: str | os.PathLike | None = None, backend: str = "auto", precision: str = "auto") -> Codec:
    """Open a model.

    Args:
        directory: the model directory; the model that ships where left out.
        backend: of the decoder: auto, reference, cpu or cuda.
        precision: of its weights: auto, float32, float16, int8 or tensor16.

    Raises:
        ModelError: the directory cannot be used.
    """
    from speechvq.checkpoint import model_directory
    from speechvq.codec import Codec

    return Codec(model_directory(directory), backend, precision)


def __getattr__(name: str):
    # Public names are looked up when first used, so that `import speechvq` never loads torch.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"speechvq.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'speechvq' has no attribute '{name}'")
