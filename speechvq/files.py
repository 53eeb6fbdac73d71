"""Writing files so that a crash never leaves half of one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from speechvq.errors import InputError


@contextmanager
def atomic_file(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path` that is renamed to it when the block ends well.

    Args:
        path: the file to write; its folder is made where missing. The temporary
            name keeps the suffix, so that writers which look at it still work.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_dir(path: str | os.PathLike, mark: str) -> Iterator[Path]:
    """Yield a temporary folder beside `path` that takes its place when the block ends well.

    Args:
        path: the folder to write; an older one of its kind there is replaced whole.
        mark: a file that every folder of this kind holds.

    Raises:
        InputError: `path` is a folder of another kind, whose files would be lost, or a file.
    """
    path = Path(path)
    if path.exists() and not (path / mark).exists() and not (path.is_dir() and not any(path.iterdir())):
        raise InputError(f"{path} exists and holds other things (no {mark}): choose another name, or remove it")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    temporary.chmod(0o755)
    try:
        yield temporary
        if path.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
            os.replace(path, old / path.name)
            os.replace(temporary, path)
            shutil.rmtree(old)
        else:
            os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
