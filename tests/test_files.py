"""Half-written files never take the place of whole ones."""

from __future__ import annotations

import pytest

from speechvq.files import atomic_dir, atomic_file


def test_a_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with atomic_file(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
        assert temporary.suffix == ".txt"
    assert path.read_text() == "whole"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_file(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_is_replaced_whole(tmp_path):
    path = tmp_path / "d"
    for content in ("one", "two"):
        with atomic_dir(path) as temporary:
            (temporary / content).write_text(content)
    assert [p.name for p in path.iterdir()] == ["two"]
    assert [p.name for p in tmp_path.iterdir()] == ["d"]


def test_a_failed_folder_leaves_the_old_one(tmp_path):
    path = tmp_path / "d"
    path.mkdir()
    (path / "old").write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_dir(path) as temporary:
        (temporary / "half").write_text("half")
        raise ZeroDivisionError
    assert [p.name for p in path.iterdir()] == ["old"]
    assert [p.name for p in tmp_path.iterdir()] == ["d"]
