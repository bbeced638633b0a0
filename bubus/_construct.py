"""
Writes the constructor of an event class, in plain code that a debugger can show.

For each argument it looks at the type once; what is not of exactly the right type goes to the compiled check. Faults
are collected, so that one error lists them all, and nothing is assigned before all arguments are good.
"""

from __future__ import annotations

import functools
import itertools
import linecache
import warnings
import weakref
from inspect import currentframe
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast, final

import attrs

from bubus._body import is_root
from bubus._config import title_of
from bubus._faults import Fault, Invalid, call_user, fault, in_json_words, refuse
from bubus._fields import RESERVED_PREFIXES
from bubus._framework import CHECKS, RUN_TIME_NAMES
from bubus._functions import ValidationInfo, context, current
from bubus._hints import closest
from bubus._marks import ComputedField
from bubus._narrow import attribute, is_factory, is_list_or_tuple, is_mapping, item_of, method
from bubus._shape import EventShape, Init
from bubus._signature import signature
from bubus._tree import escape
from bubus._types import MISSING, Check
from bubus._variables import put

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bubus._aliases import Path
    from bubus._arguments import Argument
    from bubus._mode import Mode

Faults: TypeAlias = "list[Fault] | None"

_WRITTEN: Final = weakref.WeakSet[Init]()
SET: Final = "_event_fields_set"
"""Attribute of events with the fields that have a default and were given, as bits; there is none if there are none."""

_EXTRA: Final = (
    "{cls} has no field {name}, which is kept as an extra; did you mean {meant}? "
    + "Begin a name of your own with something else than event_ or model_"
)
_RESULT_TYPE: Final = "what handlers return is said by the class: BaseEvent[…], or `event_result_type = …` in its body"
_FILE: Final = "<bubus constructor"
_OWN_FILES: Final = (__file__.removesuffix("_construct.py"), _FILE)
_CONVERTER: Final[type] = attrs.Converter
_serial: Final = itertools.count(1)


def write_init(cls: type, arguments: list[Argument], mode: Mode, privates: Mapping[str, Callable[[], object]]) -> Init:
    """Return the constructor of *cls* for values of one mode; *privates* are made for each event."""
    writer = _Writer(cls, arguments, mode, privates)
    source = writer.write()
    filename = f"{_FILE} {next(_serial)} of {cls.__module__}.{cls.__qualname__}>"
    exec(compile(source, filename, "exec"), writer.names)  # noqa: S102 - written here, from names of fields
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    _ = weakref.finalize(cls, linecache.cache.pop, filename, None)
    init = cast("Init", writer.names["__init__"])
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__module__ = cls.__module__
    setattr(init, "__signature__", signature(arguments))  # noqa: B010 - functions have none for type checkers
    _WRITTEN.add(init)
    return init


def stands_in(init: Init) -> Init:
    """Return *init*, which will be replaced by a written constructor, and counts as one until then."""
    _WRITTEN.add(init)
    return init


def public(event: EventShape) -> dict[str, object]:
    """Return the fields and extras of an event, by name."""
    values: dict[str, object] = event.__dict__
    hidden = type(event).__event_cached__
    return {name: value for name, value in values.items() if not (name.startswith("_") or name in hidden)}


def is_written(init: object) -> bool:
    """Tell whether *init* is a constructor made here, and not one that a user wrote."""
    return init in _WRITTEN


# -- what the constructors call ----------------------------------------------------------------------------------------


def check_argument(check: Check, value: object, where: Path, faults: Faults) -> tuple[object, Faults]:
    """Return the checked value and all faults so far."""
    if value is MISSING:
        return value, [*(faults or ()), fault("missing", MISSING).under(*where)]
    try:
        return check(value), faults
    except Invalid as invalid:
        return value, [*(faults or ()), *(one.under(*where) for one in invalid.faults)]
    except RecursionError:
        return value, [*(faults or ()), fault("recursion_loop", value).under(*where)]


def check_asking(
    check: Check, value: object, where: Path, faults: Faults, info: ValidationInfo
) -> tuple[object, Faults]:
    """Do as `check_argument`, and let functions in *check* know what is known of the event so far."""
    with put(current, info):
        return check_argument(check, value, where, faults)


def info_maker(cls: type[EventShape], mode: Mode) -> Callable[[dict[str, object], str], ValidationInfo]:
    """Return what tells functions of the fields so far, and of the name of the one being checked."""
    source: Literal["json", "python"] = "json" if mode.json else "python"
    return lambda data, name: ValidationInfo(data, name, context.get(), source, cls.model_config)


def call_factory(
    factory: Callable[[dict[str, object]], object], data: dict[str, object], where: Path, faults: Faults
) -> tuple[object, Faults]:
    """Return the default that a factory makes of the fields before it, and all faults so far."""
    if faults is None:
        return factory(data), None
    return None, [*faults, fault("default_factory_not_called", None).under(*where)]


def dig(value: object, rest: Path) -> object:
    """Return what stands at the end of a path in *value*, MISSING if there is nothing."""
    for part in rest:
        try:
            if is_mapping(value) or (isinstance(part, int) and is_list_or_tuple(value)):
                value = item_of(value, part)
            else:
                return MISSING
        except (LookupError, TypeError):
            return MISSING
    return value


def check_extras(cls: type[EventShape], policy: str, extras: dict[str, object], faults: Faults) -> Faults:
    """Take what is no part of an event out of *extras*; return all faults so far."""
    for name in RUN_TIME_NAMES.intersection(extras):
        del extras[name]
    if policy != "forbid":
        marks = cls.__event_blueprint__.marks
        for name in [name for name in extras if isinstance(marks.get(name), ComputedField)]:
            del extras[name]  # as a dump has it
    if policy == "ignore":
        if faults is None:  # else they are shown in the error
            extras.clear()
        return faults
    refused = [name for name in extras if policy == "forbid" or _is_no_extra(cls, name)]
    return [*(faults or ()), *(fault("extra_forbidden", extras[name]).under(name) for name in refused)] or None


def check_given(cls: type[EventShape], policy: str, extras: dict[str, object], faults: Faults) -> Faults:
    """Do as `check_extras` where a program gives them: it is warned of a name that is nearly one that bubus knows."""
    kind = extras.get("event_result_type")
    if not isinstance(kind, str | None):  # a dump has its name there
        where = fault("value_error", kind, error=ValueError(_RESULT_TYPE)).under("event_result_type")
        faults = [*(faults or ()), where]
    faults = check_extras(cls, policy, extras, faults)
    for name in extras if faults is None else ():
        meant = _meant(name) if name.startswith(RESERVED_PREFIXES) else None
        if meant is not None:
            text = _EXTRA.format(cls=cls.__name__, name=escape(name), meant=meant)
            warnings.warn(text, stacklevel=_level_of_caller())
    return faults


def _level_of_caller() -> int:
    """Return the `stacklevel` of a warning, given where this is called, that is about the code that called bubus."""
    frame, level = currentframe(), 0
    while frame is not None and frame.f_code.co_filename.startswith(_OWN_FILES):
        frame, level = frame.f_back, level + 1
    return level


@functools.lru_cache(maxsize=256)
def _meant(name: str) -> str | None:
    return closest(name, CHECKS, likeness=0.92)


def _is_no_extra(cls: type[EventShape], name: str) -> bool:
    """Tell whether an extra of this name would not be written, or would hide an attribute of the class."""
    return name.startswith("_") or hasattr(cls, name) or name in cls.__event_blueprint__.infos


def refuse_arguments(cls: type[EventShape], mode: Mode, faults: list[Fault], given: dict[str, object]) -> Exception:
    """Return the error that lists *faults*; to a missing argument belong all that were given."""
    arguments = {name: value for name, value in given.items() if value is not MISSING}
    complete = [attrs.evolve(one, input=arguments) if one.input is MISSING else one for one in faults]
    return refuse(title_of(cls), in_json_words(complete) if mode.json else complete, hide_input=hides_input(cls))


def hides_input(cls: type[EventShape]) -> bool:
    """Tell whether the errors of a class keep the values to themselves."""
    return bool(cls.model_config.get("hide_input_in_errors"))


def redirect(event: EventShape, mode: Mode, given: dict[str, object], extras: dict[str, object]) -> None:
    """Run the constructor of the event's own class, which has a written ``__init__`` that called that of a base."""
    arguments = {name: value for name, value in given.items() if value is not MISSING}
    event.__event_blueprint__.init(mode)(event, **arguments, **extras)


def converting(argument: Argument) -> Callable[[object, object], object]:
    """Return a check of event and value that runs the field's converter first."""
    field, check = argument.attribute, argument.check
    converter = argument.converter
    wrapped = isinstance(converter, _CONVERTER)
    function = method(converter, "converter") if wrapped else method(converter, "__call__")
    takes_self = wrapped and bool(attribute(converter, "takes_self"))
    takes_field = wrapped and bool(attribute(converter, "takes_field"))

    def convert(event: object, value: object) -> object:
        more = [event] * takes_self + [field] * takes_field
        return check(call_user(function, value, value, *more))

    return convert


def run_validators(event: EventShape, fields: list[attrs.Attribute[object]], cls: type, mode: Mode) -> None:
    """Run the attrs validators of a new event."""
    if attrs.validators.get_disabled():
        return
    faults: Faults = None
    for field in fields:
        value = attribute(event, field.name)
        _, faults = check_argument(_validating(event, field), value, (field.alias or field.name,), faults)
    if faults is not None:
        raise refuse_arguments(cls, mode, faults, {})


def _validating(event: EventShape, field: attrs.Attribute[object]) -> Check:
    validator = method(field, "validator")
    return lambda value: call_user(validator, value, event, field, value)


# -- the writer --------------------------------------------------------------------------------------------------------


def is_of_root(cls: type, name: str) -> bool:
    """Tell whether a method is the one that all events have, or the class is the root that is about to have it."""
    owner = next((base for base in cls.__mro__ if name in base.__dict__), None)
    return owner is None or is_root(owner)


def _sought_elsewhere(arguments: list[Argument]) -> set[str | int]:
    """Return the keys under which arguments of another name are looked for."""
    return {path[0] for one in arguments for path in one.lookups if path != (one.name,)}


def _seldom_given(arguments: list[Argument]) -> int:
    """Return how many arguments at the beginning are the framework's, and have defaults that nobody looks at."""
    elsewhere = _sought_elsewhere(arguments)
    found = itertools.takewhile(lambda one: _is_ordinary(one) and one.name not in elsewhere, arguments)
    return sum(1 for _ in found)


def _is_ordinary(argument: Argument) -> bool:
    """Tell whether a field is one of the framework's that the class has left as it is."""
    extraordinary = argument.converts or argument.asks or argument.checks_default or argument.info.factory_takes_data
    plain = argument.is_plain and argument.attribute.init and argument.factory is None
    return argument.name in CHECKS and plain and argument.has_default and not extraordinary


@final
class _Writer:
    """Collects the lines of one constructor, and the objects that its names stand for."""

    def __init__(
        self, cls: type[EventShape], arguments: list[Argument], mode: Mode, privates: Mapping[str, Callable[[], object]]
    ) -> None:
        self.cls = cls
        self.arguments = arguments
        self.privates = privates
        self.lines: list[str] = []
        self.base_indent = 0
        self.keeps_data = any(one.asks or one.info.factory_takes_data for one in arguments)
        gives_all = mode.base64 or self.keeps_data
        self.seldom = 0 if gives_all else _seldom_given(arguments)
        self.parameters = dict.fromkeys(
            path[0]
            for one in arguments[self.seldom :]
            for path in one.lookups
            if len(path) == 1 and one.is_parameter(path[0])
        )
        self.shared = _sought_elsewhere(arguments)
        self.keeps_roots = any(self._leads_into_extra(path) for one in arguments for path in one.lookups)
        self.keeps_set = not mode.base64  # of an event that was written it is not known any more
        self.names: dict[str, object] = {
            "_missing": MISSING,
            "_type": type,
            "_class": cls,
            "_mode": mode,
            "_check": check_argument,
            "_check_asking": check_asking,
            "_call_factory": call_factory,
            "_check_extras": check_extras if mode.json else check_given,
            "_policy": mode.extra or cls.model_config.get("extra", "allow"),
            "_context": context.get,
            "_info": info_maker(cls, mode),
            "_dig": dig,
            "_refuse": refuse_arguments,
            "_redirect": redirect,
            "_validate": run_validators,
        }

    def write(self) -> str:
        """Return the source."""
        self._begin()
        self._take_seldom_given()
        self._take_all(self.seldom, len(self.arguments))
        self._refuse()
        self._assign()
        self._end()
        return "\n".join([*self.lines, ""])

    def _add(self, indent: int, line: str) -> None:
        self.lines.append("    " * (self.base_indent + indent) + line)

    def _name(self, kind: str, index: int | str, value: object) -> str:
        name = f"_{kind}_{index}"
        self.names[name] = value
        return name

    def _has_parameter(self, argument: Argument) -> bool:
        """Tell whether a parameter holds the value: the only place to look, and no other argument looks there."""
        return argument.is_plain and argument.name not in self.shared

    def _variable(self, index: int, argument: Argument) -> str:
        """Return the name of the variable that holds the value."""
        return argument.name if self._has_parameter(argument) else f"_value_{index}"

    def _given(self, *, payload: bool) -> str:
        """Write a dict of the arguments."""
        if not payload:
            return "".join(f"{name!r}: {name}, " for name in self.parameters)
        chosen = [(index, one) for index, one in enumerate(self.arguments) if not one.name.startswith("event_")]
        return "".join(
            f"{path[0]!r}: {self._as_given(index, one, path)}, "
            for index, one in chosen
            for path in one.lookups
            if path[0] in self.parameters
        )

    def _as_given(self, index: int, argument: Argument, path: Path) -> str:
        """Write what was given at *path*, without the default that has been put in its place."""
        if not self._has_parameter(argument):
            return str(path[0])
        if self.keeps_set and argument.has_default:
            return f"{argument.name} if _set & {1 << index} else _missing"
        return argument.name

    def _begin(self) -> None:
        parameters = "".join(f"{name}=_missing, " for name in self.parameters)
        star = "*, " if parameters else ""
        self._add(0, f"def __init__(_self, /, {star}{parameters}**_extras):")
        self._add(1, "if _type(_self) is not _class:")
        self._add(2, f"return _redirect(_self, _mode, {{{self._given(payload=False)}}}, _extras)")
        self._add(1, "_faults = None")
        if self.keeps_set:
            self._add(1, "_set = 0")
        if self.keeps_data:
            self._add(1, "_data = {}")
        if self.keeps_roots:
            self._add(1, "_roots = set()")

    def _take_seldom_given(self) -> None:
        """Write all there is to the framework's arguments; they are no parameters, since each of those takes time."""
        if not self.seldom:
            return
        self._add(1, "if _extras:")
        self.base_indent = 1
        self._take_all(0, self.seldom)
        self.base_indent = 0
        self._add(1, "else:")
        for index, argument in enumerate(self.arguments[: self.seldom]):
            self._add(2, self._default_value(index, argument, argument.name))

    def _take_all(self, start: int, end: int) -> None:
        for index, argument in enumerate(self.arguments[start:end], start):
            self._take(index, argument)
            self._default(index, argument)
            self._check(index, argument)

    def _take(self, index: int, argument: Argument) -> None:
        """Write where the value comes from, unless it is the parameter of its own name."""
        if self._has_parameter(argument) and argument.name in self.parameters:
            return
        value, (first, *others) = self._variable(index, argument), argument.lookups
        self._add(1, f"{value} = {self._source(first)}")
        if self._leads_into_extra(first):
            self._add(1, f"if {value} is not _missing:")
            self._add(2, f"_roots.add({first[0]!r})")
        if not others:
            return
        self._add(1, f"_where_{index} = {argument.where(first)!r}")
        for path in others:
            self._look_further(index, argument, path)

    def _look_further(self, index: int, argument: Argument, path: Path) -> None:
        """Write a further place to look at; what stands there beside the value is an extra."""
        value = self._variable(index, argument)
        self._add(1, f"if {value} is _missing:")
        self._add(2, f"{value} = {self._source(path)}")
        self._add(2, f"if {value} is not _missing:")
        self._add(3, f"_where_{index} = {argument.where(path)!r}")
        if self._leads_into_extra(path):
            self._add(3, f"_roots.add({path[0]!r})")
        if len(path) == 1 and path[0] in self.parameters and self._looks_alone(argument, path):
            self._add(1, f"elif {path[0]} is not _missing:")
            self._add(2, f"_extras[{path[0]!r}] = {path[0]}")

    def _looks_alone(self, argument: Argument, path: Path) -> bool:
        """Tell whether what stands at *path* is of no use to another argument."""
        return all(one is argument or path not in one.lookups for one in self.arguments)

    def _source(self, path: Path) -> str:
        key, *rest = path
        if rest:
            root = key if key in self.parameters else f"_extras.get({key!r}, _missing)"
            return f"_dig({root}, {tuple(rest)!r})"
        return str(key) if key in self.parameters else f"_extras.pop({key!r}, _missing)"

    def _where(self, index: int, argument: Argument) -> str:
        first, *others = argument.lookups
        return f"_where_{index}" if others else repr(argument.where(first))

    def _default(self, index: int, argument: Argument) -> None:
        """Write the default, and what notes that another value was given; the check comes under the latter."""
        if self.keeps_data:
            self._add(1, "_before = _faults")
        if not argument.has_default:
            return
        value = self._variable(index, argument)
        self._add(1, f"if {value} is _missing:")
        self._add(2, self._default_value(index, argument, value))
        self._add(1, "else:")
        self._add(2, f"_set |= {1 << index}" if self.keeps_set else "pass")

    def _default_value(self, index: int, argument: Argument, value: str) -> str:
        default: object = argument.attribute.default
        if argument.factory is not None:
            return "pass"
        if argument.info.factory_takes_data:
            factory = self._name("factory", index, argument.info.default_factory)
            return f"{value}, _faults = _call_factory({factory}, _data, {self._where(index, argument)}, _faults)"
        if is_factory(default) and default.factory is list:
            return f"{value} = []"  # takes half as long as a call
        if is_factory(default):
            return f"{value} = {self._name('factory', index, default.factory)}()"
        return f"{value} = {self._name('default', index, default)}"

    def _check(self, index: int, argument: Argument) -> None:
        value, condition = self._variable(index, argument), self._condition(index, argument)
        check = self._name("check", index, argument.check)
        if argument.converts:
            condition = f"{value} is not _missing" if argument.factory is not None else "True"
            check = f"lambda value: {self._name('convert', index, converting(argument))}(_self, value)"
        if condition is not None:
            always = argument.converts or argument.checks_default or not argument.has_default
            indent = 1 if always else 2
            self._add(indent, f"if {condition}:")
            self._add(indent + 1, self._call(index, argument, value, check))
        if self.keeps_data:
            self._add(1, "if _faults is _before:")
            self._add(2, f"_data[{argument.name!r}] = {value}")

    def _call(self, index: int, argument: Argument, value: str, check: str) -> str:
        given = f"{check}, {value}, {self._where(index, argument)}, _faults"
        if argument.asks:
            return f"{value}, _faults = _check_asking({given}, _info(_data, {argument.name!r}))"
        return f"{value}, _faults = _check({given})"

    def _condition(self, index: int, argument: Argument) -> str | None:
        """Return the expression that is true for values to be checked."""
        value, exact = self._variable(index, argument), argument.exact
        if exact is None:
            return None if argument.has_default else f"{value} is _missing"
        tests = [f"{value} is not None"] if type(None) in exact else []
        kinds = sorted(exact - {type(None)}, key=lambda kind: kind.__qualname__)
        if len(kinds) == 1:
            tests.append(f"_type({value}) is not {self._name('type', index, kinds[0])}")
        elif kinds:
            tests.append(f"_type({value}) not in {self._name('types', index, frozenset(kinds))}")
        return " and ".join(tests) or "True"

    def _refuse(self) -> None:
        if self.keeps_roots:
            self._add(1, "for _root in _roots:")
            self._add(2, "_extras.pop(_root, None)")
        self._add(1, "if _extras:")
        self._add(2, "_faults = _check_extras(_class, _policy, _extras, _faults)")
        self._add(1, "if _faults is not None:")
        self._add(2, f"raise _refuse(_class, _mode, _faults, {{{self._given(payload=True)}**_extras}})")

    def _leads_into_extra(self, path: Path) -> bool:
        """Tell whether a path leads into what looks like an extra, and is none if a value is found there."""
        return len(path) > 1 and path[0] not in self.parameters

    def _assign(self) -> None:
        line = "_self.{0} = {1}"
        if self.cls.__setattr__ is not object.__setattr__:  # such as the one of attrs that runs validators
            self._add(1, "_fields = _self.__dict__")
            line = "_fields['{0}'] = {1}"
        if hasattr(self.cls, "__attrs_pre_init__"):
            self._add(1, "_self.__attrs_pre_init__()")
        for index, argument in enumerate(self.arguments):
            value = self._variable(index, argument)
            if argument.factory is not None:
                self._add(1, f"if {value} is _missing:")
                self._add(2, f"{value} = {self._name('factory', index, argument.factory.factory)}(_self)")
            self._add(1, line.format(argument.name, value))
        if self.keeps_set:
            self._add(1, "if _set:")
            self._add(2, line.format(SET, "_set"))
        self._add(1, "if _extras:")
        self._add(2, "_self.__dict__.update(_extras)")
        for number, (name, factory) in enumerate(self.privates.items()):
            self._add(1, line.format(name, f"{self._name('private', number, factory)}()"))

    def _end(self) -> None:
        validated = [one.attribute for one in self.arguments if one.attribute.validator is not None]
        if validated:
            self._add(1, f"_validate(_self, {self._name('validated', 'fields', validated)}, _class, _mode)")
        if hasattr(self.cls, "__attrs_post_init__"):
            self._add(1, "_self.__attrs_post_init__()")
        if not is_of_root(self.cls, "model_post_init"):
            self._add(1, "_self.model_post_init(_context())")
