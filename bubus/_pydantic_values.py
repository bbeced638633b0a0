"""Values of pydantic's classes as plain data: as pydantic dumps them, and as the log writes them."""

from __future__ import annotations

import weakref
from collections import deque
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Literal, cast

from bubus._narrow import is_mapping, kind_of, namespace_of
from bubus._pydantic import core, is_foreign, pydantic
from bubus._types import MISSING
from bubus._variables import put
from bubus.errors import EncodeError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from typing import Protocol

    from pydantic._internal._decorators import DecoratorInfos
    from pydantic.fields import FieldInfo

    from bubus._pydantic import Serializer

    class _ModelClass(Protocol):
        __pydantic_decorators__: DecoratorInfos
        __pydantic_fields__: dict[str, FieldInfo]


_SERIALIZERS: Final[weakref.WeakKeyDictionary[type, Serializer]] = weakref.WeakKeyDictionary()

in_log: Final[ContextVar[bool]] = ContextVar("bubus_in_log", default=False)
"""Whether pydantic writes, or reads, what is kept in a log: events within its models are written as they are there."""

_LISTS: Final = (list, tuple, set, frozenset, deque)


def dumped(value: object, mode: Literal["python", "json"], **options: object) -> object:
    """
    Return *value* as pydantic dumps it, or MISSING if its class is none that pydantic knows.

    Raises:
        EncodeError: If pydantic cannot.
    """
    kind = kind_of(value)
    serializer = serializer_of(kind) if is_foreign(kind) else None
    if serializer is None:
        return MISSING
    try:
        return serializer.to_python(value, mode=mode, **options)
    except ValueError as error:  # a PydanticSerializationError
        raise EncodeError(f"{type(value).__qualname__} cannot be dumped: {error}") from error


def serializer_of(kind: type) -> Serializer | None:
    """Return pydantic's serializer of a class, None if pydantic is not imported."""
    module = pydantic()
    if module is None:
        return None
    found = _SERIALIZERS.get(kind)
    if found is None:
        found = _SERIALIZERS[kind] = module.TypeAdapter(kind).serializer
    return found


def written(value: object) -> object:
    """
    Return *value* as it is written to be read again, or MISSING if its class is none that pydantic knows.

    Raises:
        EncodeError: If it would not come back: it is, or holds, a secret that pydantic masks.
    """
    with put(in_log, True):
        data = dumped(value, "json", round_trip=True, by_alias=False)
    if data is not MISSING:
        refuse_masked(value)
    return data


def refuse_other(value: object, kind: type) -> None:
    """
    Refuse to dump for pydantic what is no *kind*: another member of a union, or a mistake, of which it warns.

    Raises:
        ValueError: If it is none; pydantic knows this error.
    """
    if not isinstance(value, kind):
        raise core().PydanticSerializationUnexpectedValue(
            f"Expected `{kind.__name__}` - serialized value may not be as expected [input_type={type(value).__name__}]"
        )


def refuse_masked(value: object) -> None:
    """
    Refuse to write a value that pydantic would mask.

    Raises:
        EncodeError: If it is, or holds, a secret.
    """
    if any(map(_is_masked, _parts(value))):
        raise EncodeError(
            "it holds a secret, of which pydantic writes asterisks only, so it could not be read back; "
            + "declare the field as str if it may be written, or keep it out of the event"
        )


def _parts(value: object) -> Iterator[object]:
    """Yield *value* and all that it holds; what a model dumps in a way of its own counts as dumped."""
    yield value
    for item in _items(value):
        yield from _parts(item)


def _items(value: object) -> Iterable[object]:
    if is_mapping(value):
        return value.values()
    if issubclass(kind_of(value), _LISTS):
        return cast("Collection[object]", value)
    return _fields(value) if hasattr(value, "__pydantic_decorators__") else ()


def _fields(model: object) -> Iterable[object]:
    cls = cast("_ModelClass", kind_of(model))
    decorators = cls.__pydantic_decorators__
    if decorators.model_serializers:
        return []
    own = {name for one in decorators.field_serializers.values() for name in one.info.fields}
    hidden = {name for name, field in cls.__pydantic_fields__.items() if field.exclude}
    return [item for name, item in namespace_of(model).items() if name not in own | hidden]


def _is_masked(value: object) -> bool:
    return hasattr(value, "get_secret_value")
