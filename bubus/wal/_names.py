"""The names of a log's files, made from its path and our own counters; nothing in an event reaches one."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_DIGITS: Final = 6
_NUMBER: Final = re.compile(r"\.(?P<number>[0-9]{6,18})(?:\.gz)?", re.ASCII)


def canonical(path: str | os.PathLike[str]) -> Path:
    """Return one absolute spelling of *path*; links among its directories are resolved, a link at its end is not."""
    whole = Path(path)
    return Path(os.path.realpath(whole.parent)) / whole.name


def sibling(path: Path, suffix: str) -> Path:
    """Return the file beside the log that ends in *suffix*: ``.lock``, ``.journal``, ``.broken``, ..."""
    return path.with_name(path.name + suffix)


def numbered(path: Path, number: int) -> Path:
    """Return the name of the log's *number*-th full file."""
    return sibling(path, f".{number:0{_DIGITS}}")


def rotated(path: Path) -> list[tuple[int, Path]]:
    """Return the full files beside *path* with their numbers, oldest first; a plain file hides its ``.gz``."""
    found = sorted(_candidates(path), key=lambda item: (item[0], item[1].suffix != ".gz"))
    return sorted(dict(found).items())


def _candidates(path: Path) -> Iterator[tuple[int, Path]]:
    try:
        names = os.listdir(path.parent)  # noqa: PTH208 - Path.iterdir is ten times as slow and not needed
    except FileNotFoundError:
        return
    for name in names:
        match = _NUMBER.fullmatch(name, len(path.name)) if name.startswith(path.name) else None
        if match:
            yield int(match["number"]), path.with_name(name)
