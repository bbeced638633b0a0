"""Dumped events as JSON text, in pydantic's layout."""

from __future__ import annotations

import json
import math
import re
from typing import Final

import msgspec

from bubus._narrow import is_dict, is_list_or_tuple
from bubus.errors import EncodeError

_NAMES: Final = {math.inf: "Infinity", -math.inf: "-Infinity"}
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]+")


def json_text(value: object, indent: int | None, inf_nan: str, *, ensure_ascii: bool = False) -> str:
    """
    Return what was dumped in JSON's types as text.

    Args:
        value: What was dumped.
        indent: Spaces per level, None for one line.
        ensure_ascii: Whether to write other characters as escapes.
        inf_nan: How infinities and NaN are written: ``"null"``, ``"constants"`` or ``"strings"``.

    Raises:
        EncodeError: If a text holds half a surrogate pair.
    """
    try:
        if inf_nan == "constants":
            separators = None if indent else (",", ":")
            return json.dumps(value, indent=indent or None, ensure_ascii=ensure_ascii, separators=separators)
        data = msgspec.json.encode(_with_names(value) if inf_nan == "strings" else value)
        text = (msgspec.json.format(data, indent=indent) if indent else data).decode()
    except UnicodeEncodeError as error:
        raise EncodeError(f"a text cannot be written: {error}") from error
    return _NOT_ASCII.sub(_escaped, text) if ensure_ascii else text


def _escaped(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1]


def _with_names(value: object) -> object:
    if is_dict(value):
        return {key: _with_names(one) for key, one in value.items()}
    if is_list_or_tuple(value):
        return [_with_names(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return _NAMES.get(value, "NaN")
    return value
