"""Conditions on the command line: ``amount>=10``, ``customer.name=Ada``, ``text~error``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, cast

import attrs
import msgspec

from bubus._narrow import is_mapping
from bubus._tree import escape

_SYNTAX: Final = re.compile(r"(?P<path>[^=!<>~]+?)\s*(?P<operator>!=|<=|>=|=|<|>|~)\s*(?P<value>.*)", re.DOTALL)


class ConditionError(ValueError):
    """A text is no condition; the message says how one looks."""


Comparison: TypeAlias = Callable[[object, object], object]


def _contains(found: object, wanted: object) -> bool:
    if isinstance(found, str):
        return str(wanted) in found
    return isinstance(found, list | dict) and wanted in found


_OPERATORS: Final[Mapping[str, Comparison]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": cast("Comparison", operator.lt),
    "<=": cast("Comparison", operator.le),
    ">": cast("Comparison", operator.gt),
    ">=": cast("Comparison", operator.ge),
    "~": _contains,
}


@attrs.frozen
class Condition:
    """One condition on a JSON object."""

    _path: tuple[str, ...]
    _compare: Comparison
    _wanted: object
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

    def holds(self, values: Mapping[str, object]) -> bool:
        """Tell whether it holds; where there is no such key, or nothing to compare, it does not."""
        found = cast("object", values)
        for key in self._path:
            if not is_mapping(found) or key not in found:
                return False
            found = found[key]
        # 2026-01-01 is no JSON, and "7" is: text is compared with what was typed
        wanted = self._text if isinstance(found, str) and not isinstance(self._wanted, str) else self._wanted
        try:
            return bool(self._compare(found, wanted))
        except TypeError:
            return False


def _value(text: str) -> object:
    try:
        return cast("object", msgspec.json.decode(text))
    except (msgspec.DecodeError, ValueError):
        return text
