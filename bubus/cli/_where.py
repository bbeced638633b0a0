"""Conditions on the command line: ``amount>=10``, ``customer.name=Ada``, ``text~error``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs
import msgspec

from bubus._tree import escape

_SYNTAX: Final = re.compile(r"(?P<path>[^=!<>~]+?)\s*(?P<operator>!=|<=|>=|=|<|>|~)\s*(?P<value>.*)", re.DOTALL)


class ConditionError(ValueError):
    """A text is no condition; the message says how one looks."""


def _contains(found: Any, wanted: Any) -> bool:
    return str(wanted) in found if isinstance(found, str) else wanted in found


_OPERATORS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "~": _contains,
}


@attrs.frozen
class Condition:
    """One condition on a JSON object."""

    _path: tuple[str, ...]
    _compare: Callable[[Any, Any], Any]
    _wanted: Any
    _text: str

    @classmethod
    def parse(cls, text: str) -> Condition:
        """
        Return the condition that *text* says; a value is JSON, or else text.

        Raises:
            ConditionError: If it is none.
        """
        match = _SYNTAX.fullmatch(text.strip())
        if match is None:
            raise ConditionError(
                f"{escape(repr(text))} is no condition: write KEY=VALUE, or one of != < <= > >= ~ between"
            )
        return cls(
            tuple(match["path"].split(".")), _OPERATORS[match["operator"]], _value(match["value"]), match["value"]
        )

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Tell whether it holds; where there is no such key, or nothing to compare, it does not."""
        found: Any = values
        for key in self._path:
            if not isinstance(found, Mapping) or key not in found:
                return False
            found = found[key]  # pyright: ignore[reportUnknownVariableType] - whatever JSON holds
        # 2026-01-01 is no JSON, and "7" is: text is compared with what was typed
        wanted = self._text if isinstance(found, str) and not isinstance(self._wanted, str) else self._wanted
        try:
            return bool(self._compare(found, wanted))
        except TypeError:
            return False


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, ValueError):
        return text
