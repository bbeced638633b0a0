"""
One error for both worlds: where pydantic is imported, our ValidationError is pydantic's too.

Nothing here imports pydantic: its core is looked up among the modules that are imported already.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Protocol, cast

from typing_extensions import override

from bubus.errors import ErrorDetails, ValidationError, report

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pydantic_core

    from bubus._pydantic import Core


def validation_error(title: str, errors: Sequence[Mapping[str, object]], hide_input: bool = False) -> ValidationError:
    """
    Return the error that lists *errors*, in the shape of `ValidationError.errors`.

    It is an instance of `pydantic.ValidationError` too if pydantic is imported. With *hide_input* its text does not
    show the values.
    """
    details = cast("Sequence[ErrorDetails]", errors)
    core = _core()
    if core is None or not hasattr(core, "ValidationError"):  # not imported, or not to the end
        return ValidationError(title, details, hide_input=hide_input)
    lines = [_line(core, error) for error in details]
    theirs: object = core.ValidationError  # mypy takes no class for hashable
    made = _shared_class(theirs).from_exception_data(title, lines)
    made.take(details, hide_input=hide_input)
    return made


def _core() -> Core | None:
    module: object = sys.modules.get("pydantic_core")
    return cast("Core | None", module)


class _SharedError(ValidationError):
    """What the class for both worlds has of its own; pydantic makes its instances, and keeps their title."""

    _hide_input: bool = False

    def __init__(self, *_: object) -> None:
        """Let pydantic call it with what it is made from; `take` says the rest."""
        Exception.__init__(self)

    def take(self, errors: Sequence[ErrorDetails], *, hide_input: bool) -> None:
        """Keep *errors* as they were told."""
        self._errors: list[ErrorDetails] = list(errors)
        self._hide_input = hide_input
        self.args: tuple[object, ...] = (report(self.title, self._errors, hide_input=hide_input),)

    @override
    def __str__(self) -> str:
        return str(self.args[0])

    @override
    def __repr__(self) -> str:
        return Exception.__repr__(self)

    @override
    def __reduce__(self) -> tuple[object, ...]:
        return validation_error, (self.title, self._errors, self._hide_input), dict(self.__dict__)


class _SharedClass(Protocol):
    from_exception_data: Callable[[str, Sequence[Mapping[str, object]]], _SharedError]
    """As that of pydantic."""


@cache
def _shared_class(theirs: type[Exception]) -> _SharedClass:
    """Return the class that derives from ours and from *theirs*, under the name of ours."""
    namespace = {"__module__": ValidationError.__module__, "__doc__": ValidationError.__doc__}
    return cast("_SharedClass", cast("object", type(ValidationError.__name__, (_SharedError, theirs), namespace)))


def _line(core: Core, error: ErrorDetails) -> dict[str, object]:
    """Return *error* as pydantic takes it: of a kind that it knows, if that has the same words."""
    kind, context = error["type"], error.get("ctx")
    line: dict[str, object] = {"loc": error["loc"], "input": error["input"]}
    if _has_same_words(core, error):
        return {**line, "type": kind, **({"ctx": context} if context else {})}
    words = error["msg"]
    is_template = any(f"{{{key}}}" in words for key in context or ())
    make = cast("Callable[..., object]", core.PydanticCustomError)
    return {**line, "type": make(kind, words, None if is_template else context)}


def _has_same_words(core: Core, error: ErrorDetails) -> bool:
    make = cast("Callable[..., pydantic_core.PydanticKnownError]", core.PydanticKnownError)
    try:
        known = make(error["type"], error.get("ctx"))
    except (KeyError, TypeError, ValueError):  # a kind it does not have, or with other facts
        return False
    return bool(known.message() == error["msg"])


def kind_and_words(error: Exception) -> tuple[str, str, dict[str, object] | None] | None:
    """Return what an error says that a validator raised to name its fault itself, None if it is not of that kind."""
    core = _core()
    if core is None or not isinstance(error, (core.PydanticCustomError, core.PydanticKnownError)):
        return None
    return error.type, error.message(), error.context


def listed(error: Exception) -> list[ErrorDetails] | None:
    """Return the faults in a ValidationError of ours or of pydantic, None if *error* is another one."""
    core = _core()
    if isinstance(error, ValidationError):
        return error.errors()
    if core is None or not isinstance(error, core.ValidationError):
        return None
    return cast("list[ErrorDetails]", error.errors(include_url=False))
