"""What is wrong with a value: the record of one fault, and the exception that carries faults upwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn, NotRequired, TypedDict, cast, final

import attrs

from bubus._pydantic_error import kind_and_words, listed, validation_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bubus._types import Check
    from bubus.errors import ValidationError

_COMPLEX: Final = "following the rules at https://docs.python.org/3/library/functions.html#complex"

# The kinds and their wording are pydantic's: programs and their users read them.
MESSAGES: Final[dict[str, str]] = {
    "assertion_error": "Assertion failed, {error}",
    "bool_parsing": "Input should be a valid boolean, unable to interpret input",
    "bool_type": "Input should be a valid boolean",
    "bytes_invalid_encoding": "Data should be valid {encoding}: {encoding_error}",
    "bytes_too_long": "Data should have at most {max_length} byte{s}",
    "bytes_too_short": "Data should have at least {min_length} byte{s}",
    "bytes_type": "Input should be a valid bytes",
    "complex_str_parsing": f"Input should be a valid complex string {_COMPLEX}",
    "complex_type": f"Input should be a valid python complex object, a number, or a valid complex string {_COMPLEX}",
    "callable_type": "Input should be callable",
    "counter_type": "Input should be a valid Counter",
    "dataclass_exact_type": "Input should be an instance of {class_name}",
    "dataclass_type": "Input should be a dictionary or an instance of {class_name}",
    "date_from_datetime_inexact": "Datetimes provided to dates should have zero time - e.g. be exact dates",
    "date_from_datetime_parsing": "Input should be a valid date or datetime, {error}",
    "date_parsing": "Input should be a valid date in the format YYYY-MM-DD, {error}",
    "date_type": "Input should be a valid date",
    "datetime_from_date_parsing": "Input should be a valid datetime or date, {error}",
    "datetime_parsing": "Input should be a valid datetime, {error}",
    "datetime_type": "Input should be a valid datetime",
    "decimal_max_digits": "Decimal input should have no more than {max_digits} digit{s} in total",
    "decimal_max_places": "Decimal input should have no more than {decimal_places} decimal place{s}",
    "decimal_whole_digits": "Decimal input should have no more than {whole_digits} digit{s} before the decimal point",
    "decimal_parsing": "Input should be a valid decimal",
    "decimal_type": "Decimal input should be an integer, float, string or Decimal object",
    "default_factory_not_called": (
        "The default factory uses validated data, but at least one validation error occurred"
    ),
    "default_dict_type": "Input should be a valid defaultdict",
    "deque_type": "Input should be a valid deque",
    "dict_type": "Input should be a valid dictionary",
    "enum": "Input should be {expected}",
    "extra_forbidden": "Extra inputs are not permitted",
    "finite_number": "Input should be a finite number",
    "float_parsing": "Input should be a valid number, unable to parse string as a number",
    "float_type": "Input should be a valid number",
    "fraction_parsing": "Input is not a valid fraction",
    "fraction_type": "Fraction input should be an integer, float, string or Fraction object",
    "frozen_field": "Field is frozen",
    "frozen_instance": "Instance is frozen",
    "frozen_set_type": "Input should be a valid frozenset",
    "get_attribute_error": "Error extracting attribute: {error}",
    "greater_than": "Input should be greater than {gt}",
    "greater_than_equal": "Input should be greater than or equal to {ge}",
    "int_from_float": "Input should be a valid integer, got a number with a fractional part",
    "int_parsing": "Input should be a valid integer, unable to parse string as an integer",
    "int_parsing_size": "Unable to parse input string as an integer, exceeded maximum size",
    "int_type": "Input should be a valid integer",
    "invalid_key": "Keys should be strings",
    "ip_v4_address": "Input is not a valid IPv4 address",
    "ip_v4_interface": "Input is not a valid IPv4 interface",
    "ip_v4_network": "Input is not a valid IPv4 network",
    "ip_v6_address": "Input is not a valid IPv6 address",
    "ip_v6_interface": "Input is not a valid IPv6 interface",
    "ip_v6_network": "Input is not a valid IPv6 network",
    "is_hashable": "Input should be hashable",
    "is_instance_of": "Input should be an instance of {class}",
    "is_subclass_of": "Input should be a subclass of {class}",
    "is_type": "Input should be a type",
    "iteration_error": "Error iterating over object, error: {error}",
    "json_invalid": "Invalid JSON: {error}",
    "less_than": "Input should be less than {lt}",
    "less_than_equal": "Input should be less than or equal to {le}",
    "list_type": "Input should be a valid list",
    "literal_error": "Input should be {expected}",
    "missing": "Field required",
    "mapping_type": "Input should be a valid mapping, error: {error}",
    "model_attributes_type": "Input should be a valid dictionary or object to extract fields from",
    "model_type": "Input should be a valid dictionary or instance of {class_name}",
    "multiple_of": "Input should be a multiple of {multiple_of}",
    "needs_python_object": (
        "Cannot check `{method_name}` when validating from json, use a JsonOrPython validator instead"
    ),
    "no_such_attribute": "Object has no attribute '{attribute}'",
    "named_tuple_type": "Input should be a tuple, list, dictionary or an instance of {class_name}",
    "none_required": "Input should be None",
    "ordered_dict_type": "Input should be a valid OrderedDict",
    "pattern_bytes_type": "Input should be a bytes pattern",
    "pattern_regex": "Input should be a valid regular expression",
    "pattern_str_type": "Input should be a string pattern",
    "pattern_type": "Input should be a valid pattern",
    "path_type": "Input is not a valid path for {path_type}",
    "predicate_failed": "Predicate {name} failed",
    "recursion_loop": "Recursion error - cyclic reference detected",
    "sequence_str": "'{type_name}' instances are not allowed as a Sequence value",
    "set_item_not_hashable": "Set items should be hashable",
    "set_type": "Input should be a valid set",
    "string_pattern_mismatch": "String should match pattern '{pattern}'",
    "string_too_long": "String should have at most {max_length} character{s}",
    "string_too_short": "String should have at least {min_length} character{s}",
    "string_type": "Input should be a valid string",
    "string_unicode": "Input should be a valid string, unable to parse raw data as a unicode string",
    "struct_type": "{error}",
    "time_delta_parsing": "Input should be a valid timedelta, {error}",
    "time_delta_type": "Input should be a valid timedelta",
    "time_parsing": "Input should be in a valid time format, {error}",
    "time_type": "Input should be a valid time",
    "timezone_naive": "Input should not have timezone info",
    "timezone_aware": "Input should have timezone info",
    "too_long": "{field_type} should have at most {max_length} item{s} after validation, not {actual_length}",
    "too_short": "{field_type} should have at least {min_length} item{s} after validation, not {actual_length}",
    "tuple_type": "Input should be a valid tuple",
    "type_error": "Type error, {error}",
    "uuid_parsing": "Input should be a valid UUID, {error}",
    "uuid_type": "UUID input should be a string, bytes or UUID object",
    "zoneinfo_str": "invalid timezone: {zone}",
    "value_error": "Value error, {error}",
}


JSON_MESSAGES: Final[dict[str, str]] = {
    "counter_type": "Input should be an object",
    "dataclass_type": "Input should be an object",
    "default_factory_not_called": (
        "The default factory uses validated data, but at least one validation error occurred"
    ),
    "default_dict_type": "Input should be an object",
    "deque_type": "Input should be a valid array",
    "dict_type": "Input should be an object",
    "frozen_set_type": "Input should be a valid array",
    "list_type": "Input should be a valid array",
    "model_type": "Input should be an object",
    "named_tuple_type": "Input should be an array or an object",
    "none_required": "Input should be null",
    "ordered_dict_type": "Input should be an object",
    "set_type": "Input should be a valid array",
    "time_delta_type": "Input should be a valid duration",
    "tuple_type": "Input should be a valid array",
}
"""The words for values from JSON, where they differ."""


class _Told(TypedDict):
    """A fault in the shape of `ValidationError.errors`."""

    type: str
    msg: str
    input: object
    loc: Iterable[int | str]
    ctx: NotRequired[dict[str, object] | None]


@attrs.frozen(slots=True, eq=False)
class Fault:
    """One value that does not fit, and where it was."""

    kind: str
    msg: str
    input: object
    loc: tuple[int | str, ...] = ()
    ctx: dict[str, object] | None = None

    def under(self, *loc: int | str) -> Fault:
        """Return the same fault as seen from a containing value."""
        return attrs.evolve(self, loc=loc + self.loc)

    @classmethod
    def of_error(cls, error: Mapping[str, object]) -> Fault:
        """Return the fault that was shown as *error* in `ValidationError.errors`, or in pydantic's."""
        told = cast("_Told", error)
        return cls(told["type"], told["msg"], told["input"], tuple(told["loc"]), told.get("ctx"))

    def as_error(self) -> dict[str, object]:
        """Return the fault in the shape of `ValidationError.errors`."""
        error = {"type": self.kind, "loc": self.loc, "msg": self.msg, "input": self.input}
        return error if self.ctx is None else {**error, "ctx": self.ctx}


class Invalid(Exception):  # noqa: N818 - never leaves the package: `refuse` makes it a ValidationError
    """A value has faults; all of them, each with the way to it."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(faults)
        self.faults: list[Fault] = faults


def fault(kind: str, value: object, **ctx: object) -> Fault:
    """Return a fault of *kind*, worded with the facts in *ctx*."""
    text = MESSAGES[kind]
    if "{s}" in text:
        return Fault(kind, text.format(s=_plural(ctx), **ctx), value, ctx=ctx)
    return Fault(kind, text.format(**ctx), value, ctx=ctx or None)


def _plural(ctx: dict[str, object]) -> str:
    return "" if next(number for number in ctx.values() if isinstance(number, int)) == 1 else "s"


def fail(kind: str, value: object, **ctx: object) -> NoReturn:
    """
    Refuse *value*.

    Raises:
        Invalid: Always.
    """
    raise Invalid([fault(kind, value, **ctx)])


@final
class Collector:
    """Runs checks on the parts of a value and keeps their faults for one report."""

    __slots__ = ("faults",)

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def run(self, check: Check, value: object, *loc: int | str) -> object:
        """Return what *check* makes of the part at *loc*, or None and keep its faults."""
        try:
            return check(value)
        except Invalid as invalid:
            self.faults += [one.under(*loc) for one in invalid.faults]
            return None

    def add(self, one: Fault, *loc: int | str) -> None:
        """Keep a fault of the part at *loc*."""
        self.faults.append(one.under(*loc))

    def close(self) -> None:
        """Raise `Invalid` if any part had a fault."""
        if self.faults:
            raise Invalid(self.faults)


def call_user(function: Callable[..., object], value: object, *args: object) -> object:
    """
    Call a converter or validator of the user; what it raises is a fault of *value*.

    Raises:
        Invalid: If it raised ValueError, TypeError or AssertionError.
    """
    try:
        return function(*args)
    except AssertionError as error:
        raise Invalid([fault("assertion_error", value, error=error)]) from error
    except ValueError as error:
        raise Invalid(told_by(error, value)) from error
    except TypeError as error:
        raise Invalid([fault("type_error", value, error=error)]) from error


def told_by(error: ValueError, value: object) -> list[Fault]:
    """Return the faults that a ValueError stands for: its own, or those that it lists."""
    if (errors := listed(error)) is not None:
        return [Fault.of_error(one) for one in errors]
    if (said := kind_and_words(error)) is not None:
        kind, words, context = said
        return [Fault(kind, words, value, ctx=context)]
    return [fault("value_error", value, error=error)]


def in_json_words(faults: Iterable[Fault]) -> list[Fault]:
    """Return *faults* as they are told of values from JSON."""
    return [attrs.evolve(one, msg=JSON_MESSAGES.get(one.kind, one.msg)) for one in faults]


def refuse(title: str, faults: Iterable[Fault], *, hide_input: bool = False) -> ValidationError:
    """
    Return the public error that lists *faults*; it is pydantic's too where pydantic is imported.

    With *hide_input* its text does not show the values.
    """
    return validation_error(title, [one.as_error() for one in faults], hide_input=hide_input)
