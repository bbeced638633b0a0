"""Identifiers: uuid7 strings, which sort by the time they were made."""

from __future__ import annotations

from uuid_utils import uuid7


def new_id() -> str:
    """
    Return a new uuid7 as a string.

    Each is greater than all that this process made before, in every thread.
    """
    return str(uuid7())
