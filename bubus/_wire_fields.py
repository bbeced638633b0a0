"""
Values that are not written as they are, but as their types say: those of pydantic's types, wherever they stand.

They stand in fields of events and of other records, which may be parts of fields themselves. What no type tells of (an
extra, the value of a field typed Any) is written as it is.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import typing
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

import attrs
import typing_extensions as te

from bubus._compile import Compiler
from bubus._dump import fields_of, is_list
from bubus._fields import UnknownName, alias_value
from bubus._generics import WRAPPERS
from bubus._mode import WIRE
from bubus._narrow import (
    arguments_of,
    attribute,
    attrs_fields,
    bare,
    is_class,
    is_dict,
    is_list_or_tuple,
    is_mapping,
    is_type_alias,
    kind_of,
    to_builtins,
)
from bubus._pydantic_bridge import NO_TYPES_INSIDE, UNIONS
from bubus._pydantic_types import field_writer
from bubus._serial import best_of, class_of
from bubus._wire_values import write_unknown

Writer: TypeAlias = Callable[[object], object]
"""Takes a value, and returns what is written for it."""

_known: Final[weakref.WeakKeyDictionary[object, Mapping[str, Writer]]] = weakref.WeakKeyDictionary()
_NOTHING: Final[Mapping[str, Writer]] = {}


def field_writers(kind: object) -> Mapping[str, Writer]:
    """
    Return the functions that write some parts of a record class, by name; mostly there are none.

    Raises:
        DefinitionError: If pydantic cannot write a type.
    """
    if "pydantic" not in sys.modules:
        return _NOTHING
    found = _known.get(kind)
    if found is None:
        owner = getattr(kind, "__qualname__", repr(kind))
        writers = {name: writer_of(hint, f"{owner}.{name}") for name, hint in _hints(kind).items()}
        found = _known[kind] = {name: writer for name, writer in writers.items() if writer is not None}
    return found


def _hints(kind: object) -> Mapping[str, object]:
    """Return the types of the parts of a record, by name."""
    cls = cast("type", bare(kind))
    if hasattr(cls, "__event_blueprint__"):
        return {field.name: field.type for field in attrs_fields(cls)}
    try:
        return Compiler(cls.__qualname__, WIRE).hints(kind)
    except UnknownName:  # of a derived class that no field names; what it adds is written as it is
        return {}


def result_writer(annotation: object) -> Writer | None:
    """
    Return the function that writes results of a type, None if they are written as they are.

    Raises:
        DefinitionError: If pydantic cannot write it.
    """
    if annotation is Any or annotation is None or "pydantic" not in sys.modules:
        return None
    try:
        return _remembered(annotation)
    except TypeError:  # an Annotated may hold what has no hash
        return writer_of(annotation, "the result")


@functools.lru_cache(maxsize=1024)
def _remembered(annotation: object) -> Writer | None:
    return writer_of(annotation, "the result")


def writer_of(annotation: object, owner: str) -> Writer | None:
    """
    Return the function that writes values of a type, None if they are written as they are; *owner* is named in errors.

    Raises:
        DefinitionError: If pydantic cannot write it.
    """
    if (own := field_writer(annotation, owner, _plain_writer)) is not None:
        return own
    kind, arguments = bare(annotation), arguments_of(annotation)
    if isinstance(annotation, typing.NewType):
        return writer_of(attribute(annotation, "__supertype__"), owner)
    if kind is typing.Annotated or kind in WRAPPERS:
        return writer_of(arguments[0], owner)
    if is_type_alias(kind):
        return _later(annotation, owner)
    if _is_record(kind):
        return functools.partial(_write_record, annotation)
    return None if kind in NO_TYPES_INSIDE else _container(kind, arguments, owner)


def _plain_writer(annotation: object) -> Writer:
    """Return what writes values of a class that pydantic does not know, within a type of pydantic."""
    writer = writer_of(annotation, repr(annotation))

    def write(value: object) -> object:
        return to_builtins(value if writer is None else writer(value), enc_hook=write_unknown)

    return write


def _later(annotation: object, owner: str) -> Writer:
    """Return what writes values of a named type, which may contain itself."""
    made: list[Writer | None] = []

    def write(value: object) -> object:
        if not made:
            made.append(writer_of(alias_value(annotation), owner))
        return value if made[0] is None else made[0](value)

    return write


# -- records -----------------------------------------------------------------------------------------------------------


def _is_record(kind: object) -> bool:
    """Tell whether values of a class have parts with names and types, and msgspec writes them."""
    if te.is_typeddict(kind) or not is_class(kind):
        return te.is_typeddict(kind)
    if attrs.has(kind) or dataclasses.is_dataclass(kind):
        return True
    return hasattr(kind, "_fields") and issubclass(kind, tuple)


def _write_record(annotation: object, value: object) -> object:
    """Return a record as the types of its parts say; those of its own class, which may be one derived from the type."""
    kind = bare(annotation)
    own = kind_of(value)
    cls = annotation if own is (dict if te.is_typeddict(kind) else kind) else own
    writers = field_writers(cls) if _is_record(bare(cls)) else _NOTHING
    if not writers:
        return value
    found = {name: writers[name](one) if name in writers else one for name, one in _parts(value)}
    return list(found.values()) if isinstance(value, tuple) else found


def _parts(value: object) -> Iterable[tuple[str, object]]:
    """Return the named parts of a record that msgspec writes."""
    if is_dict(value):
        return cast("dict[str, object]", value).items()
    names = getattr(value, "_fields", None) or getattr(value, "__dict__", None) or fields_of(value) or ()
    return [(name, attribute(value, name)) for name in names if not name.startswith("_")]


# -- containers --------------------------------------------------------------------------------------------------------


def _container(kind: object, arguments: Sequence[object], owner: str) -> Writer | None:
    writers = [writer_of(argument, owner) for argument in arguments if argument is not ...]
    if not any(writers):
        return None
    if kind in UNIONS:
        return _union(list(zip(map(class_of, arguments), writers, strict=True)))
    if kind is tuple and ... not in arguments:
        return _fixed(writers)
    return _items(next(filter(None, reversed(writers))))


def _union(members: Sequence[tuple[type | None, Writer | None]]) -> Writer:
    def write(value: object) -> object:
        writer = best_of(members, value)
        return value if writer is None else writer(value)

    return write


def _fixed(writers: Sequence[Writer | None]) -> Writer:
    """Return what writes tuples with a type for each place."""

    def write(value: object) -> object:
        if not is_list_or_tuple(value) or len(value) != len(writers):
            return value
        return [one if writer is None else writer(one) for writer, one in zip(writers, value, strict=True)]

    return write


def _items(writer: Writer) -> Writer:
    """Return what writes the items of a list and the like, or the values of a dict."""

    def write(value: object) -> object:
        if is_mapping(value):
            return {key: writer(one) for key, one in value.items()}
        return [writer(one) for one in value] if is_list(value) else value

    return write
