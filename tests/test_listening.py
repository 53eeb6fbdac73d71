"""Hearing audio while it is made, with stand-ins for the players."""

from __future__ import annotations

import os
import shutil
import sys

import numpy as np
import pytest
from tiny import RATE, voice

from speechvq import audio
from speechvq.cli import main
from speechvq.errors import InputError
from speechvq.listening import heard, player

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the stand-ins are shell scripts")


@pytest.fixture
def convert(tiny_exp, tmp_path):
    audio.write(tmp_path / "in.wav", voice(1, 0.1, 120.0), RATE)
    arguments = ["convert", "--model", str(tiny_exp / "best"), "--speaker", "low", "--backend", "reference"]
    return lambda *more, source=tmp_path / "in.wav": main([*arguments, str(source), *map(str, more)])


def install(folder, monkeypatch, name: str, script: str):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    (folder / "cat").unlink(missing_ok=True)
    (folder / "cat").symlink_to(shutil.which("cat"))
    monkeypatch.setenv("PATH", str(folder))


def test_stream_is_the_file_without_its_header(convert, tmp_path, capfdbinary):
    assert convert("--stream", "-o", tmp_path / "out.wav") == 0
    sys.stdout.flush()
    streamed = np.frombuffer(capfdbinary.readouterr().out, "<i2")
    np.testing.assert_array_equal(streamed / 32768, audio.read(tmp_path / "out.wav", RATE))


def test_play_hands_the_samples_to_the_first_player(convert, tmp_path, monkeypatch):
    install(tmp_path / "bin", monkeypatch, "play", f'echo "$@" > {tmp_path}/arguments; cat > {tmp_path}/heard')
    assert convert("--play", "-o", tmp_path / "out.wav") == 0
    samples = np.frombuffer((tmp_path / "heard").read_bytes(), "<i2")
    np.testing.assert_array_equal(samples / 32768, audio.read(tmp_path / "out.wav", RATE))
    assert f"-r {RATE}" in (tmp_path / "arguments").read_text()


def test_no_player(convert, tmp_path, monkeypatch, capsys):
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert convert("--play") == 2
    assert "needs one of aplay, paplay" in capsys.readouterr().err


@pytest.mark.parametrize("script", ["exit 3", "cat > /dev/null; exit 3"])
def test_a_player_that_fails(tmp_path, monkeypatch, script):
    install(tmp_path / "bin", monkeypatch, "aplay", script)
    with pytest.raises(InputError, match=r"aplay could not play \(exit code 3\)"), player(RATE) as pipe:
        for _ in heard([np.zeros(100_000)] * 4, pipe):
            pass


def test_a_fault_on_the_way_stops_the_player(tmp_path, monkeypatch):
    install(tmp_path / "bin", monkeypatch, "aplay", "exec cat > /dev/null")
    with pytest.raises(ZeroDivisionError), player(RATE):
        raise ZeroDivisionError


@pytest.mark.parametrize(("options", "fault"), [((), "say where to write with -o"), (("--play", "--stream"), "not allowed with")])
def test_what_cannot_be_heard(convert, capsys, options, fault):
    try:
        assert convert(*options) == 2
    except SystemExit as stop:
        assert stop.code == 2
    assert fault in capsys.readouterr().err


def test_one_recording_at_a_time(convert, tmp_path, capsys):
    audio.write(tmp_path / "two.wav", voice(1, 0.1, 120.0), RATE)
    assert convert("--stream", source=tmp_path) == 2
    assert "take one recording, not 2" in capsys.readouterr().err
