"""
Writes the constructor of an event class, in plain code that a debugger can show.

For each argument it looks at the type once; what is not of exactly the right type goes to the compiled check. Faults
are collected, so that one error lists them all, and nothing is assigned before all arguments are good.
"""

from __future__ import annotations

import itertools
import keyword
import linecache
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import attrs

from bubus._faults import Fault, Invalid, call_user, fault, in_json_words, refuse
from bubus._framework import RUN_TIME_NAMES
from bubus._types import MISSING, Check

if TYPE_CHECKING:
    from bubus._field_info import FieldInfo
    from bubus._mode import Mode

Init: TypeAlias = Callable[..., None]
"""A constructor: takes the new event and its arguments by keyword."""

Faults: TypeAlias = "list[Fault] | None"

_CONVERTER: Final[Any] = attrs.Converter
_FACTORY: Final[Any] = attrs.Factory  # a class, typed as a function
_WRITTEN: Final = weakref.WeakSet[Init]()
_serial: Final = itertools.count(1)


@attrs.frozen(slots=True, eq=False)
class Argument:
    """A field as the constructor sees it."""

    attribute: attrs.Attribute[Any]
    check: Check
    exact: frozenset[type] | None
    """Values of exactly these types need no check; None: no value does."""

    info: FieldInfo

    @property
    def name(self) -> str:
        """Name of the attribute, and of the variable in the constructor."""
        return self.attribute.name

    @property
    def alias(self) -> str:
        """What the caller writes."""
        name = self.info.validation_alias if isinstance(self.info.validation_alias, str) else self.info.alias
        return name or self.attribute.alias or self.attribute.name

    @property
    def in_signature(self) -> bool:
        """
        Whether it is written as a parameter. Others are taken out of the extras: names that are none of Python's, and
        fields with init=False, which a stored event brings along.
        """
        usable = self.alias.isidentifier() and not keyword.iskeyword(self.alias) and not self.alias.startswith("_")
        return self.attribute.init and usable

    @property
    def converter(self) -> Any:
        """The converter of attrs, or None."""
        return cast("Any", self.attribute.converter)  # pyright: ignore[reportUnknownMemberType] - generic without arguments in attrs

    @property
    def converts(self) -> bool:
        """Whether the field has a converter of attrs."""
        return self.converter is not None

    @property
    def factory(self) -> Any:
        """The factory for the default if it wants the event itself, else None."""
        default: Any = self.attribute.default
        return default if isinstance(default, _FACTORY) and default.takes_self else None


def write_init(cls: type, arguments: list[Argument], mode: Mode) -> Init:
    """Return the constructor of *cls* for values of one mode."""
    writer = _Writer(cls, arguments, mode)
    source = writer.write()
    filename = f"<bubus constructor {next(_serial)} of {cls.__module__}.{cls.__qualname__}>"
    exec(compile(source, filename, "exec"), writer.names)  # noqa: S102 - written here, from names of fields
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    weakref.finalize(cls, linecache.cache.pop, filename, None)
    init: Init = writer.names["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__module__ = cls.__module__
    _WRITTEN.add(init)
    return init


def stands_in(init: Init) -> Init:
    """Return *init*, which will be replaced by a written constructor, and counts as one until then."""
    _WRITTEN.add(init)
    return init


def is_written(init: object) -> bool:
    """Tell whether *init* is a constructor made here, and not one that a user wrote."""
    return init in _WRITTEN


# -- what the constructors call ----------------------------------------------------------------------------------------


def check_argument(check: Check, value: Any, name: str, faults: Faults) -> tuple[Any, Faults]:
    """Return the checked value and all faults so far."""
    if value is MISSING:
        return value, [*(faults or ()), fault("missing", MISSING).under(name)]
    try:
        return check(value), faults
    except Invalid as invalid:
        return value, [*(faults or ()), *(one.under(name) for one in invalid.faults)]
    except RecursionError:
        return value, [*(faults or ()), fault("recursion_loop", value).under(name)]


def check_extras(cls: Any, extras: dict[str, Any], faults: Faults) -> Faults:
    """Take what is no part of an event out of *extras*; return all faults so far."""
    for name in RUN_TIME_NAMES.intersection(extras):
        del extras[name]
    policy = cls.model_config.get("extra", "allow")
    if policy == "ignore":
        extras.clear()
    refused = [name for name in extras if policy == "forbid" or _is_no_extra(cls, name)]
    return [*(faults or ()), *(fault("extra_forbidden", extras[name]).under(name) for name in refused)] or None


def _is_no_extra(cls: type, name: str) -> bool:
    """Tell whether an extra of this name would not be written, or would hide an attribute of the class."""
    return name.startswith("_") or hasattr(cls, name)


def refuse_arguments(cls: type, mode: Mode, faults: list[Fault], given: dict[str, Any]) -> Exception:
    """Return the error that lists *faults*; to a missing argument belong all that were given."""
    arguments = {name: value for name, value in given.items() if value is not MISSING}
    complete = [attrs.evolve(one, input=arguments) if one.input is MISSING else one for one in faults]
    return refuse(cls.__name__, in_json_words(complete) if mode.json else complete)


def redirect(event: Any, mode: Mode, given: dict[str, Any], extras: dict[str, Any]) -> None:
    """Run the constructor of the event's own class, which has a written ``__init__`` that called that of a base."""
    arguments = {name: value for name, value in given.items() if value is not MISSING}
    event.__event_blueprint__.init(mode)(event, **arguments, **extras)


def converting(argument: Argument) -> Callable[[Any, Any], Any]:
    """Return a check of event and value that runs the field's converter first."""
    attribute, check = argument.attribute, argument.check
    converter = argument.converter
    wrapped = isinstance(converter, _CONVERTER)
    function: Callable[..., Any] = converter.converter if wrapped else converter
    takes_self, takes_field = wrapped and converter.takes_self, wrapped and converter.takes_field

    def convert(event: Any, value: Any) -> Any:
        more = [event] * takes_self + [attribute] * takes_field
        return check(call_user(function, value, value, *more))

    return convert


def run_validators(event: Any, attributes: list[attrs.Attribute[Any]], cls: type, mode: Mode) -> None:
    """Run the attrs validators of a new event."""
    if attrs.validators.get_disabled():
        return
    faults: Faults = None
    for attribute in attributes:
        value = getattr(event, attribute.name)
        _, faults = check_argument(_validating(event, attribute), value, attribute.alias or attribute.name, faults)
    if faults is not None:
        raise refuse_arguments(cls, mode, faults, {})


def _validating(event: Any, attribute: attrs.Attribute[Any]) -> Check:
    validator: Any = attribute.validator
    return lambda value: call_user(validator, value, event, attribute, value)


# -- the writer --------------------------------------------------------------------------------------------------------


class _Writer:
    """Collects the lines of one constructor, and the objects that its names stand for."""

    def __init__(self, cls: Any, arguments: list[Argument], mode: Mode) -> None:
        self.cls = cls
        self.arguments = arguments
        self.lines: list[str] = []
        self.names: dict[str, Any] = {
            "_missing": MISSING,
            "_type": type,
            "_class": cls,
            "_mode": mode,
            "_check": check_argument,
            "_check_extras": check_extras,
            "_refuse": refuse_arguments,
            "_redirect": redirect,
            "_validate": run_validators,
        }

    def write(self) -> str:
        """Return the source."""
        self._begin()
        for index, argument in enumerate(self.arguments):
            self._take(argument)
            self._check(index, argument, self._default(index, argument))
        self._refuse()
        self._assign()
        self._end()
        return "\n".join([*self.lines, ""])

    def _add(self, indent: int, line: str) -> None:
        self.lines.append("    " * indent + line)

    def _name(self, kind: str, index: int | str, value: object) -> str:
        name = f"_{kind}_{index}"
        self.names[name] = value
        return name

    def _given(self, *, payload: bool) -> str:
        """Write a dict of the arguments."""
        chosen = [one for one in self.arguments if one.in_signature]
        if payload:
            return "".join(f"{one.alias!r}: {one.name}, " for one in chosen if not one.name.startswith("event_"))
        return "".join(f"{one.alias!r}: {one.alias}, " for one in chosen)

    def _begin(self) -> None:
        parameters = "".join(f"{one.alias}=_missing, " for one in self.arguments if one.in_signature)
        self._add(0, f"def __init__(_self, /, *, {parameters}**_extras):")
        self._add(1, "if _type(_self) is not _class:")
        self._add(2, f"return _redirect(_self, _mode, {{{self._given(payload=False)}}}, _extras)")
        self._add(1, "_faults = None")

    def _take(self, argument: Argument) -> None:
        if not argument.in_signature:
            self._add(1, f"{argument.name} = _extras.pop({argument.alias!r}, _missing)")
        elif argument.alias != argument.name:
            self._add(1, f"{argument.name} = {argument.alias}")

    def _default(self, index: int, argument: Argument) -> str:
        """Write the default; return how the next branch begins."""
        default: Any = argument.attribute.default
        if default is attrs.NOTHING:
            return "if"
        self._add(1, f"if {argument.name} is _missing:")
        if argument.factory is not None:
            self._add(2, "pass")
        elif isinstance(default, _FACTORY):
            self._add(2, f"{argument.name} = {self._name('factory', index, default.factory)}()")
        else:
            self._add(2, f"{argument.name} = {self._name('default', index, default)}")
        return "if" if argument.converts else "elif"

    def _check(self, index: int, argument: Argument, branch: str) -> None:
        condition, check = self._condition(index, argument), self._name("check", index, argument.check)
        if argument.converts:
            condition = f"{argument.name} is not _missing" if argument.factory is not None else "True"
            check = f"lambda value: {self._name('convert', index, converting(argument))}(_self, value)"
        if condition is not None:
            self._add(1, f"{branch} {condition}:")
            self._add(2, f"{argument.name}, _faults = _check({check}, {argument.name}, {argument.alias!r}, _faults)")

    def _condition(self, index: int, argument: Argument) -> str | None:
        """Return the expression that is true for values to be checked."""
        name, exact = argument.name, argument.exact
        if exact is None:
            return f"{name} is _missing" if argument.attribute.default is attrs.NOTHING else None
        tests = [f"{name} is not None"] if type(None) in exact else []
        kinds = sorted(exact - {type(None)}, key=lambda kind: kind.__qualname__)
        if len(kinds) == 1:
            tests.append(f"_type({name}) is not {self._name('type', index, kinds[0])}")
        elif kinds:
            tests.append(f"_type({name}) not in {self._name('types', index, frozenset(kinds))}")
        return " and ".join(tests) or "True"

    def _refuse(self) -> None:
        self._add(1, "if _extras:")
        self._add(2, "_faults = _check_extras(_class, _extras, _faults)")
        self._add(1, "if _faults is not None:")
        self._add(2, f"raise _refuse(_class, _mode, _faults, {{{self._given(payload=True)}**_extras}})")

    def _assign(self) -> None:
        line = "_self.{0} = {0}"
        if self.cls.__setattr__ is not object.__setattr__:  # such as the one of attrs that runs validators
            self._add(1, "_fields = _self.__dict__")
            line = "_fields['{0}'] = {0}"
        if hasattr(self.cls, "__attrs_pre_init__"):
            self._add(1, "_self.__attrs_pre_init__()")
        for index, argument in enumerate(self.arguments):
            if argument.factory is not None:
                self._add(1, f"if {argument.name} is _missing:")
                self._add(2, f"{argument.name} = {self._name('factory', index, argument.factory.factory)}(_self)")
            self._add(1, line.format(argument.name))
        self._add(1, "if _extras:")
        self._add(2, "_self.__dict__.update(_extras)")

    def _end(self) -> None:
        validated = [one.attribute for one in self.arguments if one.attribute.validator is not None]
        if validated:
            self._add(1, f"_validate(_self, {self._name('validated', 'fields', validated)}, _class, _mode)")
        if hasattr(self.cls, "__attrs_post_init__"):
            self._add(1, "_self.__attrs_post_init__()")
