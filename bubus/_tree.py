"""Trees as text: rows in, lines out. Nothing a payload contains reaches a terminal raw."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable

ICONS = {"pending": "⏳", "started": "🏃", "completed": "✅", "error": "❌"}
"""One icon per status of an event or result."""

# Control and format characters (bidirectional overrides among them), and line and paragraph separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


@attrs.frozen
class Row:
    """One line of a tree, with the rows below it."""

    text: str
    children: Iterable[Row] = ()
    """May be a generator: a row's children are asked for once, when their turn comes."""


def escape(value: object, limit: int = 200) -> str:
    """
    Return ``str(value)`` with control characters as escape sequences, cut at *limit* characters.

    A value that cannot be printed is named by its type and the error.
    """
    try:
        text = str(value)
    except Exception as error:  # noqa: BLE001 - printing must never fail because of what is printed
        return f"<unprintable {type(value).__name__}: {type(error).__name__}>"
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    return text if text.isprintable() else "".join(map(_escape_character, text))


def _escape_character(character: str) -> str:
    if unicodedata.category(character) in _UNSAFE:
        return character.encode("unicode_escape", "backslashreplace").decode("ascii")
    return character


def describe_value(value: object, limit: int = 80) -> str:
    """Return ``repr(value)`` on one safe line, cut at *limit* characters."""
    try:
        return escape(repr(value), limit)
    except Exception as error:  # noqa: BLE001 - printing must never fail because of what is printed
        return f"<unprintable {type(value).__name__}: {type(error).__name__}>"


def describe_error(error: BaseException) -> str:
    """Return the error's type and message on one safe line."""
    return f"{type(error).__name__}: {escape(error)}"


def describe_seconds(seconds: float) -> str:
    """Return a duration in a readable unit."""
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def render(rows: Iterable[Row]) -> str:
    """Return the rows as an indented tree, one line each; however deep it is, no stack grows with it."""
    lines: list[str] = []
    todo = _level(rows, "")
    while todo:
        row, prefix, last = todo.pop()
        lines.append(f"{prefix}{'└── ' if last else '├── '}{row.text}")
        todo += _level(row.children, prefix + ("    " if last else "│   "))
    return "\n".join(lines)


def _level(rows: Iterable[Row], prefix: str) -> list[tuple[Row, str, bool]]:
    """Return the rows of one level, last one first, each with its prefix and whether it is the last."""
    level = list(rows)
    level.reverse()
    return [(row, prefix, index == 0) for index, row in enumerate(level)]
