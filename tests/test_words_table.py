"""pydantic's words on events do what they do on pydantic's models: each case of the table is run with both."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

import pydantic
import pytest

import bubus
from bubus._narrow import is_dict, is_list_or_tuple
from tests.word_cases import OURS, THEIRS, Case, Vocabulary, all_cases

CASES = all_cases()
SETS: Any = (set, frozenset)
HOLDERS: Any = (bubus.BaseEvent, pydantic.BaseModel)

DIFFERENT: dict[str, str] = {
    "populate: both": "an extra called like a field has no place in an event: it is refused, and not kept beside it",
    "generator: missing": "likewise",
    "derived: variable": "an argument that would hide an attribute of the class is refused",
    "cached: given": "what is computed is not taken, and not kept beside what is computed",
    "private: extra": "an argument that would be neither kept nor written is refused, and not dropped in silence",
    "text <class 'float'> 1e+20": "msgspec writes the number as 1e20",
    "text list[float] [1.0, 1e+16, 1.5e-07]": "likewise",
    "schema <class 'tests.word_cases.Plain'>": "an error of bubus, not of pydantic",
    "schema of dumps <class 'tests.word_cases.Plain'>": "likewise",
    "dump {'exclude': {'parts': {7}}}": "pydantic counts an index beyond the end around, and leaves out another item",
    "dump options: wrongly typed": "values are not checked a second time when they are dumped, so nothing is warned of",
    "read bad base64": "the reason is worded by Python's decoder",
}
"""Cases in which bubus does something else, and why."""


def outcome(case: Case, words: Vocabulary) -> Any:
    """Return what comes of a case in one library, in a form that can be compared."""
    try:
        cls = case.make(words)
        return "ok", plain(case.act(cls))
    except (bubus.ValidationError, pydantic.ValidationError) as error:
        return "faults", error.title, [fault(one) for one in error.errors()]
    except Exception as error:  # noqa: BLE001 - it is the outcome
        return "raised", type(error).__name__, str(error)


def fault(error: Any) -> Any:
    """Return what is compared of one fault."""
    return error["type"], error["loc"], error["msg"], plain(error["input"])


def plain(value: Any) -> Any:
    """Return *value* with events and models as dicts of what users declared, and NaN made equal to itself."""
    name = type(value).__name__
    if isinstance(value, HOLDERS):
        return name, plain(held(value))
    if is_dict(value):
        return [(plain(key), plain(one)) for key, one in value.items() if not str(key).startswith(("event_", "_"))]
    if is_list_or_tuple(value):
        return name, [plain(one) for one in value]
    if isinstance(value, float | Decimal) and math.isnan(value):
        return name, "nan"
    return name, _comparable(value)


def _comparable(value: Any) -> Any:
    if isinstance(value, SETS):
        return sorted(map(repr, value))
    return without_framework(value) if isinstance(value, str) and value.startswith("{") else value


FRAMEWORK = re.compile(r'(?<=[{,])"event_[a-z_]+":(?:"[^"]*"|null|\[\]|[0-9.]+),?')


def without_framework(text: str) -> str:
    """Return JSON without the fields of the framework."""
    return FRAMEWORK.sub("", text).replace(",}", "}")


def held(record: Any) -> dict[str, Any]:
    """Return the fields and extras of an event or a model."""
    return {**vars(record), **(record.model_extra or {})}


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_words_do_what_pydantics_do(case: Case) -> None:
    """Values, faults and JSON are pydantic's, but for a list of exceptions, each of which is one."""
    ours, theirs = outcome(case, OURS), outcome(case, THEIRS)

    assert (ours == theirs) is (case.name not in DIFFERENT), (ours, theirs)


def test_the_list_of_differences_is_short_and_true() -> None:
    """At least 300 distinct cases are compared, at most 2 % of them differ, and all that are listed exist."""
    names = [case.name for case in CASES]

    assert len(set(names)) == len(names)
    assert len(names) >= 300
    assert len(DIFFERENT) <= len(names) * 0.02
    assert DIFFERENT.keys() <= set(names)
