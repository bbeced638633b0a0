"""
Translates what other libraries put in a class body or an annotation into the records of bubus.

Called once per class, never per event: for each value of a class body (decorated functions, defaults), and for each
item of an `Annotated`. What is not known passes as it is.
"""

from __future__ import annotations

import typing

import attrs

from bubus._field_info import FieldInfo
from bubus._narrow import arguments_of, origin_of
from bubus._pydantic_words import in_own_words


def translated(value: object) -> object:
    """Return *value*, or the record of bubus._marks or bubus._field_info that says the same."""
    return in_own_words(value)


def merged_info(annotation: object, default: FieldInfo | None) -> FieldInfo:
    """Return all that an evaluated *annotation* and the *default* behind it say."""
    is_annotated = origin_of(annotation) is typing.Annotated
    kind, *items = arguments_of(annotation) if is_annotated else (annotation,)
    found = FieldInfo(annotation=kind)
    for item in map(translated, items):
        part = item if isinstance(item, FieldInfo) else FieldInfo(metadata=(item,), given=frozenset({"metadata"}))
        found = part.over(found)
    if default is None:
        return found
    metadata = (*default.metadata, *found.metadata)  # pydantic's order: the last limit of a kind counts
    return attrs.evolve(default.over(found), metadata=metadata)
