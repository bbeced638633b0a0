"""Fields that are not written as their values are, but as their types say: those of pydantic's types."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import attrs

from bubus._compile import Compiler
from bubus._mode import WIRE
from bubus._pydantic_types import field_writer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_WRITERS: Final = "__event_writers__"


def field_writers(cls: Any) -> Mapping[str, Callable[[Any], Any]]:
    """Return the functions that write some fields of an event class, by name; mostly there are none."""
    if "pydantic" not in sys.modules:
        return {}
    found: Mapping[str, Callable[[Any], Any]] | None = cls.__dict__.get(_WRITERS)
    if found is None:
        found = _compiled(cls)
        setattr(cls, _WRITERS, found)
    return found


def _compiled(cls: Any) -> dict[str, Callable[[Any], Any]]:
    writers = {
        field.name: field_writer(field.type, Compiler(f"{cls.__qualname__}.{field.name}", WIRE))
        for field in attrs.fields(cls)
    }
    return {name: writer for name, writer in writers.items() if writer is not None}
