"""Everything that is wrong with a Kaldi data directory, at once.

The rules are those of Kaldi's validate_data_dir.sh and one more: an utterance id
begins with its speaker id.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

from speechvq import audio
from speechvq.alignment import Alignment, read_ctm
from speechvq.corpus_files import BY_UTTERANCE, REQUIRED, Rows, byte_order, is_pipe, read_tables, spk2utt
from speechvq.errors import AlignmentError, AudioError

RESERVED_WORDS = frozenset({"<s>", "</s>", "#0"})
STRANGE_SPACE = re.compile(r"[^\S \t]")
# Kaldi's extract-segments lets a segment end this much after its recording.
MAX_OVERSHOOT_SECONDS = 0.5
DURATION_TOLERANCE_SECONDS = 0.02


def faults(path: str | os.PathLike, audio_too: bool = True) -> list[str]:
    """List every fault of a data directory.

    Args:
        path: the directory.
        audio_too: also open every audio file (not pipes), compare its length with
            segments and utt2dur, and read phones.ctm.

    Returns:
        one line a fault; empty for a valid directory.
    """
    path = Path(path)
    tables = read_tables(path)
    found = text_faults(path, tables)
    if audio_too:
        lengths, unreadable = recording_lengths(dict(tables.get("wav.scp", [])))
        found += [f"wav.scp: {reason}" for reason in unreadable.values()]
        durations = utterance_lengths(tables, lengths)
        found += _duration_faults(tables, durations) + _ctm_faults(path / "phones.ctm", tables, durations)
    return found


def text_faults(path: Path, tables: dict[str, Rows]) -> list[str]:
    """List the faults that show without opening audio.

    Args:
        path: the directory.
        tables: its files as `read_tables` reads them.
    """
    if not path.is_dir():
        return ["no such directory"]
    found = [f"{name} is missing" for name in REQUIRED if name not in tables]
    for name, rows in tables.items():
        found += _file_faults(path / name, rows)
    return found + _speaker_faults(tables) + _agreement_faults(tables) + _segment_faults(tables) + _value_faults(tables)


def recording_lengths(wav_scp: dict[str, str]) -> tuple[dict[str, float], dict[str, str]]:
    """Open every recording that is a file.

    Returns:
        seconds by recording id, and of those that cannot be read the reasons.
    """
    lengths, unreadable = {}, {}
    for recording, entry in wav_scp.items():
        if is_pipe(entry):
            continue
        try:
            lengths[recording] = audio.info(entry).duration
        except AudioError as error:
            unreadable[recording] = str(error)
    return lengths, unreadable


def utterance_lengths(tables: dict[str, Rows], lengths: dict[str, float]) -> dict[str, float]:
    """Seconds by utterance, from its segment or its recording's length, where known."""
    if "segments" not in tables:
        return lengths
    spans = {utt: parse_segment(line) for utt, line in tables["segments"]}
    # A segment may end a little after its recording.
    return {
        utt: min(span[2], lengths.get(span[0], span[2])) - span[1] for utt, span in spans.items() if span is not None
    }


def parse_segment(line: str) -> tuple[str, float, float] | None:
    """Split `recording start end`; None where it is not that."""
    fields = line.split()
    try:
        recording, start, end = fields[0], float(fields[1]), float(fields[2])
    except (IndexError, ValueError):
        return None
    return (recording, start, end) if len(fields) == 3 and 0 <= start < end else None


def _file_faults(path: Path, rows: Rows) -> list[str]:
    data = path.read_bytes()
    if not rows:
        return [f"{path.name} is empty"]
    found = []
    if not data.endswith(b"\n"):
        found.append(f"{path.name} does not end with a newline")
    if b"\r" in data:
        found.append(f"{path.name} has carriage returns")
    if len(rows) != data.count(b"\n") + (not data.endswith(b"\n")):
        found.append(f"{path.name} has empty lines")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        found.append(f"{path.name} is not UTF-8 at byte {error.start}")
    keys = [key for key, _ in rows]
    repeated = [key for key, count in Counter(keys).items() if count > 1]
    if repeated:
        found.append(f"{path.name} has {_some(repeated)} more than once")
    if keys != sorted(keys, key=byte_order):
        found.append(f"{path.name} is not sorted in the C locale (LC_ALL=C sort)")
    if path.name != "text":
        blank = [key for key, value in rows if not value]
        found += [f"{path.name}: {_some(blank)} without a value"] if blank else []
    return found


def _speaker_faults(tables: dict[str, Rows]) -> list[str]:
    utt2spk = dict(tables.get("utt2spk", []))
    found = [f"utt2spk: '{u} {s}' must be two words" for u, s in utt2spk.items() if len(s.split()) > 1]
    unlike = [utt for utt, speaker in utt2spk.items() if not utt.startswith(speaker)]
    if unlike:
        found.append(f"utterance ids must begin with their speaker id: {_some(unlike)}")
    by_utterance = sorted(utt2spk, key=byte_order)
    if by_utterance != sorted(utt2spk, key=lambda utt: (byte_order(utt2spk[utt]), byte_order(utt))):
        found.append("utt2spk sorted by utterance is not sorted by speaker: end speaker ids with '-' in the utterance ids")
    if "spk2utt" in tables and dict(tables["spk2utt"]) != spk2utt(utt2spk):
        found.append("spk2utt and utt2spk do not agree")
    genders = dict(tables.get("spk2gender", []))
    found += [f"spk2gender: '{s} {g}' must be m or f" for s, g in genders.items() if g not in ("m", "f")]
    if genders:
        found += _difference("spk2gender", set(genders), "utt2spk's speakers", set(utt2spk.values()))
    return found


def _agreement_faults(tables: dict[str, Rows]) -> list[str]:
    utterances = {utt for utt, _ in tables.get("utt2spk", [])}
    files = [name for name in BY_UTTERANCE[1:] if name in tables]
    if "segments" not in tables and "wav.scp" in tables:
        files.append("wav.scp")
    return [line for name in files for line in _difference(name, {u for u, _ in tables[name]}, "utt2spk", utterances)]


def _segment_faults(tables: dict[str, Rows]) -> list[str]:
    if "segments" not in tables:
        return []
    segments = [(utt, parse_segment(line)) for utt, line in tables["segments"]]
    bad = [utt for utt, segment in segments if segment is None]
    found = [f"segments: {_some(bad)} must be 'utt recording start end' with 0 <= start < end"] if bad else []
    recordings = {segment[0] for _, segment in segments if segment}
    return found + _difference("segments' recordings", recordings, "wav.scp", {key for key, _ in tables.get("wav.scp", [])})


def _value_faults(tables: dict[str, Rows]) -> list[str]:
    found = [f"wav.scp: {key} has '{v}', write the path out" for key, v in tables.get("wav.scp", []) if v.startswith("~")]
    found += [f"utt2dur: '{utt} {v}' is not a positive number" for utt, v in tables.get("utt2dur", []) if not _positive(v)]
    for utt, line in tables.get("text", []):
        if not RESERVED_WORDS.isdisjoint(line.split()):
            found.append(f"text: {utt} has a word that Kaldi reserves ({' '.join(sorted(RESERVED_WORDS))})")
        if STRANGE_SPACE.search(line):
            found.append(f"text: {utt} has white space that is neither space nor tab")
    return found


def _duration_faults(tables: dict[str, Rows], durations: dict[str, float]) -> list[str]:
    found = [f"utterance {utt} has no audio, {seconds:.3f} s" for utt, seconds in durations.items() if seconds <= 0]
    for utt, value in tables.get("utt2dur", []):
        if utt in durations and _positive(value) and abs(float(value) - durations[utt]) > DURATION_TOLERANCE_SECONDS:
            found.append(f"utt2dur: {utt} lasts {durations[utt]:.3f} s, not {value}")
    for utt, line in tables.get("segments", []):
        span = parse_segment(line)
        if span and span[2] - span[1] > durations[utt] + MAX_OVERSHOOT_SECONDS:
            found.append(f"segments: {utt} ends at {span[2]} s, more than {MAX_OVERSHOOT_SECONDS} s after its recording")
    return found


def _ctm_faults(path: Path, tables: dict[str, Rows], durations: dict[str, float]) -> list[str]:
    if not path.is_file():
        return []
    try:
        alignments: dict[str, Alignment] = read_ctm(path)
    except AlignmentError as error:
        return [f"phones.ctm: {error}"]
    unknown = set(alignments) - {utt for utt, _ in tables.get("utt2spk", [])}
    found = [f"phones.ctm has {_some(sorted(unknown))}, utt2spk does not"] if unknown else []
    for utt, alignment in alignments.items():
        if utt in durations and alignment.end > durations[utt] + MAX_OVERSHOOT_SECONDS:
            found.append(f"phones.ctm: {utt} ends at {alignment.end:.3f} s but its audio at {durations[utt]:.3f} s")
    return found


def _difference(name: str, keys: set[str], other: str, others: set[str]) -> list[str]:
    found = [f"{name} lacks {_some(sorted(others - keys))}"] if others - keys else []
    return found + ([f"{name} has {_some(sorted(keys - others))}, {other} does not"] if keys - others else [])


def _positive(value: str) -> bool:
    try:
        return 0 < float(value) < float("inf")
    except ValueError:
        return False


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
