"""The files of a Kaldi data directory that go beside units: utt2spk, spk2utt, text, wav.scp, utt2dur."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path

from speechvq.formats.common import Batch, Meta


def beside(directory: Path, batches: Iterator[Batch], meta: Meta) -> Iterator[Batch]:
    """Yield the batches, writing the data directory's own files as they go by.

    `text` and `wav.scp` are written where a data directory was given that knows them.
    Kaldi wants utterances that begin with their speaker; one that does not becomes its own speaker.
    """
    with ExitStack() as stack:
        out = {}

        def write(name: str, lines: list[str]) -> None:
            if lines and name not in out:
                out[name] = stack.enter_context(open(directory / name, "w", encoding="utf-8"))
            if lines:
                out[name].write("".join(lines))

        speaker, members = None, []
        for batch in batches:
            speakers = [s if s and u.startswith(s) else u for u, s in zip(batch.utts, batch.speakers, strict=True)]
            write("utt2spk", [f"{u} {s}\n" for u, s in zip(batch.utts, speakers, strict=True)])
            seconds = (batch.num_samples / meta.sample_rate).tolist()
            write("utt2dur", [f"{u} {t:.6g}\n" for u, t in zip(batch.utts, seconds, strict=True)])
            write("text", [f"{u} {t}\n" for u, t in zip(batch.utts, batch.texts) if t])  # noqa: B905 either may be empty
            write("wav.scp", [f"{u} {a}\n" for u, a in zip(batch.utts, batch.audio) if a])  # noqa: B905
            for name, group in groupby(zip(speakers, batch.utts, strict=True), key=lambda pair: pair[0]):
                if name != speaker:
                    write("spk2utt", [f"{speaker} {' '.join(members)}\n"] if members else [])
                    speaker, members = name, []
                members.extend(utt for _, utt in group)
            yield batch
        write("spk2utt", [f"{speaker} {' '.join(members)}\n"] if members else [])
