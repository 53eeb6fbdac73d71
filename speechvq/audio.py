"""Audio in and out: any file to mono float samples at one rate and back, mu-law, loudness."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr

from speechvq.errors import AudioError
from speechvq.files import atomic_file
from speechvq.truncation import missing_bytes

# Suffix -> (container, coding) as libsndfile names them.
WRITABLE = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".aiff": ("AIFF", "PCM_16"),
    ".sph": ("NIST", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
READABLE = frozenset(WRITABLE) | {".aif", ".aifc", ".au", ".caf", ".opus", ".oga", ".w64"}

REFERENCE_DB = -23.0  # active speech level that every model hears
SILENCE_DB = -75.0  # frames below this are silence, whatever else the file holds
ACTIVE_MARGIN_DB = 10.0  # frames this far below the mean of the active ones are pauses
MAX_GAIN_DB = 50.0
LEVEL_FRAME_SECONDS = 0.02

_READ_FRAMES = 1 << 18

AudioFile = str | os.PathLike | BinaryIO


@dataclass(frozen=True)
class AudioInfo:
    """What a file says of itself: rate in Hz, samples per channel, channels."""

    sample_rate: int
    num_samples: int
    channels: int

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.num_samples / self.sample_rate


def info(path: AudioFile) -> AudioInfo:
    """Read a file's header.

    Args:
        path: file name, or a seekable binary file.

    Raises:
        AudioError: it is missing, not audio, empty or truncated.
    """
    with _open(path) as file:
        return AudioInfo(file.samplerate, file.frames, file.channels)


def read(path: AudioFile, sample_rate: int = 16000, start: float = 0.0, end: float | None = None) -> np.ndarray:
    """Read a file, mix it down and resample it.

    Args:
        path: file name, or a seekable binary file.
        sample_rate: wanted, in Hz.
        start: first second to read.
        end: second to stop before; the end of the file where not given or later.

    Returns:
        float32 [T], nominally in [-1, 1].

    Raises:
        AudioError: it is missing, not audio, empty, truncated or not finite, or
            the piece asked for lies outside it.
    """
    blocks = list(read_blocks(path, sample_rate, _READ_FRAMES, start, end))
    if not blocks:
        raise AudioError(f"{_name(path)}: too short, not one sample is left at {sample_rate} Hz")
    return np.concatenate(blocks)


def read_blocks(
    path: AudioFile, sample_rate: int = 16000, block: int = 1 << 18, start: float = 0.0, end: float | None = None
) -> Iterator[np.ndarray]:
    """Read as `read` does, a block at a time and in memory that does not grow with the file.

    Args:
        block: samples to yield at once; the last block may hold fewer.
        path, sample_rate, start, end: as in `read`.

    Yields:
        float32 [block]; end to end they equal what `read` returns.

    Raises:
        AudioError: as `read` does; a fault late in the file shows when it is reached.
    """
    with _open(path) as file:
        resampler = soxr.ResampleStream(file.samplerate, sample_rate, 1, dtype="float32")
        pending = np.zeros(0, np.float32)
        for samples, last in _mono_blocks(file, _name(path), start, end):
            if file.samplerate != sample_rate:
                samples = resampler.resample_chunk(samples, last=last)
            pending = np.concatenate([pending, samples])
            whole = len(pending) - len(pending) % block
            yield from (pending[at : at + block] for at in range(0, whole, block))
            pending = pending[whole:]
        if len(pending):
            yield pending


def write(path: str | os.PathLike, samples: np.ndarray, sample_rate: int) -> None:
    """Write mono audio in the format that the file's suffix names, 16 bits where it is lossless.

    Args:
        path: .wav .flac .aiff .sph .ogg or .mp3; its folder is made where missing.
        samples: [T] float; what exceeds [-1, 1] is clipped.
        sample_rate: in Hz.

    Raises:
        AudioError: another suffix, samples that are not one finite non-empty row,
            or a rate that the format does not have.
    """
    write_blocks(path, [samples], sample_rate)


def write_blocks(path: str | os.PathLike, blocks: Iterable[np.ndarray], sample_rate: int) -> int:
    """Write as `write` does, a block at a time; the file takes its name when the last one is in.

    Args:
        path: as in `write`.
        blocks: [T] float each.
        sample_rate: in Hz.

    Returns:
        how many samples were written.

    Raises:
        AudioError: as `write` does.
    """
    path = Path(path)
    if path.suffix.lower() not in WRITABLE:
        raise AudioError(f"{path}: cannot write '{path.suffix}' files: use one of {' '.join(WRITABLE)}")
    container, coding = WRITABLE[path.suffix.lower()]
    with atomic_file(path) as temporary:
        try:
            with soundfile.SoundFile(temporary, "w", sample_rate, 1, coding, format=container) as file:
                for samples in blocks:
                    file.write(_writable(np.asarray(samples), coding, str(path)))
                written = file.frames
        except (soundfile.LibsndfileError, ValueError) as error:
            raise AudioError(f"{path}: cannot be written at {sample_rate} Hz ({error})") from None
        if not written:
            raise AudioError(f"{path}: there are no samples to write")
    return written


def _writable(samples: np.ndarray, coding: str, name: str) -> np.ndarray:
    if samples.ndim != 1:
        raise AudioError(f"{name}: audio to write must be one row of samples, not of shape {samples.shape}")
    _require_finite(samples, name)
    # libsndfile scales floats by 32767 going out and by 32768 coming in; whole numbers survive the trip.
    return to_int16(samples) if coding == "PCM_16" else np.clip(samples, -1.0, 1.0)


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Samples as 16-bit integers, what exceeds [-1, 1) clipped.

    Args:
        samples: float, any shape.
    """
    return np.clip(np.rint(samples * 32768.0), -32768, 32767).astype(np.int16)


def resample(samples: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """Change the sample rate.

    Args:
        samples: [T] at from_rate.
        from_rate: in Hz.
        to_rate: in Hz.

    Returns:
        float32 [T * to_rate / from_rate], rounded.
    """
    samples = np.asarray(samples, np.float32)
    if from_rate == to_rate or not len(samples):
        return samples
    return soxr.resample(samples, from_rate, to_rate)


def pad_to_hop(samples: np.ndarray, hop_length: int) -> np.ndarray:
    """Append zeros until the length is a multiple of the hop.

    Args:
        samples: [T].
        hop_length: samples per unit.

    Returns:
        [N * hop_length].
    """
    return np.pad(samples, (0, -len(samples) % hop_length))


def mu_law_encode(samples: np.ndarray) -> np.ndarray:
    """Compress to 256 amplitude classes.

    Args:
        samples: [T] float; what exceeds [-1, 1] is clipped.

    Returns:
        uint8 [T]; 128 is silence.

    Source: ITU-T G.711's curve with mu = 255, rounded as torchaudio does.
    """
    samples = np.clip(np.asarray(samples, np.float32), -1.0, 1.0)
    compressed = np.sign(samples) * np.log1p(255.0 * np.abs(samples)) / np.log1p(255.0)
    return ((compressed + 1.0) / 2.0 * 255.0 + 0.5).astype(np.uint8)


def mu_law_decode(classes: np.ndarray) -> np.ndarray:
    """Expand amplitude classes, the inverse of `mu_law_encode`.

    Args:
        classes: [T] integers in [0, 256).

    Returns:
        float32 [T] in [-1, 1].
    """
    return _MU_LAW_LEVELS[np.asarray(classes)]


def _mu_law_levels() -> np.ndarray:
    compressed = np.arange(256) / 255.0 * 2.0 - 1.0
    return (np.sign(compressed) * np.expm1(np.abs(compressed) * np.log1p(255.0)) / 255.0).astype(np.float32)


_MU_LAW_LEVELS = _mu_law_levels()


class LevelMeter:
    """Active speech level of audio that arrives in blocks.

    The level is the mean power of the 20 ms frames that are not pauses: frames above
    a floor, and within 10 dB of the mean of those kept, gated again until none falls.

    Args:
        sample_rate: in Hz.

    Source: the gates follow ITU-R BS.1770-4, without its frequency weighting.
    """

    def __init__(self, sample_rate: int = 16000):
        self._frame = max(1, round(LEVEL_FRAME_SECONDS * sample_rate))
        self._rest = np.zeros(0, np.float32)
        self._powers: list[np.ndarray] = []

    def add(self, samples: np.ndarray) -> None:
        """Append [T] samples."""
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) - len(samples) % self._frame
        self._powers.append(np.square(samples[:whole].reshape(-1, self._frame), dtype=np.float64).mean(axis=1))
        self._rest = samples[whole:]

    def level_db(self) -> float | None:
        """Level in dB re full scale (mean square 1); None for silence."""
        powers = np.concatenate([np.zeros(0), *self._powers])
        if not len(powers) and len(self._rest):
            powers = np.square(self._rest, dtype=np.float64).mean(keepdims=True)
        powers = powers[powers > 10 ** (SILENCE_DB / 10)]
        while len(powers):
            active = powers[powers > powers.mean() * 10 ** (-ACTIVE_MARGIN_DB / 10)]
            if len(active) == len(powers):
                return float(10 * np.log10(powers.mean()))
            powers = active
        return None

    def gain_db(self) -> float:
        """Gain in dB that brings the level to the reference; 0 for silence, at most 50 either way."""
        level = self.level_db()
        return 0.0 if level is None else float(np.clip(REFERENCE_DB - level, -MAX_GAIN_DB, MAX_GAIN_DB))


def gain_db(samples: np.ndarray, sample_rate: int = 16000) -> float:
    """The gain that brings speech to the reference loudness; undo it with `apply_gain(x, -gain)`.

    Args:
        samples: [T] float.
        sample_rate: in Hz.

    Returns:
        dB; 0 for silence.
    """
    meter = LevelMeter(sample_rate)
    meter.add(np.asarray(samples, np.float32))
    return meter.gain_db()


def apply_gain(samples: np.ndarray, db: float) -> np.ndarray:
    """Make louder by `db` decibels.

    Args:
        samples: [T] float.
        db: gain; negative is softer.

    Returns:
        float32 [T].
    """
    return np.asarray(samples, np.float32) * np.float32(10 ** (db / 20))


def _open(path: AudioFile) -> soundfile.SoundFile:
    name = _name(path)
    if not hasattr(path, "read") and not Path(path).is_file():
        raise AudioError(f"{name}: no such audio file")
    try:
        missing = missing_bytes(path)
        file = soundfile.SoundFile(path)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{name}: not an audio file that can be read ({error.error_string})") from None
    except OSError as error:
        raise AudioError(f"{name}: cannot be opened ({error.strerror})") from None
    if missing > 0:
        file.close()
        raise AudioError(f"{name}: truncated, {missing} bytes of audio fewer than its header says: fetch it again")
    if not file.frames:
        file.close()
        raise AudioError(f"{name}: holds no samples")
    return file


def _mono_blocks(
    file: soundfile.SoundFile, name: str, start: float, end: float | None
) -> Iterator[tuple[np.ndarray, bool]]:
    first = round(start * file.samplerate)
    stop = file.frames if end is None else min(file.frames, round(end * file.samplerate))
    if not 0 <= first < stop:
        length = file.frames / file.samplerate
        raise AudioError(f"{name}: lasts {length:.3f} s, so it has no audio from {start} to {end or length} s")
    try:
        file.seek(first)
        for at in range(first, stop, _READ_FRAMES):
            count = min(_READ_FRAMES, stop - at)
            samples = file.read(count, dtype="float32", always_2d=True)
            if len(samples) < count:
                raise AudioError(f"{name}: truncated, it ends after {at + len(samples)} of {file.frames} samples: fetch it again")
            samples = samples[:, 0] if file.channels == 1 else samples.mean(axis=1)
            _require_finite(samples, name)
            yield samples, at + count == stop
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{name}: damaged or truncated ({error.error_string})") from None


def _require_finite(samples: np.ndarray, name: str) -> None:
    if not np.isfinite(samples).all():
        raise AudioError(f"{name}: holds samples that are not numbers (NaN or infinite)")


def _name(path: AudioFile) -> str:
    return str(getattr(path, "name", "audio")) if hasattr(path, "read") else os.fspath(path)
