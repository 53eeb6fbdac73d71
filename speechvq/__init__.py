"""Discrete speech units from raw audio, and a fast WaveNet to hear them again."""

from speechvq.version import VERSION as __version__

__all__ = ["__version__"]
