"""From a data directory to training batches.

A corpus is packed once: mono, resampled, trimmed, loudness levelled, 16 bit, all
utterances end to end in one memory-mapped array. Batches are then a pure function of
(seed, step), which is what makes a resumed run equal to an uninterrupted one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from speechvq.audio import apply_gain, gain_db, mu_law_encode
from speechvq.corpus import DataDir
from speechvq.errors import AudioError, CorpusError
from speechvq.files import atomic_dir

FORMAT = 1
TRIM_BELOW_DB = -40.0
MARGIN_SECONDS = 0.1
FRAME_SECONDS = 0.01


@dataclass(frozen=True)
class Batch:
    """Crops for one step.

    Args:
        pcm: [B, T] int16 samples.
        speaker: [B] positions in the list of speakers.
    """

    pcm: np.ndarray
    speaker: np.ndarray


class Packed:
    """A packed corpus opened for reading.

    Args:
        path: its folder.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        meta = yaml.safe_load((self.path / "pack.yaml").read_text())
        self.sample_rate: int = meta["sample_rate"]
        self.source: str = meta["source"]
        self.samples = np.memmap(self.path / "samples.s16", "<i2", mode="r")
        self.utterances: list[str] = []
        spans: dict[str, list[int]] = {}
        for line in (self.path / "index.tsv").read_text(encoding="utf-8").splitlines():
            utt, offset, num_samples, speaker = line.split("\t")
            self.utterances.append(utt)
            spans.setdefault(speaker, [int(offset), 0])[1] = int(offset) + int(num_samples)
        # Utterances of a speaker lie end to end, so a speaker is one span.
        self.spans = {speaker: (start, end) for speaker, (start, end) in spans.items()}

    @property
    def speakers(self) -> list[str]:
        """Names, sorted."""
        return sorted(self.spans)

    def excerpt(self, speaker: str, pieces: int = 30, seconds: float = 2.0) -> np.ndarray:
        """Up to a minute of a speaker: so many pieces, spread evenly over all there is, end to end [T] in [-1, 1]."""
        start, end = self.spans[speaker]
        size = round(seconds * self.sample_rate)
        count = min(pieces, -(-(end - start) // size))
        starts = np.linspace(start, max(start, end - size), count).astype(np.int64)
        pcm = [self.samples[at : min(at + size, end)] for at in starts]
        return np.concatenate(pcm) / np.float32(32768)

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.samples) / self.sample_rate


def pack(
    data: DataDir, path: str | os.PathLike, sample_rate: int, progress: Callable[[Iterator], Iterator] = iter
) -> tuple[Packed, list[str]]:
    """Pack a data directory, or open the pack where an equal one is there.

    Args:
        data: the corpus.
        path: folder to write.
        sample_rate: of the pack, in Hz.
        progress: wraps the iteration over utterances, to show how far it is.

    Returns:
        the pack, and one line for each utterance that had to be left out.

    Raises:
        CorpusError: no utterance could be read.
    """
    path = Path(path)
    source = _fingerprint(data, sample_rate)
    if (path / "pack.yaml").exists() and (packed := Packed(path)).source == source:
        return packed, []
    faults: list[str] = []

    def load(utt: str) -> np.ndarray | None:
        try:
            return _level(data.audio(utt, sample_rate), sample_rate)
        except AudioError as error:
            faults.append(f"{utt}: {error}")
            return None

    order = sorted(data.utterances, key=lambda utt: (data.utt2spk[utt], utt))
    with atomic_dir(path, "pack.yaml") as folder, ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        rows, offset = [], 0
        with open(folder / "samples.s16", "wb") as out:
            for utt, pcm in zip(order, progress(pool.map(load, order)), strict=True):
                if pcm is not None:
                    rows.append(f"{utt}\t{offset}\t{len(pcm)}\t{data.utt2spk[utt]}\n")
                    out.write(pcm.astype("<i2").tobytes())
                    offset += len(pcm)
        if not rows:
            raise CorpusError(f"{data.path}: none of its {len(order)} utterances could be read; the first: {(faults or ['it is empty'])[0]}")
        (folder / "index.tsv").write_text("".join(rows), encoding="utf-8")
        (folder / "pack.yaml").write_text(yaml.safe_dump({"format": FORMAT, "sample_rate": sample_rate, "source": source}))
    return Packed(path), faults


def speech_span(samples: np.ndarray, sample_rate: int) -> tuple[int, int]:
    """Where speech begins and ends, with a margin of a tenth of a second.

    Args:
        samples: [T], levelled.
        sample_rate: in Hz.

    Returns:
        first and last sample; the whole where nothing is louder than the threshold.
    """
    frame = round(FRAME_SECONDS * sample_rate)
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    loud = np.flatnonzero(np.square(frames).mean(1) > 10 ** (TRIM_BELOW_DB / 10) * np.square(samples).max(initial=0.0))
    if not len(loud):
        return 0, len(samples)
    margin = round(MARGIN_SECONDS * sample_rate)
    return max(0, loud[0] * frame - margin), min(len(samples), (loud[-1] + 1) * frame + margin)


class Crops:
    """Random crops of a packed corpus, the same for the same seed and step.

    Args:
        packed: the corpus.
        speakers: names in the model's order; others in the corpus are left out.
        crop_samples: T.
        seed: of the draw.
        balance: 0 draws speakers by duration, 1 evenly, between them by a power of the duration.

    Raises:
        CorpusError: none of the speakers is in the corpus.
    """

    def __init__(self, packed: Packed, speakers: list[str], crop_samples: int, seed: int = 0, balance: float = 1.0):
        self.packed = packed
        self.crop_samples = crop_samples
        self.seed = seed
        self.speaker = np.array([i for i, name in enumerate(speakers) if name in packed.spans])
        if not len(self.speaker):
            raise CorpusError(f"{packed.path} has none of the model's speakers ({', '.join(speakers[:5])}, ...)")
        self.spans = np.array([packed.spans[speakers[i]] for i in self.speaker])
        weight = (self.spans[:, 1] - self.spans[:, 0]).astype(np.float64) ** (1.0 - balance)
        self.cumulative = np.cumsum(weight) / weight.sum()

    def batch(self, step: int, size: int) -> Batch:
        """The crops of a training step."""
        rng = np.random.default_rng((self.seed, step))
        row = np.minimum(np.searchsorted(self.cumulative, rng.random(size), side="right"), len(self.spans) - 1)
        return self._cut(row, rng.random(size))

    def fixed(self, count: int) -> Batch:
        """Crops spread evenly over speakers and time, the same whenever asked."""
        order = np.arange(count)
        turn = order // len(self.spans)
        turns = -(-count // len(self.spans))
        return self._cut(order % len(self.spans), (turn + 0.5) / turns)

    def _cut(self, row: np.ndarray, where: np.ndarray) -> Batch:
        pcm = np.zeros((len(row), self.crop_samples), np.int16)
        start, end = self.spans[row].T
        at = start + (where * np.maximum(end - start - self.crop_samples + 1, 1)).astype(np.int64)
        for i, (a, b) in enumerate(zip(at, np.minimum(end, at + self.crop_samples), strict=True)):
            pcm[i, : b - a] = self.packed.samples[a:b]
        return Batch(pcm, self.speaker[row])


def mu_law_table() -> np.ndarray:
    """The mu-law class of every 16-bit sample, [65536] uint8, indexed by sample + 32768."""
    return mu_law_encode(np.arange(-32768, 32768, dtype=np.float32) / 32768)


def _level(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    samples = apply_gain(samples, gain_db(samples, sample_rate))
    start, end = speech_span(samples, sample_rate)
    return np.clip(np.round(samples[start:end] * 32768), -32768, 32767).astype(np.int16)


def _fingerprint(data: DataDir, sample_rate: int) -> str:
    digest = hashlib.sha256(f"{FORMAT} {sample_rate}".encode())
    for name in ("wav.scp", "segments", "utt2spk"):
        file = data.path / name
        digest.update(file.read_bytes() if file.exists() else b"-")
    return digest.hexdigest()[:16]
