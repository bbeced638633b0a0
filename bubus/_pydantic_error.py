"""
One error for both worlds: where pydantic is imported, our ValidationError is pydantic's too.

Nothing here imports pydantic: its core is looked up among the modules that are imported already.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from bubus.errors import ValidationError, report

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def validation_error(title: str, errors: Sequence[dict[str, Any]], hide_input: bool = False) -> ValidationError:
    """
    Return the error that lists *errors*, in the shape of `ValidationError.errors`.

    It is an instance of `pydantic.ValidationError` too if pydantic is imported. With *hide_input* its text does not
    show the values.
    """
    core: Any = sys.modules.get("pydantic_core")
    if not hasattr(core, "ValidationError"):  # not imported, or not to the end
        return ValidationError(title, errors, hide_input=hide_input)
    lines = [_line(core, error) for error in errors]
    made: _SharedError = _shared_class(core.ValidationError).from_exception_data(title, lines)
    made.take(errors, hide_input=hide_input)
    return made


class _SharedError(ValidationError):
    """What the class for both worlds has of its own; pydantic makes its instances, and keeps their title."""

    def __init__(self, *_: object) -> None:
        """Let pydantic call it with what it is made from; `take` says the rest."""

    def take(self, errors: Sequence[dict[str, Any]], *, hide_input: bool) -> None:
        """Keep *errors* as they were told."""
        self._errors = list(errors)
        self._hide_input: Final = hide_input
        self.args: Final = (report(self.title, self._errors, hide_input=hide_input),)

    @override
    def __str__(self) -> str:
        return str(self.args[0])

    @override
    def __repr__(self) -> str:
        return Exception.__repr__(self)

    @override
    def __reduce__(self) -> Any:
        return validation_error, (self.title, self._errors, self._hide_input), dict(self.__dict__)


@cache
def _shared_class(theirs: type[Any]) -> Any:
    """Return the class that derives from ours and from *theirs*, under the name of ours."""
    namespace = {"__module__": ValidationError.__module__, "__doc__": ValidationError.__doc__}
    return type(ValidationError.__name__, (_SharedError, theirs), namespace)


def _line(core: Any, error: Mapping[str, Any]) -> dict[str, Any]:
    """Return *error* as pydantic takes it: of a kind that it knows, if that has the same words."""
    kind, context = error["type"], error.get("ctx")
    line = {"loc": error["loc"], "input": error["input"]}
    if _has_same_words(core, error):
        return {**line, "type": kind, **({"ctx": context} if context else {})}
    words = error["msg"]
    is_template = any(f"{{{key}}}" in words for key in context or ())
    return {**line, "type": core.PydanticCustomError(kind, words, None if is_template else context)}


def _has_same_words(core: Any, error: Mapping[str, Any]) -> bool:
    try:
        known = core.PydanticKnownError(error["type"], error.get("ctx"))
    except (KeyError, TypeError, ValueError):  # a kind it does not have, or with other facts
        return False
    return bool(known.message() == error["msg"])


def kind_and_words(error: Exception) -> tuple[str, str, dict[str, Any] | None] | None:
    """Return what an error says that a validator raised to name its fault itself, None if it is not of that kind."""
    core: Any = sys.modules.get("pydantic_core")
    if core is None or not isinstance(error, (core.PydanticCustomError, core.PydanticKnownError)):
        return None
    own: Any = error
    return own.type, own.message(), own.context


def listed(error: Exception) -> list[dict[str, Any]] | None:
    """Return the faults in a ValidationError of ours or of pydantic, None if *error* is another one."""
    core: Any = sys.modules.get("pydantic_core")
    if isinstance(error, ValidationError):
        return error.errors()
    if core is None or not isinstance(error, core.ValidationError):
        return None
    theirs: Any = error
    found: list[dict[str, Any]] = theirs.errors(include_url=False)
    return found
