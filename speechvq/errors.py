"""Every error that speechvq raises on purpose.

SpeechVQError
├── InputError              what the user gave cannot be used: one line, exit code 2
│   ├── AudioError          unreadable, empty, truncated or not finite
│   ├── CorpusError         a data directory that breaks Kaldi's rules
│   ├── AlignmentError      phone times that cannot be read or overlap
│   ├── ConfigError         an unknown key, a wrong type, an impossible value
│   ├── UnitsError          units or a units directory that contradict themselves
│   ├── ModelError          a model directory that is missing, broken or of another kind
│   └── FormatError         a file of another toolkit that cannot be read or written
├── MissingDependency       an optional package is needed: says which extra installs it
├── BackendUnavailable      the named decoding backend cannot run here
└── NeedConditioning        an engine was asked for samples beyond what was pushed

A message says what was given, what was expected, and what to do.
"""

from __future__ import annotations


class SpeechVQError(Exception):
    """Base of all deliberate errors."""


class InputError(SpeechVQError):
    """What the user gave cannot be used."""


class AudioError(InputError):
    """Audio that is unreadable, empty, truncated or not finite."""


class CorpusError(InputError):
    """A data directory that breaks Kaldi's rules."""


class AlignmentError(InputError):
    """Phone times that cannot be read or overlap."""


class ConfigError(InputError):
    """A configuration with an unknown key, a wrong type or an impossible value."""


class UnitsError(InputError):
    """Units or a units directory that contradict themselves."""


class ModelError(InputError):
    """A model directory that is missing, broken or of another kind."""


class FormatError(InputError):
    """A file of another toolkit that cannot be read or written."""


class MissingDependency(SpeechVQError):
    """An optional package is needed.

    Args:
        package: name of the package that could not be imported.
        extra: the extra of speechvq that installs it.
        reason: why the import failed, if more is known than its absence.
    """

    def __init__(self, package: str, extra: str, reason: str = ""):
        because = f" ({reason})" if reason else ""
        super().__init__(f"{package} is needed here but cannot be imported{because}: pip install 'speechvq[{extra}]'")


class BackendUnavailable(SpeechVQError):
    """The named decoding backend cannot run on this machine."""


class NeedConditioning(SpeechVQError):
    """An engine was asked for samples beyond the conditioning pushed so far."""
