"""Hugging Face datasets: `data/train-00000-of-00001.parquet`, one row an utterance.

Columns: id, speaker_id, text, units, durations, num_samples, gain_db and, where a data directory gives whole files,
audio as `{bytes, path}` with the path (`dataset.cast_column("audio", Audio())` opens it).
`np.repeat(units, durations)` are always the units at their rate: durations are 1 without `--dedup`,
run lengths with it, so that nothing is lost. Needs pyarrow (extra `export`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from speechvq.errors import FormatError, MissingDependency
from speechvq.formats.common import Batch, Meta

CONSUMER = "Hugging Face datasets, transformers"
EXAMPLE = "data/train-*.parquet: {'id': 'p225-p225_001', 'speaker_id': 'p225', 'units': [71, 12], 'durations': [2, 2]}"
KEEPS_RUNS = True


def write(directory: Path, batches: Iterator[Batch], meta: Meta) -> None:
    """Write data/train-00000-of-00001.parquet."""
    pa, parquet = _pyarrow()
    unit = pa.int16() if meta.codebook_size <= 1 << 15 else pa.int32()
    first = next(batches, None)
    fields = [("id", pa.string()), ("speaker_id", pa.string()), ("text", pa.string()), ("units", pa.list_(unit))]
    fields += [("durations", pa.list_(pa.int32())), ("num_samples", pa.int64()), ("gain_db", pa.float32())]
    if first is not None and any(first.audio):
        fields.append(("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())])))
    schema = pa.schema(fields)
    (directory / "data").mkdir()
    with parquet.ParquetWriter(directory / "data" / "train-00000-of-00001.parquet", schema) as out:
        for batch in chain([] if first is None else [first], batches):
            durations = batch.durations if batch.durations is not None else np.ones(len(batch.ids), np.int32)
            ends = pa.array(np.concatenate([[0], np.cumsum(batch.lengths)]).astype(np.int32))
            columns = {
                "id": batch.utts,
                "speaker_id": batch.speakers,
                "text": batch.texts or [""] * len(batch),
                "units": pa.ListArray.from_arrays(ends, pa.array(batch.ids.astype(unit.to_pandas_dtype()))),
                "durations": pa.ListArray.from_arrays(ends, pa.array(durations.astype(np.int32))),
                "num_samples": batch.num_samples,
                "gain_db": batch.gain_db.astype(np.float32),
                "audio": [{"bytes": None, "path": path} for path in batch.audio],
            }
            out.write_table(
                pa.table(
                    [
                        pa.array(columns[name], kind) if not isinstance(columns[name], pa.Array) else columns[name]
                        for name, kind in fields
                    ],
                    schema=schema,
                )
            )


def read(directory: Path, meta: Meta) -> Iterator[Batch]:
    """Read every parquet file, under `data/` or beside it, sorted by name; id and units are needed."""
    pa, parquet = _pyarrow()
    files = sorted([*directory.glob("data/*.parquet"), *directory.glob("*.parquet")])
    if not files:
        raise FormatError(f"{directory} holds no .parquet: is this --format hf?")
    for path in files:
        try:
            with parquet.ParquetFile(path) as table:
                wanted = ("id", "speaker_id", "units", "durations", "num_samples", "gain_db")
                names = [name for name in wanted if name in table.schema_arrow.names]
                for rows in table.iter_batches(batch_size=1 << 13, columns=names):
                    yield _batch(dict(zip(names, rows.columns, strict=True)))
        except (pa.ArrowException, KeyError, OSError, ValueError, AttributeError) as error:
            raise FormatError(f"{path} has no columns id and units with a list of integers a row ({error})") from None


def _batch(columns: dict) -> Batch:
    units = columns["units"]
    lengths = np.asarray(units.value_lengths()).astype(np.int64)

    def numbers(name: str, kind: type) -> np.ndarray | None:
        if name not in columns:
            return None
        column = columns[name]
        return np.asarray(column.flatten() if name in ("units", "durations") else column).astype(kind)

    def texts(name: str) -> list[str]:
        # Others may number their rows and speakers.
        return columns[name].cast("string").fill_null("").to_pylist()

    return Batch(
        texts("id"),
        numbers("units", np.int64),
        lengths,
        durations=numbers("durations", np.int64),
        num_samples=numbers("num_samples", np.int64),
        gain_db=numbers("gain_db", np.float64),
        speakers=texts("speaker_id") if "speaker_id" in columns else None,
    )


def _pyarrow():
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependency("pyarrow", "export", str(error)) from None
    return pyarrow, pyarrow.parquet
