"""What of pydantic a program has imported. It is never imported here: whoever uses its objects has done so."""

from __future__ import annotations

import sys
from typing import Any, Final

from bubus.errors import MissingExtraError

_OLDEST: Final = (2, 11)
_SOURCES: Final = ("pydantic", "pydantic_core")
_MARKS: Final = ("__get_pydantic_core_schema__", "__pydantic_validator__", "__pydantic_config__")


def pydantic() -> Any:
    """
    Return the module pydantic if the program has imported it, else None.

    Raises:
        MissingExtraError: If it is too old to be used.
    """
    module: Any = sys.modules.get("pydantic")
    version = getattr(module, "VERSION", None)  # not there while it is being imported
    if version is not None and tuple(map(int, version.split(".")[:2])) < _OLDEST:
        raise MissingExtraError(
            f"pydantic {version} is too old for its objects in events; there must be 2.11 or later: "
            "pip install -U 'bubus[pydantic]'"
        )
    return module if version is not None else None


def is_foreign(kind: Any) -> bool:
    """Tell whether *kind* is a class, none of bubus, that pydantic brings, or that tells pydantic how to check it."""
    if hasattr(kind, "__event_origin__") or _module(getattr(kind, _MARKS[0], None)).startswith("bubus."):
        return False  # events and buses are the same whether pydantic is imported or not
    return any(hasattr(kind, mark) for mark in _MARKS) or _module(kind).partition(".")[0] in _SOURCES


def _module(kind: Any) -> str:
    module = getattr(kind, "__module__", None)
    return module if isinstance(module, str) else ""
