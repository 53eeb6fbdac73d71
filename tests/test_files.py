"""Half-written files never take the place of whole ones."""

from __future__ import annotations

import pytest

from speechvq.errors import InputError
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
        with atomic_dir(path, "mark") as temporary:
            (temporary / content).write_text(content)
            (temporary / "mark").touch()
    assert sorted(p.name for p in path.iterdir()) == ["mark", "two"]
    assert [p.name for p in tmp_path.iterdir()] == ["d"]


def test_a_failed_folder_leaves_the_old_one(tmp_path):
    path = tmp_path / "d"
    path.mkdir()
    (path / "mark").write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_dir(path, "mark") as temporary:
        (temporary / "half").write_text("half")
        raise ZeroDivisionError
    assert [p.name for p in path.iterdir()] == ["mark"]
    assert [p.name for p in tmp_path.iterdir()] == ["d"]


def test_a_folder_of_another_kind_is_not_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    with atomic_dir(tmp_path / "mine", "mark") as temporary:
        (temporary / "one").touch()
    for path in (tmp_path / "mine", tmp_path / "mine" / "one"):
        with pytest.raises(InputError, match="holds other things"), atomic_dir(path, "mark"):
            raise AssertionError("too late")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["one"]
