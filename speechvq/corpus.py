"""Kaldi data directories: reading one as a corpus, and writing one.

docs/data-directories.md describes the files.
"""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np

from speechvq import audio
from speechvq.alignment import Alignment, read_ctm, write_ctm
from speechvq.corpus_files import byte_order, is_pipe, read_list, read_tables, spk2utt, write_list, write_table
from speechvq.corpus_validate import parse_segment, text_faults
from speechvq.errors import CorpusError
from speechvq.files import atomic_dir


@dataclass(frozen=True)
class Utterance:
    """One utterance as a data directory describes it.

    Args:
        utt: its id, which begins with the speaker's.
        speaker: its speaker's id.
        path: its audio file, or a wav.scp shell pipe, which ends in `|`.
        text: what is said, or None.
        start: where it starts in the file, in seconds; None for a whole file.
        end: where it ends.
        alignment: its phone times from its own start, or None.
        gender: `m` or `f` of the speaker, or None.
        duration: seconds; measured where not given.
    """

    utt: str
    speaker: str
    path: str | os.PathLike
    text: str | None = None
    start: float | None = None
    end: float | None = None
    alignment: Alignment | None = None
    gender: str | None = None
    duration: float | None = None


class DataDir:
    """A valid Kaldi data directory opened for reading.

    Args:
        path: the directory.
        allow_pipes: run the shell commands that wav.scp may hold.

    Attributes:
        utterances: ids, sorted in the C locale.
        speakers: ids, sorted.
        utt2spk: speaker by utterance.
        text: transcripts by utterance; those without one are absent.
        genders: `m` or `f` by speaker, or empty.
        held_out: utterances of the corpus that training must not see.

    Raises:
        CorpusError: it is missing, or breaks Kaldi's rules.
    """

    def __init__(self, path: str | os.PathLike, allow_pipes: bool = False):
        self.path = Path(path)
        self.allow_pipes = allow_pipes
        rows = read_tables(self.path)
        wrong = text_faults(self.path, rows)
        if wrong:
            more = f" (and {len(wrong) - 1} more faults)" if len(wrong) > 1 else ""
            raise CorpusError(f"{path}: {wrong[0]}{more}: run 'speechvq validate {path}'")
        tables = {name: dict(table) for name, table in rows.items()}
        self.utt2spk: dict[str, str] = tables["utt2spk"]
        self.utterances: list[str] = list(self.utt2spk)
        self.speakers: list[str] = list(tables["spk2utt"])
        self.text: dict[str, str] = {utt: text for utt, text in tables.get("text", {}).items() if text}
        self.genders: dict[str, str] = tables.get("spk2gender", {})
        self.held_out: frozenset[str] = frozenset(read_list(self.path / "held_out"))
        self._recordings = tables["wav.scp"]
        self._segments = {utt: parse_segment(line) for utt, line in tables.get("segments", {}).items()}
        self._durations = {utt: float(seconds) for utt, seconds in tables.get("utt2dur", {}).items()}

    def __len__(self) -> int:
        return len(self.utterances)

    def __contains__(self, utt: str) -> bool:
        return utt in self.utt2spk

    def audio(self, utt: str, sample_rate: int = 16000) -> np.ndarray:
        """An utterance's samples.

        Args:
            utt: its id.
            sample_rate: wanted, in Hz.

        Returns:
            float32 [T].

        Raises:
            AudioError: its file cannot be used.
            CorpusError: no such utterance, or its audio is a shell pipe that is not
                allowed or fails.
        """
        recording, start, end = self._span(utt)
        return audio.read(self._open(recording), sample_rate, start or 0.0, end)

    def duration(self, utt: str) -> float:
        """An utterance's length in seconds, from utt2dur where it is there.

        Raises:
            AudioError, CorpusError: as `audio` does.
        """
        if utt not in self._durations:
            recording, start, end = self._span(utt)
            length = audio.info(self._open(recording)).duration
            self._durations[utt] = min(length, length if end is None else end) - (start or 0.0)
        return self._durations[utt]

    @cached_property
    def alignments(self) -> dict[str, Alignment]:
        """Phone times by utterance, from phones.ctm; empty without one.

        Raises:
            AlignmentError: phones.ctm is wrong.
        """
        ctm = self.path / "phones.ctm"
        return {utt: a for utt, a in read_ctm(ctm).items() if utt in self} if ctm.is_file() else {}

    def alignment(self, utt: str) -> Alignment | None:
        """An utterance's phone times, or None."""
        return self.alignments.get(utt)

    def utterance(self, utt: str) -> Utterance:
        """All that is known of an utterance, ready to be written to another directory."""
        recording, start, end = self._span(utt)
        speaker = self.utt2spk[utt]
        return Utterance(
            utt, speaker, self._recordings[recording], self.text.get(utt), start, end,
            self.alignment(utt), self.genders.get(speaker), self._durations.get(utt),
        )  # fmt: skip

    def _span(self, utt: str) -> tuple[str, float | None, float | None]:
        if utt not in self:
            raise CorpusError(f"{self.path} holds no utterance '{utt}' (it holds {len(self)})")
        return self._segments.get(utt, (utt, None, None))

    def _open(self, recording: str) -> str | BinaryIO:
        entry = self._recordings[recording]
        return self._run(recording, entry[:-1]) if is_pipe(entry) else entry

    def _run(self, recording: str, command: str) -> BinaryIO:
        if not self.allow_pipes:
            raise CorpusError(f"{self.path}/wav.scp: {recording} is a shell command; allow pipes to run it: {command.strip()}")
        result = subprocess.run(command, shell=True, capture_output=True)
        if result.returncode:
            reason = result.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            raise CorpusError(f"{self.path}/wav.scp: the command of {recording} failed ({reason or result.returncode})")
        output = io.BytesIO(result.stdout)
        output.name = recording
        return output


def write_data_dir(path: str | os.PathLike, utterances: Iterable[Utterance], held_out: Iterable[str] = ()) -> None:
    """Write a Kaldi data directory; an older one there is replaced whole.

    Args:
        path: the directory.
        utterances: in any order; paths are made absolute. As soon as one has a start
            or an end, all get a line in segments. spk2gender is written where every
            speaker's gender is known; an unknown transcript is an empty line in text.
        held_out: utterances of the corpus that training must not see.

    Raises:
        CorpusError: no utterances, or ids that break Kaldi's rules.
        AudioError: audio whose length is needed and that cannot be read.
    """
    chosen = _by_id(path, utterances)
    chosen = {utt: u if u.duration else replace(u, duration=_measure(u)) for utt, u in chosen.items()}
    with atomic_dir(path, "wav.scp") as directory:
        for name, rows in _tables(chosen).items():
            write_table(directory / name, rows)
        write_list(directory / "held_out", held_out)
        alignments = {utt: u.alignment for utt, u in chosen.items() if u.alignment}
        if alignments:
            write_ctm(directory / "phones.ctm", alignments)
        wrong = text_faults(directory, read_tables(directory))
        if wrong:
            raise CorpusError(f"{path}: {wrong[0]}")


def subset(data: DataDir, path: str | os.PathLike, utterances: Iterable[str]) -> None:
    """Write some utterances of a data directory as another.

    Raises:
        CorpusError: none are given, or one is not there.
    """
    write_data_dir(path, [data.utterance(utt) for utt in utterances], data.held_out)


def refuse_held_out(data: DataDir) -> None:
    """Refuse to train on utterances that evaluation needs unseen.

    Raises:
        CorpusError: the directory holds some of those that its file `held_out` names.
    """
    seen = sorted(data.held_out.intersection(data.utterances), key=byte_order)
    if seen:
        raise CorpusError(f"{data.path} holds {len(seen)} evaluation utterances (such as {seen[0]}): train on the train set")


def _by_id(path: str | os.PathLike, utterances: Iterable[Utterance]) -> dict[str, Utterance]:
    chosen: dict[str, Utterance] = {}
    for u in utterances:
        if u.utt in chosen:
            raise CorpusError(f"{path}: two utterances are called '{u.utt}' ({chosen[u.utt].path} and {u.path})")
        chosen[u.utt] = u
    if not chosen:
        raise CorpusError(f"{path}: no utterances to write")
    return chosen


def _measure(u: Utterance) -> float:
    if is_pipe(os.fspath(u.path)):
        raise CorpusError(f"{u.utt}: give the duration of audio that comes from a shell pipe")
    length = audio.info(u.path).duration
    return min(length, length if u.end is None else u.end) - (u.start or 0.0)


def _tables(chosen: dict[str, Utterance]) -> dict[str, dict[str, str]]:
    utt2spk = {utt: u.speaker for utt, u in chosen.items()}
    tables = {"utt2spk": utt2spk, "spk2utt": spk2utt(utt2spk)}
    tables["utt2dur"] = {utt: f"{u.duration:.4f}" for utt, u in chosen.items()}
    tables["text"] = {utt: " ".join((u.text or "").split()) for utt, u in chosen.items()}
    genders = {u.speaker: u.gender for u in chosen.values()}
    if all(genders.values()):
        tables["spk2gender"] = genders
    if any(u.start is not None or u.end is not None for u in chosen.values()):
        recordings = _recording_ids(chosen.values())
        tables["wav.scp"] = {name: entry for entry, name in recordings.items()}
        tables["segments"] = {utt: _segment(u, recordings[_entry(u)]) for utt, u in chosen.items()}
    else:
        tables["wav.scp"] = {utt: _entry(u) for utt, u in chosen.items()}
    return tables


def _entry(u: Utterance) -> str:
    path = os.fspath(u.path)
    return path if is_pipe(path) else os.path.abspath(path)


def _segment(u: Utterance, recording: str) -> str:
    start = u.start or 0.0
    return f"{recording} {start:.4f} {start + u.duration if u.end is None else u.end:.4f}"


def _recording_ids(utterances: Iterable[Utterance]) -> dict[str, str]:
    # The first utterance of a file, in order, names it: unique, and it begins with the speaker.
    first: dict[str, str] = {}
    for u in sorted(utterances, key=lambda u: byte_order(u.utt)):
        first.setdefault(_entry(u), f"{u.utt}-recording")
    return first
