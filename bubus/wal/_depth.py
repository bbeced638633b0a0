"""How deep a line is nested, found before a decoder that could crash on it sees it."""

from __future__ import annotations

import re
from typing import Final

DEEPEST: Final = 128
"""Levels a line may have. In a thread with a small stack a few thousand end the interpreter, whatever the decoder."""

# an open string reaches to the end of the line: were its quote required, each quote after it would be tried anew
_TOKENS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)
_STEP: Final = {b"[": 1, b"{": 1, b"]": -1, b"}": -1}


def too_deep(line: bytes) -> bool:
    """Return whether *line* has more than `DEEPEST` arrays and objects within each other."""
    # nearly every line has fewer brackets than levels are allowed: only the others are looked at one by one
    return line.count(b"{") + line.count(b"[") > DEEPEST and _exactly(line)


def _exactly(line: bytes) -> bool:
    depth = 0
    for token in _TOKENS.finditer(line):
        depth += _STEP.get(token[0], 0)
        if depth > DEEPEST:
            return True
    return False
