"""Mending a Kaldi data directory where that takes no guess."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from speechvq.alignment import read_ctm, write_ctm
from speechvq.corpus_files import TABLES, Rows, byte_order, read_list, read_tables, spk2utt, write_list, write_table
from speechvq.corpus_validate import parse_segment, recording_lengths, utterance_lengths
from speechvq.errors import AlignmentError, CorpusError

Table = dict[str, str]


def mend(path: str | os.PathLike) -> list[str]:
    """Mend a data directory in place; what its files were before is kept in `.backup` in it.

    Sorts, drops repeated and empty lines, rebuilds spk2utt and utt2dur, puts the
    speaker before utterance ids that lack it, and drops utterances without a speaker
    or without audio that can be read, as well as lines about unknown ones.

    Args:
        path: the directory.

    Returns:
        one line for each file changed; empty where there was nothing to do.

    Raises:
        CorpusError: no such directory, or no utterance would be left.
    """
    path = Path(path)
    if not path.is_dir():
        raise CorpusError(f"{path}: no such directory")
    before = read_tables(path)
    tables, names = _mended({name: dict(reversed(rows)) for name, rows in before.items()})
    if not tables["utt2spk"]:
        raise CorpusError(f"{path}: no utterance has both a speaker in utt2spk and audio that can be read: nothing was changed")
    _back_up(path)
    done = [_replace(path / name, before.get(name, []), tables.get(name)) for name in TABLES]
    done += [_mend_ctm(path / "phones.ctm", names), _mend_held_out(path / "held_out", names)]
    return [line for line in done if line]


def _mended(tables: dict[str, Table]) -> tuple[dict[str, Table], dict[str, str]]:
    """Returns the mended tables, and the new name of each utterance that is kept."""
    recordings = {key: os.path.expanduser(entry) for key, entry in tables.get("wav.scp", {}).items() if entry}
    lengths, unreadable = recording_lengths(recordings)
    recordings = {key: entry for key, entry in recordings.items() if key not in unreadable}
    utt2spk = _speakers(tables)
    segments = _mend_segments(tables["segments"], recordings, lengths) if "segments" in tables else None
    kept = [utt for utt in utt2spk if utt in (recordings if segments is None else segments)]
    names = {utt: utt if utt.startswith(utt2spk[utt]) else f"{utt2spk[utt]}-{utt}" for utt in kept}

    def renamed(table: Table) -> Table:
        return {names[utt]: value for utt, value in table.items() if utt in names}

    mended = {"utt2spk": renamed(utt2spk)}
    mended["spk2utt"] = spk2utt(mended["utt2spk"])
    if segments is None:
        mended["wav.scp"] = renamed(recordings)
        seconds = renamed(lengths)
    else:
        mended["segments"] = renamed(segments)
        used = {line.split()[0] for line in mended["segments"].values()}
        mended["wav.scp"] = {key: entry for key, entry in recordings.items() if key in used}
        seconds = utterance_lengths({"segments": list(mended["segments"].items())}, lengths)
    if "text" in tables:
        text = renamed(tables["text"])
        mended["text"] = {utt: " ".join(text.get(utt, "").split()) for utt in mended["utt2spk"]}
    mended["utt2dur"] = _durations(renamed(tables.get("utt2dur", {})), seconds)
    if set(mended["utt2dur"]) != set(mended["utt2spk"]):
        del mended["utt2dur"]
    genders = {speaker: g for speaker, g in tables.get("spk2gender", {}).items() if g in ("m", "f")}
    if set(mended["spk2utt"]) <= set(genders):
        mended["spk2gender"] = {speaker: genders[speaker] for speaker in mended["spk2utt"]}
    return mended, names


def _speakers(tables: dict[str, Table]) -> Table:
    if "utt2spk" in tables:
        return {utt: speaker.split()[0] for utt, speaker in tables["utt2spk"].items() if speaker}
    return {utt: speaker for speaker, utts in tables.get("spk2utt", {}).items() for utt in utts.split()}


def _mend_segments(segments: Table, recordings: Table, lengths: dict[str, float]) -> Table:
    """Drop malformed segments and those outside their recording; end the others with it."""
    mended = {}
    for utt, line in segments.items():
        span = parse_segment(line)
        if span is None or span[0] not in recordings:
            continue
        recording, start, end = span
        length = lengths.get(recording, end)
        if start < length:
            mended[utt] = line if end <= length else f"{recording} {start:.4f} {length:.4f}"
    return mended


def _durations(stated: Table, measured: dict[str, float]) -> Table:
    # Keep a stated duration that is right, so that a good file is not rewritten.
    right = {utt for utt in stated.keys() & measured.keys() if _close(stated[utt], measured[utt])}
    return stated | {utt: f"{seconds:.4f}" for utt, seconds in measured.items() if utt not in right}


def _close(stated: str, measured: float) -> bool:
    try:
        return abs(float(stated) - measured) <= 0.01
    except ValueError:
        return False


def _replace(path: Path, before: Rows, after: Table | None) -> str:
    if after is None:
        path.unlink(missing_ok=True)
        return f"{path.name}: removed, it cannot be made whole" if before else ""
    data = path.read_bytes() if path.is_file() else b""
    write_table(path, after)
    if path.read_bytes() == data:
        return ""
    old = dict(reversed(before))
    counts = {
        "dropped": len(before) - len(old.keys() & after.keys()),
        "added": len(after.keys() - old.keys()),
        "changed": sum(old[key] != after[key] for key in old.keys() & after.keys()),
    }
    return f"{path.name}: " + (", ".join(f"{n} {what}" for what, n in counts.items() if n) or "sorted and tidied")


def _mend_ctm(path: Path, names: dict[str, str]) -> str:
    if not path.is_file():
        return ""
    try:
        alignments = read_ctm(path)
    except AlignmentError:
        return ""
    kept = {names[utt]: alignment for utt, alignment in alignments.items() if utt in names}
    if kept.keys() == alignments.keys():
        return ""
    write_ctm(path, kept)
    return f"phones.ctm: {len(kept)} of {len(alignments)} utterances kept"


def _mend_held_out(path: Path, names: dict[str, str]) -> str:
    # An utterance that is not here stays held out under its name.
    old = read_list(path)
    new = [names.get(utt, utt) for utt in old]
    if sorted(new, key=byte_order) == old:
        return ""
    write_list(path, new)
    return "held_out: renamed or sorted"


def _back_up(path: Path) -> None:
    backup = path / ".backup"
    number = 1
    while backup.exists():
        number += 1
        backup = path / f".backup{number}"
    backup.mkdir()
    for name in (*TABLES, "phones.ctm", "held_out"):
        if (path / name).is_file():
            shutil.copy2(path / name, backup / name)
