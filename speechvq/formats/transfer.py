"""A whole units directory to a format, and back: streaming, and under its name only when it is finished."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from speechvq.corpus import DataDir
from speechvq.errors import FormatError
from speechvq.files import atomic_dir
from speechvq.formats import load_format
from speechvq.formats.common import Batch, Meta
from speechvq.formats.sidecar import SIDECAR, Sidecar, SidecarWriter, read_sidecar
from speechvq.units import UnitsBatch, UnitsDir, UnitsWriter


def export_units(
    units: UnitsDir, format: str, directory: str | os.PathLike, dedup: bool = False, corpus: DataDir | None = None
) -> None:
    """Write a units directory in another toolkit's format, with `speechvq.json` beside it.

    Args:
        units: what to write.
        format: a name of FORMATS.
        directory: where to; an earlier export there is replaced.
        dedup: collapse runs of one unit.
        corpus: the data directory of the utterances, for texts, speakers, recordings and phones.

    Raises:
        FormatError: the format cannot hold these units.
        InputError: the directory holds something else.
    """
    directory = Path(directory)
    module = load_format(format)
    meta = Meta(
        units.codebook_size,
        units.hop_length,
        units.sample_rate,
        units.model_hash,
        dedup,
        directory.absolute(),
        corpus.alignment if corpus else None,
    )
    with atomic_dir(directory, SIDECAR) as temporary:
        batches = (_outgoing(batch, corpus) for batch in units.batches())
        if dedup:
            batches = (batch.collapsed() for batch in batches)
        module.write(temporary, SidecarWriter(temporary / SIDECAR, format, meta).through(batches), meta)


def import_units(
    directory: str | os.PathLike,
    format: str,
    path: str | os.PathLike,
    codebook_size: int | None = None,
    hop_length: int | None = None,
    sample_rate: int | None = None,
) -> int:
    """Read a format into a units directory.

    Args:
        directory: where the format's files lie.
        format: a name of FORMATS.
        path: the units directory to write.
        codebook_size: K; needed, like the others, where there is no `speechvq.json`.
        hop_length: samples per unit.
        sample_rate: in Hz.

    Returns:
        The number of utterances.

    Raises:
        FormatError: the files are not as the format has them, or a constant is missing or contradicts the sidecar.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise FormatError(f"{directory} is not a folder: give the folder that holds the files of --format {format}")
    sidecar = read_sidecar(directory)
    given = dict(codebook_size=codebook_size, hop_length=hop_length, sample_rate=sample_rate)
    meta = _constants(directory, sidecar, given)
    count = 0
    with UnitsWriter(path, meta.codebook_size, meta.hop_length, meta.sample_rate, meta.model_hash) as writer:
        for batch in load_format(format).read(directory, meta):
            writer.add_batch(_incoming(batch, sidecar, meta))
            count += len(batch)
        if not count:
            raise FormatError(f"{directory} holds no utterances")
    return count


def _outgoing(batch: UnitsBatch, corpus: DataDir | None) -> Batch:
    out = Batch(
        batch.utts,
        batch.ids,
        batch.lengths,
        num_samples=batch.num_samples,
        gain_db=batch.gain_db,
        speakers=batch.speakers,
    )
    if corpus is None:
        return out
    stranger = next((utt for utt in batch.utts if utt not in corpus), None)
    if stranger:
        raise FormatError(f"{corpus.path} has no utterance '{stranger}': give the data directory that was encoded")
    return replace(
        out,
        speakers=[corpus.utt2spk[utt] for utt in batch.utts],
        texts=[corpus.text.get(utt, "") for utt in batch.utts] if corpus.text else [],
        audio=[_recording(corpus, utt) for utt in batch.utts],
    )


def _recording(corpus: DataDir, utt: str) -> str:
    """The file of an utterance, or nothing where it is a part of one or comes from a pipe."""
    entry = corpus.utterance(utt)
    path = str(entry.path)
    return "" if entry.start is not None or path.endswith("|") else os.path.abspath(path)


def _constants(directory: Path, sidecar: Sidecar | None, given: dict[str, int | None]) -> Meta:
    if sidecar is None:
        missing = [f"--{name.replace('_', '-')}" for name, value in given.items() if value is None]
        if missing:
            raise FormatError(f"{directory} has no {SIDECAR}, so {' '.join(missing)} must be given")
        return Meta(**given, home=directory.absolute())
    for name, value in given.items():
        if value is not None and value != getattr(sidecar.meta, name):
            raise FormatError(
                f"{directory}/{SIDECAR} says {name} {getattr(sidecar.meta, name)}, not {value}: leave it out"
            )
    return sidecar.meta


def _incoming(batch: Batch, sidecar: Sidecar | None, meta: Meta) -> UnitsBatch:
    """A batch as a units directory holds it; the sidecar knows what the format could not keep."""
    shortened = meta.dedup and batch.durations is None
    batch = batch.expanded()
    utts = batch.utts
    samples, gains, speakers = batch.num_samples, batch.gain_db, batch.speakers
    if sidecar:
        known = list(map(sidecar.find, utts, batch.audio)) if batch.audio else list(map(sidecar.find, utts))
        utts = [entry.utt for entry in known]
        samples = np.array([entry.num_samples for entry in known], np.int64)
        gains = np.array([entry.gain_db for entry in known], np.float64)
        speakers = [entry.speaker for entry in known]
    # Deduplicated units do not last as long as their audio did.
    samples = batch.lengths * meta.hop_length if samples is None or shortened else samples
    gains = np.zeros(len(batch)) if gains is None else gains
    return UnitsBatch(utts, batch.ids, batch.lengths, samples, gains, speakers or [""] * len(batch))
