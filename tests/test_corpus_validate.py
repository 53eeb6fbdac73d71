"""Every fault of a data directory is named, all at once, and mending leaves a valid one."""

import numpy as np
import pytest
import soundfile
from test_corpus import kaldi_says, pieces, sound, whole_files

from speechvq.alignment import read_ctm
from speechvq.corpus import DataDir, write_data_dir
from speechvq.corpus_mend import mend
from speechvq.corpus_validate import faults
from speechvq.errors import CorpusError


def edit(name, change):
    """A fault: a function of the directory that changes the text of one file."""

    def apply(directory):
        path = directory / name
        path.write_text(change(path.read_text()))

    return apply


def lines(change):
    return lambda text: "".join(line + "\n" for line in change(text.splitlines()))


def replace(old, new):
    return lambda text: text.replace(old, new)


def remove(name):
    return lambda directory: (directory / name).unlink()


WHOLE = {
    "missing": (remove("spk2utt"), "spk2utt is missing"),
    "no newline": (edit("utt2spk", lambda text: text[:-1]), "utt2spk does not end with a newline"),
    "windows": (edit("text", replace("\n", "\r\n")), "text has carriage returns"),
    "empty lines": (edit("wav.scp", replace("\n", "\n\n")), "wav.scp has empty lines"),
    "order": (edit("wav.scp", lines(lambda rows: rows[::-1])), "wav.scp is not sorted in the C locale"),
    "locale": (edit("utt2spk", lines(lambda rows: sorted(rows, key=str.swapcase))), "utt2spk is not sorted in the C locale"),
    "twice": (edit("text", lines(lambda rows: [*rows, rows[-1]])), "text has s2-b more than once"),
    "no value": (edit("utt2spk", replace("s2-b s2", "s2-b")), "utt2spk: s2-b without a value"),
    "two speakers": (edit("utt2spk", replace("s2-b s2", "s2-b s2 s3")), "'s2-b s2 s3' must be two words"),
    "disagree": (edit("spk2utt", replace(" s2-b", "")), "spk2utt and utt2spk do not agree"),
    "text lacks": (edit("text", lines(lambda rows: rows[1:])), "text lacks s10-a"),
    "text has": (edit("text", lambda text: text + "x hello\n"), "text has x, utt2spk does not"),
    "wav lacks": (edit("wav.scp", lines(lambda rows: rows[:-1])), "wav.scp lacks s2-b"),
    "duration lacks": (edit("utt2dur", lines(lambda rows: rows[:-1])), "utt2dur lacks s2-b"),
    "duration zero": (edit("utt2dur", replace("s2-b 0.5000", "s2-b 0")), "utt2dur: 's2-b 0' is not a positive number"),
    "duration wrong": (edit("utt2dur", replace("s2-b 0.5000", "s2-b 0.6")), "utt2dur: s2-b lasts 0.500 s, not 0.6"),
    "gender": (edit("spk2gender", replace(" f", " female")), "spk2gender: 's2 female' must be m or f"),
    "gender lacks": (edit("spk2gender", lines(lambda rows: rows[1:])), "spk2gender lacks s10"),
    "reserved": (edit("text", replace("bye", "bye </s>")), "text: s2-B has a word that Kaldi reserves"),
    "hard space": (edit("text", replace("hello", "hello\u00a0")), "text: s2-b has white space"),
    "tilde": (edit("wav.scp", replace("s2-b /", "s2-b ~/")), "wav.scp: s2-b has '~"),
    "no audio": (edit("wav.scp", replace("b.wav", "q.wav")), "q.wav: no such audio file"),
    "times": (edit("phones.ctm", replace("0.2000 0.3000", "0.2000 1.3000")), "phones.ctm: s2-b ends at 1.500 s"),
    "times of another": (edit("phones.ctm", replace("s2-b", "q")), "phones.ctm has q, utt2spk does not"),
    "times broken": (edit("phones.ctm", replace("0.2000", "x")), "phones.ctm line 1: expected"),
}
CUT = {
    "no recording": (edit("wav.scp", replace("s1-0-recording", "z")), "segments' recordings has s1-0-recording, wav.scp does not"),
    "backwards": (edit("segments", replace("0.5000 0.7500", "0.7500 0.5000")), "segments: s1-1 must be"),
    "too long": (edit("segments", replace("1.0000 1.2500", "1.0000 9.0")), "segments: s1-2 ends at 9.0 s"),
    "outside": (edit("segments", replace("1.0000 1.2500", "8.0 9.0")), "s1-2 has no audio"),
    "not listed": (edit("segments", lines(lambda rows: rows[1:])), "segments lacks s1-0"),
}
ALL = {("whole", name): fault for name, fault in WHOLE.items()} | {("cut", name): fault for name, fault in CUT.items()}
# What Kaldi's validator lets pass: it opens no audio, and knows no CTM.
BEYOND_KALDI = {
    "duration wrong", "no audio", "times", "times of another", "times broken", "too long", "outside", "empty lines",
}  # fmt: skip


def make(tmp_path, kind):
    write_data_dir(tmp_path / "data", (whole_files if kind == "whole" else pieces)(tmp_path))
    return tmp_path / "data"


@pytest.mark.parametrize("kind", ["whole", "cut"])
def test_a_written_directory_has_no_faults(tmp_path, kind):
    assert faults(make(tmp_path, kind)) == []
    assert mend(tmp_path / "data") == []


@pytest.mark.parametrize("kind, name", ALL)
def test_names_the_fault(tmp_path, kind, name):
    apply, message = ALL[kind, name]
    directory = make(tmp_path, kind)
    apply(directory)
    assert any(message in fault for fault in faults(directory))


@pytest.mark.parametrize("kind, name", ALL)
def test_finds_what_kaldi_finds(tmp_path, kind, name):
    directory = make(tmp_path, kind)
    ALL[kind, name][0](directory)
    assert name in BEYOND_KALDI or "Successfully validated" not in kaldi_says(directory)


def test_all_faults_at_once(tmp_path):
    directory = make(tmp_path, "whole")
    chosen = [WHOLE[name] for name in ("no newline", "text has", "times of another", "gender", "no audio", "reserved")]
    for apply, _ in chosen:
        apply(directory)
    found = faults(directory)
    for _, message in chosen:
        assert any(message in fault for fault in found)


def test_long_lists_of_names_are_cut_short(tmp_path):
    directory = make(tmp_path, "cut")
    edit("text", lambda text: text + "".join(f"z{k} x\n" for k in range(9)))(directory)
    assert faults(directory) == ["text has z0, z1, z2 and 6 more, utt2spk does not"]


def test_text_that_is_not_utf8(tmp_path):
    directory = make(tmp_path, "whole")
    (directory / "text").write_bytes((directory / "text").read_bytes().replace(b"bye", b"caf\xe9"))
    assert faults(directory) == ["text is not UTF-8 at byte 14"]


def test_a_short_file_is_found_by_its_audio(tmp_path):
    directory = make(tmp_path, "whole")
    whole = (tmp_path / "c.wav").read_bytes()
    (tmp_path / "c.wav").write_bytes(whole[: len(whole) // 2])
    assert [f for f in faults(directory) if "truncated" in f]
    assert faults(directory, audio_too=False) == []


def test_pipes_are_not_run(tmp_path):
    directory = make(tmp_path, "whole")
    edit("wav.scp", lines(lambda rows: [f"{row.split()[0]} touch {tmp_path}/ran |" for row in rows]))(directory)
    assert faults(directory) == []
    assert not (tmp_path / "ran").exists()


# Nothing but a guess would mend these.
UNMENDABLE = {"reserved", "times", "times broken"}


@pytest.mark.parametrize("kind, name", [key for key in ALL if key[1] not in UNMENDABLE and key != ("cut", "no recording")])
def test_mending_leaves_a_valid_directory(tmp_path, kind, name):
    directory = make(tmp_path, kind)
    before = {p.name: p.read_bytes() for p in directory.iterdir()}
    ALL[kind, name][0](directory)
    damaged = {p.name: p.read_bytes() for p in directory.iterdir()}
    assert mend(directory)
    assert faults(directory) == []
    assert {p.name: p.read_bytes() for p in (directory / ".backup").iterdir()} == damaged
    whole = {"missing", "no newline", "windows", "empty lines", "order", "locale", "twice", "disagree", "text has", "duration wrong", "duration lacks"}
    if name in whole:
        assert {p.name: p.read_bytes() for p in directory.iterdir() if p.is_file()} == before


def test_mending_drops_no_more_than_it_must(tmp_path):
    directory = make(tmp_path, "whole")
    for name in ("no audio", "text lacks", "duration zero", "gender", "tilde"):
        WHOLE[name][0](directory)
    assert mend(directory)
    data = DataDir(directory)
    assert data.utterances == ["s10-a", "s2-B"] and data.text == {"s2-B": "bye"} and data.genders == {}
    assert not (directory / "phones.ctm").read_text()


def test_mending_puts_the_speaker_before_the_utterance(tmp_path):
    directory = make(tmp_path, "whole")
    for name in ("utt2spk", "spk2utt", "text", "utt2dur", "wav.scp", "phones.ctm"):
        edit(name, replace("s2-b", "b"))(directory)
    (directory / "held_out").write_text("b\nelsewhere\n")
    mend(directory)
    assert faults(directory) == []
    assert DataDir(directory).text["s2-b"] == "hello there"
    assert list(read_ctm(directory / "phones.ctm")) == ["s2-b"]
    assert DataDir(directory).held_out == {"s2-b", "elsewhere"}


def test_mending_twice_keeps_both_states(tmp_path):
    directory = make(tmp_path, "whole")
    for _ in range(2):
        WHOLE["no newline"][0](directory)
        mend(directory)
    assert {p.name for p in directory.iterdir() if p.is_dir()} == {".backup", ".backup2"}


def test_nothing_left_is_an_error_and_changes_nothing(tmp_path):
    directory = make(tmp_path, "whole")
    edit("wav.scp", replace(str(tmp_path), "/nowhere"))(directory)
    before = {p.name: p.read_bytes() for p in directory.iterdir()}
    with pytest.raises(CorpusError, match="nothing was changed"):
        mend(directory)
    assert {p.name: p.read_bytes() for p in directory.iterdir()} == before
    with pytest.raises(CorpusError, match="no such directory"):
        mend(tmp_path / "nothing")


def test_broken_audio_is_dropped(tmp_path):
    directory = make(tmp_path, "whole")
    soundfile.write(tmp_path / "b.wav", np.zeros(0), 16000)
    sound(tmp_path / "c.wav", 0.7)
    assert "wav.scp: 1 dropped" in mend(directory)
    assert DataDir(directory).duration("s2-B") == pytest.approx(0.7)
    assert faults(directory) == []
