"""`speechvq.json`, beside the files of every export: what the format itself cannot hold."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from speechvq.errors import FormatError
from speechvq.formats.common import Batch, Meta, paths, quote

SIDECAR = "speechvq.json"
SIDECAR_FORMAT = 1
BLOCK_BYTES = 1 << 18
_CONSTANTS = ("codebook_size", "hop_length", "sample_rate", "model_hash", "dedup")
_UTTERANCES = '"utterances": {'


class SidecarWriter:
    """Write `speechvq.json` while batches go by; one utterance a line, so that it streams.

    Args:
        path: the file.
        format: name of the format beside it.
        meta: its constants.
    """

    def __init__(self, path: Path, format: str, meta: Meta):
        self._path, self._format, self._meta = path, format, meta

    def through(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Yield the batches, noting each utterance."""
        head = {
            "speechvq": SIDECAR_FORMAT,
            "format": self._format,
            "codebook_size": self._meta.codebook_size,
            "hop_length": self._meta.hop_length,
            "sample_rate": self._meta.sample_rate,
            "unit_rate": self._meta.rate,
            "model_hash": self._meta.model_hash,
            "dedup": self._meta.dedup,
            "columns": ["num_samples", "gain_db", "speaker", "path"],
        }
        with open(self._path, "w", encoding="utf-8") as out:
            out.write(json.dumps(head, indent=1)[:-2] + f",\n {_UTTERANCES}")
            comma = "\n"
            for batch in batches:
                columns = [map(str, batch.num_samples.tolist()), map("{:.4f}".format, batch.gain_db.tolist())]
                columns.append(map(quote, batch.speakers))
                if any(batch.audio):
                    columns.append(map(quote, paths(batch)))
                values = map(", ".join, zip(*columns, strict=True))
                lines = [f"{quote(utt)}: [{value}]" for utt, value in zip(batch.utts, values, strict=True)]
                out.write(comma + ",\n".join(lines))
                comma = ",\n"
                yield batch
            out.write("\n}}\n")


class Entry(NamedTuple):
    """What is known of an utterance: its path only where the format names utterances by it."""

    utt: str
    num_samples: int
    gain_db: float
    speaker: str
    path: str = ""


def _checked(entry: Entry) -> Entry:
    _, num_samples, gain_db, speaker, path = entry
    if not (type(num_samples) is int and 0 <= num_samples < 1 << 63):
        raise ValueError(f"'{entry.utt}' has {str(num_samples)[:20]} samples")
    if not (isinstance(gain_db, int | float) and abs(gain_db) < math.inf):
        raise ValueError(f"'{entry.utt}' has a gain of {str(gain_db)[:20]} dB")
    if not (isinstance(speaker, str) and isinstance(path, str)):
        raise ValueError(f"speaker and path of '{entry.utt}' are no texts")
    return entry


class Sidecar:
    """A `speechvq.json` that was found.

    Utterances are read as they are asked for: those asked for in the file's order cost no memory.

    Args:
        path: the file.

    Attributes:
        meta: the constants.

    Raises:
        FormatError: it is broken or newer.
    """

    def __init__(self, path: Path):
        self._path = path
        self._rest = self._entries()
        self._early: dict[str, Entry] = {}
        try:
            data = next(self._rest)
            if data["speechvq"] != SIDECAR_FORMAT:
                raise FormatError(
                    f"{path} has format {data['speechvq']}, this speechvq reads {SIDECAR_FORMAT}: update speechvq"
                )
            self.meta = Meta(**{key: data[key] for key in _CONSTANTS}, home=path.parent.absolute())
        except (ValueError, KeyError, TypeError) as error:
            raise self._broken(error) from None

    def find(self, utt: str, path: str = "") -> Entry:
        """What is known of an utterance.

        Args:
            utt: its name in the format's files.
            path: its recording there, by which it may be known instead.

        Raises:
            FormatError: nothing is.
        """
        known = self._early.pop(path, None) or self._early.pop(utt, None)
        if known:
            return known
        try:
            for entry in self._rest:
                if entry.path == path if path and entry.path else entry.utt == utt:
                    return entry
                self._early[entry.path if path and entry.path else entry.utt] = entry
        except (ValueError, TypeError, RecursionError) as error:
            raise self._broken(error) from None
        raise FormatError(f"{self._path} does not know '{utt}', or not twice: remove it and give its constants")

    def _entries(self) -> Iterator[dict | Entry]:
        """First all but the utterances, then each of them; one is a line, as SidecarWriter writes them."""
        with open(self._path, encoding="utf-8") as lines:
            head = ""
            for line in lines:
                head += line
                if head.rstrip().endswith(_UTTERANCES):
                    yield json.loads(head + "}}")
                    break
            else:
                raise ValueError("its utterances do not stand one a line")
            # Some thousand at a time: one call of the JSON reader for each would take as long as reading their units.
            while block := lines.readlines(BLOCK_BYTES):
                rows = "".join(block).rstrip().removesuffix("}}").rstrip().removesuffix(",")
                for utt, values in json.loads("{" + rows + "}", object_pairs_hook=list):
                    yield _checked(Entry(utt, *values))

    def _broken(self, error: Exception) -> FormatError:
        return FormatError(f"{self._path} is not as speechvq writes it ({error}): remove it and give its constants")


def read_sidecar(directory: str | os.PathLike) -> Sidecar | None:
    """Open the `speechvq.json` of a folder, or None where there is none."""
    path = Path(directory) / SIDECAR
    return Sidecar(path) if path.exists() else None
