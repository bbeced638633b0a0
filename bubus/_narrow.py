"""Tests of type that tell type checkers what they mean: a bare `isinstance` leaves the parts of a container unknown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typing_extensions import TypeIs


def kind_of(value: object) -> type[Any]:
    """Return the class of *value*."""
    return type(value)


def is_mapping(value: object) -> TypeIs[Mapping[Any, Any]]:
    """Tell whether *value* is a mapping."""
    return isinstance(value, Mapping)


def is_dict(value: object) -> TypeIs[dict[Any, Any]]:
    """Tell whether *value* is a dict."""
    return isinstance(value, dict)


def is_list_or_tuple(value: object) -> TypeIs[list[Any] | tuple[Any, ...]]:
    """Tell whether *value* is a list or a tuple."""
    return isinstance(value, list | tuple)


def is_class(annotation: object) -> TypeIs[type[Any]]:
    """Tell whether *annotation* is a class, and not something like ``list[int]``."""
    return isinstance(annotation, type) and not hasattr(annotation, "__origin__")


def is_checkable(kind: type) -> bool:
    """Tell whether `isinstance` takes *kind*: it refuses most protocols, and TypedDicts."""
    try:
        isinstance(None, kind)
    except TypeError:
        return False
    return True
