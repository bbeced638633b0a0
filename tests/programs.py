"""What tests of whole programs share."""

from __future__ import annotations

import re
from typing import Final

_SLOW_MACHINE: Final = re.compile(r"Executing <.*> took [\d.]+ seconds")
"""What asyncio's debug mode says of a step of over 0.1 s: it tells of the machine, not of the program."""


def complaints(stderr: str) -> list[str]:
    """Return the lines that a program wrote to stderr, without what tells of a slow machine only."""
    return [line for line in stderr.splitlines() if not _SLOW_MACHINE.fullmatch(line)]
