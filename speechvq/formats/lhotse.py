"""lhotse: `cuts.jsonl.gz`, one cut an utterance, its units a TemporalArray `units` in `units/`.

`cut.load_units()` returns them; `cut.truncate` and `cut.pad(pad_value_dict={"units": K})` treat them with the
audio. `frame_shift` is the duration over the number of units, as lhotse wants it. With `--dedup` time is not uniform, so
the units are a plain list, with `unit_durations` in units beside it: cutting does not slice them.
Recordings have a file where a data directory gives whole ones, and none otherwise. Paths are absolute: write again after moving.
Limits: one small file an utterance; utterances must not be empty.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from speechvq.errors import FormatError
from speechvq.formats.common import Batch, Meta, quote
from speechvq.formats.text import decimals, durations_vocabulary, find_file

CONSUMER = "lhotse, icefall, k2"
EXAMPLE = 'cuts.jsonl.gz: {"id": "p225-p225_001", ..., "custom": {"units": {"array": {...}, "frame_shift": 0.004}}}'
KEEPS_RUNS = True
_EXPECTED = 'a cut with "custom": {"units": ...}'
_ROWS = 1 << 10


def write(directory: Path, batches: Iterator[Batch], meta: Meta) -> None:
    """Write cuts.jsonl.gz, and units/ unless runs were collapsed."""
    numbers = decimals(meta.codebook_size, ", ")
    with gzip.GzipFile(directory / "cuts.jsonl.gz", "wb", compresslevel=1, mtime=0) as out:
        for batch in batches:
            if not batch.lengths.all():
                empty = batch.utts[int(np.argmin(batch.lengths))]
                raise FormatError(f"'{empty}' has no units, and a cut cannot be empty: leave it out")
            units = _plain(batch, numbers) if meta.dedup else _arrays(directory / "units", batch, meta)
            out.write("".join([_cut(batch, row, custom, meta) for row, custom in enumerate(units)]).encode())


def read(directory: Path, meta: Meta) -> Iterator[Batch]:
    """Read cuts.jsonl.gz, or the only cuts file there is; arrays of type numpy_files, or plain lists."""
    path = find_file(directory, "cuts.jsonl.gz", "*cuts*.jsonl*")
    opened = gzip.open if path.suffix == ".gz" else open
    rows: list[tuple] = []
    with opened(path, "rb") as lines:
        try:
            for number, line in enumerate(lines, start=1):
                rows.append(_entry(directory, path, number, line))
                if len(rows) == _ROWS:
                    yield _batch(rows)
                    rows = []
        except (OSError, EOFError) as error:
            raise FormatError(f"{path} cannot be read ({error})") from None
    if rows:
        yield _batch(rows)


def _cut(batch: Batch, row: int, custom: str, meta: Meta) -> str:
    utt = quote(batch.utts[row])
    samples = int(batch.num_samples[row])
    duration = repr(samples / meta.sample_rate)
    text = f'"text": {quote(batch.texts[row])}, ' if batch.texts and batch.texts[row] else ""
    speaker = f'"speaker": {quote(batch.speakers[row])}, ' if batch.speakers[row] else ""
    # lhotse cuts by the recording's rate, so there is one even where its file is not known.
    known = bool(batch.audio and batch.audio[row])
    sources = f'{{"type": "file", "channels": [0], "source": {quote(batch.audio[row])}}}' if known else ""
    recording = (
        f'"recording": {{"id": {utt}, "sources": [{sources}], "sampling_rate": {meta.sample_rate}, '
        f'"num_samples": {samples}, "duration": {duration}, "channel_ids": [0]}}, '
    )
    return (
        f'{{"id": {utt}, "start": 0.0, "duration": {duration}, "channel": 0, "supervisions": [{{"id": {utt}, '
        f'"recording_id": {utt}, "start": 0.0, "duration": {duration}, "channel": 0, {text}{speaker}"custom": {{}}}}], '
        f'{recording}"custom": {{{custom}}}, "type": "MonoCut"}}\n'
    )


def _arrays(folder: Path, batch: Batch, meta: Meta) -> Iterator[str]:
    """Save every row, and yield the manifest of its array."""
    home = quote(str(meta.home / "units"))
    seconds = (batch.num_samples / meta.sample_rate / batch.lengths).tolist()
    for utt, row, frame_shift in zip(batch.utts, batch.rows(), seconds, strict=True):
        key = f"{utt[:3]}/{utt}.npy"
        path = folder / key
        if path.parent.name != utt[:3]:
            raise FormatError(f"'{utt}' cannot be the name of a file: rename it")
        path.parent.mkdir(parents=True, exist_ok=True)
        # Signed, because torch embeds no uint16.
        np.save(path, row.astype(np.int32), allow_pickle=False)
        yield (
            f'"units": {{"array": {{"storage_type": "numpy_files", "storage_path": {home}, "storage_key": {quote(key)}, '
            f'"shape": [{len(row)}]}}, "temporal_dim": 0, "frame_shift": {frame_shift!r}, "start": 0}}'
        )


def _plain(batch: Batch, numbers) -> Iterator[str]:
    """The units and their durations of every row as lists."""
    units = numbers.write(batch.ids, batch.lengths)
    durations = durations_vocabulary(batch.durations, ", ").write(batch.durations, batch.lengths)
    for row, lasting in zip(units, durations, strict=True):
        yield f'"units": [{row.decode()}], "unit_durations": [{lasting.decode()}]'


def _entry(directory: Path, path: Path, number: int, line: bytes) -> tuple[str, str, np.ndarray, np.ndarray]:
    """Name, speaker, ids and durations of one cut."""
    try:
        cut = json.loads(line)
        units = cut["custom"]["units"]
        if isinstance(units, dict):
            ids = _load(directory, units["array"])
            durations = np.ones(len(ids), np.int64)
        else:
            ids = np.array(units, np.int64)
            durations = np.array(cut["custom"].get("unit_durations", [1] * len(ids)), np.int64)
        speaker = next((s.get("speaker", "") for s in cut.get("supervisions", ())), "")
        if ids.ndim != 1 or ids.shape != durations.shape:
            raise ValueError
        return str(cut["id"]), speaker, ids.astype(np.int64), durations
    except (ValueError, KeyError, TypeError, AttributeError):
        raise FormatError(f"{path} line {number}: expected {_EXPECTED}") from None


def _load(directory: Path, array: dict) -> np.ndarray:
    if array["storage_type"] != "numpy_files":
        raise FormatError(
            f"units of storage type '{array['storage_type']}' are not read here: save them as numpy_files"
        )
    # The folder may have been moved: arrays beside the cuts come first.
    for folder in (directory / "units", Path(array["storage_path"]), directory / array["storage_path"]):
        if (folder / array["storage_key"]).exists():
            return np.load(folder / array["storage_key"], allow_pickle=False)
    raise FormatError(f"{array['storage_path']}/{array['storage_key']} is missing: copy it beside the cuts")


def _batch(rows: list[tuple[str, str, np.ndarray, np.ndarray]]) -> Batch:
    utts, speakers, ids, durations = zip(*rows, strict=True)
    lengths = np.array([len(row) for row in ids], np.int64)
    return Batch(list(utts), np.concatenate(ids), lengths, durations=np.concatenate(durations), speakers=list(speakers))
