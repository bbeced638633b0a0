"""`Field` and `PrivateAttr`: what stands behind the ``=`` in a class body."""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final, Literal, overload

from typing_extensions import TypedDict, Unpack

from bubus._aliases import places
from bubus._field_info import FieldInfo
from bubus._marks import Private
from bubus._types import MISSING
from bubus.errors import DefinitionError

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from bubus._types import T, Values


class FieldFacts(TypedDict, total=False):
    """What can be said of a field beside its default."""

    alias: str | None
    """Name in the constructor, in JSON, and in dumps by alias."""

    validation_alias: object
    """Name in the constructor and in JSON, or an `AliasPath` or `AliasChoices`, ours or pydantic's."""

    serialization_alias: str | None
    """Name in dumps by alias."""

    title: str | None
    description: str | None
    examples: list[object] | None
    json_schema_extra: object
    """A dict for the JSON schema, or a function that changes the schema's dict."""

    deprecated: str | bool | None
    """Told in the JSON schema."""

    exclude: bool | None
    """Leave it out of dumps. What plain msgspec and the log write is not a dump: it is there."""

    exclude_if: Callable[..., bool] | None
    """Leave it out of dumps if the value is one of these."""

    frozen: bool | None
    """Refuse assignments."""

    repr: bool
    validate_default: bool | None
    strict: bool | None
    """Convert nothing."""

    coerce_numbers_to_str: bool | None
    union_mode: Literal["smart", "left_to_right"] | None
    pattern: str | re.Pattern[str] | None
    """What the text must hold somewhere; write ``^…$`` for the whole of it."""

    gt: object
    ge: object
    lt: object
    le: object
    multiple_of: float | None
    min_length: int | None
    max_length: int | None
    max_digits: int | None
    decimal_places: int | None
    allow_inf_nan: bool | None


_KNOWN: Final = frozenset(FieldFacts.__annotations__)


@overload
def Field(default: T, /, **facts: Unpack[FieldFacts]) -> T: ...
@overload
def Field(*, default: T, **facts: Unpack[FieldFacts]) -> T: ...
@overload
def Field(*, default_factory: Callable[[], T] | Callable[[Values], T], **facts: Unpack[FieldFacts]) -> T: ...
@overload
def Field(**facts: Unpack[FieldFacts]) -> Any: ...  # pyright: ignore[reportAny, reportExplicitAny] - any annotation
def Field(  # noqa: N802 - pydantic's name
    default: object = MISSING,
    *,
    default_factory: Callable[..., object] | None = None,
    **facts: object,
) -> object:
    """
    Declare a field with more than a plain default; also in an `Annotated`.

    Args:
        default: Used when the argument is not given; ``...`` means required.
        default_factory: Called for a default, once per event, with no argument or with a dict of the fields before.
        facts: Aliases, limits and more; see `FieldFacts`.

    Raises:
        DefinitionError: If an argument does not exist, an alias is none, the factory is no function or an async one, or
            there are two defaults.
    """
    unknown = facts.keys() - _KNOWN
    if unknown:
        raise DefinitionError(f"Field() has no argument {', '.join(sorted(unknown))}; there is {sorted(_KNOWN)}")
    if default is not MISSING and default is not ... and default_factory is not None:
        raise DefinitionError("Field() cannot take both default and default_factory; leave one out")
    _check_factory(default_factory)
    if default is not MISSING:
        facts["default"] = MISSING if default is ... else default
    if default_factory is not None:
        facts["default_factory"] = default_factory
    if "validation_alias" in facts:
        facts["validation_alias"] = places(facts["validation_alias"])
    for name in ("alias", "serialization_alias"):
        if not isinstance(facts.get(name), str | None) or facts.get(name) == "":
            raise DefinitionError(f"{name}={facts[name]!r} must be a name")
    return FieldInfo.said(**facts)


@overload
def PrivateAttr(default: T, *, init: Literal[False] = ...) -> T: ...
@overload
def PrivateAttr(*, default_factory: Callable[[], T], init: Literal[False] = ...) -> T: ...
@overload
def PrivateAttr(*, init: Literal[False] = ...) -> Any: ...  # pyright: ignore[reportAny, reportExplicitAny] - as `Field`
def PrivateAttr(  # noqa: N802 - pydantic's name
    default: object = MISSING,
    *,
    default_factory: Callable[[], object] | None = None,
    init: Literal[False] = False,
) -> object:
    """
    Declare an attribute that is no field: not validated, written, dumped or shown. Its name begins with ``_``.

    Args:
        default: Its first value; each event has a copy of its own.
        default_factory: Called for the first value of each event.
        init: Always False: tells type checkers that the constructor has no such argument.

    Raises:
        DefinitionError: If there are two defaults, or the factory is no function or an async one.
    """
    del init  # for type checkers only
    if default is not MISSING and default_factory is not None:
        raise DefinitionError("PrivateAttr() cannot take both default and default_factory; leave one out")
    _check_factory(default_factory)
    return Private(MISSING if default is ... else default, default_factory)


def _check_factory(factory: object) -> None:
    if factory is not None and (not callable(factory) or iscoroutinefunction(factory)):
        raise DefinitionError(f"default_factory={factory!r} must be a function that returns the default")
