"""What a user may name on the command line: audio files, folders of them, data directories."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from speechvq import audio
from speechvq.corpus import DataDir
from speechvq.errors import InputError

AUDIO_SUFFIXES = audio.READABLE


@dataclass(frozen=True)
class Source:
    """One utterance to encode.

    Args:
        utt: its name.
        speaker: its speaker, or empty.
        read: gives its samples [T] at a rate in Hz.
    """

    utt: str
    speaker: str
    read: Callable[[int], np.ndarray]


def utterances_of(inputs: Iterable[str | os.PathLike]) -> list[Source]:
    """All utterances that some inputs hold, in order.

    Args:
        inputs: audio files, folders of audio files, Kaldi data directories.

    Raises:
        InputError: an input does not exist or holds no audio, or two utterances have one name.
        CorpusError: a data directory has faults.
    """
    sources: dict[str, Source] = {}
    for source in (source for given in inputs for source in _sources(Path(given))):
        if source.utt in sources:
            raise InputError(f"two inputs are called '{source.utt}': rename one, since units are filed by name")
        sources[source.utt] = source
    return list(sources.values())


def audio_files(folder: str | os.PathLike) -> list[Path]:
    """Audio files in a folder and those below it, sorted.

    Raises:
        InputError: there are none.
    """
    found = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file())
    if not found:
        raise InputError(f"{folder} holds no audio files ({' '.join(sorted(AUDIO_SUFFIXES))})")
    return found


def report_faults(faults: list[str], total: int) -> int:
    """Print what went wrong in a batch.

    Args:
        faults: one line each.
        total: how many there were in all.

    Returns:
        the exit code: 0 where there are none, else 1.
    """
    if not faults:
        return 0
    print(f"{len(faults)} of {total} failed:", file=sys.stderr)
    for fault in faults:
        print(f"  {fault}", file=sys.stderr)
    return 1


def _sources(path: Path) -> list[Source]:
    if (path / "wav.scp").exists():
        data = DataDir(path)
        return [Source(utt, data.utt2spk[utt], partial(data.audio, utt)) for utt in data.utterances]
    if path.is_dir():
        return [_file(file) for file in audio_files(path)]
    if not path.exists():
        raise InputError(f"{path} does not exist: name an audio file, a folder of them, or a data directory")
    return [_file(path)]


def _file(path: Path) -> Source:
    return Source("_".join(path.stem.split()), "", partial(audio.read, path))
