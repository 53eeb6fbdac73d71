"""The files of a Kaldi data directory that go beside units: utt2spk, spk2utt, utt2dur, text, wav.scp."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path

from speechvq.formats.common import Batch, Meta


def beside(directory: Path, batches: Iterator[Batch], meta: Meta) -> Iterator[Batch]:
    """Yield the batches, writing the data directory's own files as they go by.

    `text` and `wav.scp` are written where a data directory was given that knows them of every utterance.
    Kaldi wants utterances that begin with their speaker; one that does not becomes its own speaker.
    """
    speaker, members = None, []
    with ExitStack() as stack:
        tables = {
            name: stack.enter_context(open(directory / name, "w", encoding="utf-8"))
            for name in ("utt2spk", "spk2utt", "utt2dur", "text", "wav.scp")
        }
        complete = {"text": True, "wav.scp": True}
        for batch in batches:
            speakers = [s if s and u.startswith(s) else u for u, s in zip(batch.utts, batch.speakers, strict=True)]
            seconds = map("{:.6g}".format, (batch.num_samples / meta.sample_rate).tolist())
            tables["utt2spk"].write(_table(batch.utts, speakers))
            tables["utt2dur"].write(_table(batch.utts, seconds))
            for name, column in (("text", batch.texts), ("wav.scp", batch.audio)):
                complete[name] &= bool(column) and (name == "text" or all(column))
                if complete[name]:
                    tables[name].write(_table(batch.utts, column))
            for name, group in groupby(zip(speakers, batch.utts, strict=True), key=lambda pair: pair[0]):
                if name != speaker:
                    tables["spk2utt"].write(_speaker(speaker, members))
                    speaker, members = name, []
                members.extend(utt for _, utt in group)
            yield batch
        tables["spk2utt"].write(_speaker(speaker, members))
    for name, whole in complete.items():
        if not whole:
            (directory / name).unlink()


def _table(keys, values) -> str:
    return "".join([f"{key} {value}\n" for key, value in zip(keys, values, strict=True)])


def _speaker(speaker: str | None, members: list[str]) -> str:
    return f"{speaker} {' '.join(members)}\n" if members else ""
