"""Writes the constructor of an event class: one look at each argument's type, in plain code that a debugger can show."""

from __future__ import annotations

import itertools
import keyword
import linecache
import weakref
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import attrs

from bubus._compile import Validator
from bubus._mode import LAX, Mode
from bubus._faults import Fault, Invalid, call_user, fault, refuse
from bubus._framework import RUN_TIME_NAMES
from bubus._types import MISSING, Check

Init: TypeAlias = Callable[..., None]
_serial: Final = itertools.count()


@attrs.frozen(slots=True, eq=False)
class Argument:
    """A field as its constructor sees it."""

    attribute: attrs.Attribute[Any]
    validator: Validator

    @property
    def name(self) -> str:
        """Name of the attribute."""
        return self.attribute.name

    @property
    def alias(self) -> str:
        """Name of the constructor's argument."""
        return self.attribute.alias or self.attribute.name

    @property
    def by_keyword(self) -> bool:
        """Whether the alias can stand in a signature."""
        return self.alias.isidentifier() and not keyword.iskeyword(self.alias) and not self.alias.startswith("_")


def check_argument(check: Check, value: Any, name: str, faults: list[Fault] | None) -> tuple[Any, list[Fault] | None]:
    """Return the checked value and the faults so far; called for values that are not of the plain type."""
    if value is MISSING:
        return value, [*(faults or ()), fault("missing", MISSING).under(name)]
    try:
        return check(value), faults
    except Invalid as invalid:
        return value, [*(faults or ()), *(one.under(name) for one in invalid.faults)]


def check_extras(cls: type, extras: dict[str, Any], faults: list[Fault] | None) -> list[Fault] | None:
    """Drop what is no part of an event from *extras*; return the faults so far and those of forbidden names."""
    policy = cls.model_config.get("extra", "allow")  # type: ignore[attr-defined]
    for name in [name for name in extras if name in RUN_TIME_NAMES]:
        del extras[name]
    if policy == "ignore":
        extras.clear()
    found = [
        fault("extra_forbidden", extras[name]).under(name) for name in extras if policy == "forbid" or _hides(cls, name)
    ]
    return [*(faults or ()), *found] or None


def _hides(cls: type, name: str) -> bool:
    """Tell whether an extra of this *name* would be lost on the wire or hide an attribute of the class."""
    return name.startswith("_") or hasattr(cls, name)


def refuse_arguments(cls: type, faults: list[Fault], given: dict[str, Any]) -> Exception:
    """Return the error for a refused call."""
    arguments = {name: value for name, value in given.items() if value is not MISSING}
    return refuse(cls.__name__, [attrs.evolve(one, input=arguments) if one.input is MISSING else one for one in faults])


class _Writer:
    """Collects the lines of one constructor and the objects they use."""

    def __init__(self, cls: type, arguments: list[Argument], mode: Mode) -> None:
        self.cls = cls
        self.arguments = arguments
        self.mode = mode
        self.lines: list[str] = []
        self.globals: dict[str, Any] = {
            "_m": MISSING,
            "_cls": cls,
            "_check": check_argument,
            "_extras": check_extras,
            "_refuse": refuse_arguments,
            "_user": call_user,
        }

    def add(self, indent: int, line: str) -> None:
        self.lines.append("    " * indent + line)

    def use(self, prefix: str, index: int, value: object) -> str:
        name = f"_{prefix}{index}"
        self.globals[name] = value
        return name

    def write(self) -> str:
        self._signature()
        self._redirect()
        self.add(1, "_faults = None")
        for index, argument in enumerate(self.arguments):
            self._check(index, argument)
        self._finish_checks()
        self._assign()
        self._hooks()
        return "\n".join(self.lines) + "\n"

    def _taken(self) -> list[Argument]:
        return [argument for argument in self.arguments if argument.attribute.init]

    def _signature(self) -> None:
        names = [f"{argument.alias}=_m" for argument in self._taken() if argument.by_keyword]
        self.add(0, f"def __init__(self, /, *, {', '.join(names)}, **_extra):")

    def _redirect(self) -> None:
        given = ", ".join(f"{a.alias!r}: {a.alias}" for a in self._taken() if a.by_keyword)
        redirect = self.use("redirect", 0, lambda self, given, extra: _redirect(self, self_mode, given, extra))
        self_mode = self.mode
        self.add(1, "if type(self) is not _cls:")
        self.add(2, f"return {redirect}(self, {{{given}}}, _extra)")

    def _check(self, index: int, argument: Argument) -> None:
        name = argument.name
        if argument.attribute.init:
            if not argument.by_keyword:
                self.add(1, f"{name} = _extra.pop({argument.alias!r}, _m)")
            elif argument.alias != name:
                self.add(1, f"{name} = {argument.alias}")
        else:
            self.add(1, f"{name} = _m")
        branch = self._default(index, argument)
        self._check_value(index, argument, branch)

    def _default(self, index: int, argument: Argument) -> str:
        """Write the default; return the keyword that begins the next branch."""
        default: Any = argument.attribute.default
        if default is attrs.NOTHING:
            return "if"
        self.add(1, f"if {argument.name} is _m:")
        if isinstance(default, attrs.Factory):
            if default.takes_self:
                self.add(2, "pass")
            else:
                self.add(2, f"{argument.name} = {self.use('f', index, default.factory)}()")
        else:
            self.add(2, f"{argument.name} = {self.use('d', index, default)}")
        return "if" if argument.attribute.converter else "elif"

    def _check_value(self, index: int, argument: Argument, branch: str) -> None:
        name = argument.name
        test = "True" if argument.attribute.converter else self._needs_check(index, argument)
        if test is None:
            return
        check = self.use("c", index, argument.validator.check)
        if converter := argument.attribute.converter:
            check = self._converting(index, argument, converter)
        self.add(1, f"{branch} {test}:" if branch == "if" else f"elif {test}:")
        self.add(2, f"{name}, _faults = _check({check}, {name}, {argument.alias!r}, _faults)")

    def _needs_check(self, index: int, argument: Argument) -> str | None:
        name, exact = argument.name, argument.validator.exact
        if exact is None:
            return f"{name} is _m" if argument.attribute.default is attrs.NOTHING else None
        types = sorted(exact, key=lambda kind: kind is not type(None))
        tests = ["True"] if not types else []
        for position, kind in enumerate(types):
            is_none = kind is type(None)
            tests.append(
                f"{name} is not None" if is_none else f"type({name}) is not {self.use(f't{index}_', position, kind)}"
            )
        return " and ".join(tests)

    def _converting(self, index: int, argument: Argument, converter: Any) -> str:
        attribute = argument.attribute
        check = argument.validator.check
        if isinstance(converter, attrs.Converter):

            def convert(self: Any, value: Any) -> Any:
                extra = [self] * converter.takes_self + [attribute] * converter.takes_field
                return check(call_user(converter.converter, value, value, *extra))
        else:

            def convert(self: Any, value: Any) -> Any:
                return check(call_user(converter, value, value))

        bound = self.use("k", index, convert)
        return f"lambda value: {bound}(self, value)"

    def _finish_checks(self) -> None:
        given = "".join(f"{a.alias!r}: {a.name}, " for a in self._taken() if not a.name.startswith("event_"))
        self.add(1, "if _extra:")
        self.add(2, "_faults = _extras(_cls, _extra, _faults)")
        self.add(1, "if _faults is not None:")
        self.add(2, f"raise _refuse(_cls, _faults, {{{given}**_extra}})")

    def _assign(self) -> None:
        target = "self.{0} = {0}"
        if self.cls.__setattr__ is not object.__setattr__:
            self.add(1, "_dict = self.__dict__")
            target = "_dict['{0}'] = {0}"
        for index, argument in enumerate(self.arguments):
            default: Any = argument.attribute.default
            if isinstance(default, attrs.Factory) and default.takes_self:
                self.add(1, f"if {argument.name} is _m:")
                self.add(2, f"{argument.name} = {self.use('f', index, default.factory)}(self)")
            self.add(1, target.format(argument.name))
        self.add(1, "if _extra:")
        self.add(2, "self.__dict__.update(_extra)")

    def _hooks(self) -> None:
        checked = [a for a in self.arguments if a.attribute.validator is not None]
        for index, argument in enumerate(checked):
            validator = self.use("v", index, argument.attribute.validator)
            attribute = self.use("a", index, argument.attribute)
            self.add(
                1,
                f"_, _faults = _check(lambda value: _user({validator}, value, self, {attribute}, value), self.{argument.name}, {argument.alias!r}, _faults)",
            )
        if checked:
            self.add(1, "if _faults is not None:")
            self.add(2, "raise _refuse(_cls, _faults, {})")
        if hasattr(self.cls, "__attrs_post_init__"):
            self.add(1, "self.__attrs_post_init__()")


def _redirect(self: Any, mode: Mode, given: dict[str, Any], extra: dict[str, Any]) -> None:
    """Run the constructor of the event's own class: its ``__init__`` called this one of a base."""
    arguments = {name: value for name, value in given.items() if value is not MISSING}
    type(self).__event_init__(mode)(self, **arguments, **extra)


def write_init(cls: type, arguments: list[Argument], mode: Mode = LAX) -> Init:
    """Return the constructor of *cls* for values of this *mode*."""
    writer = _Writer(cls, arguments, mode)
    source = writer.write()
    filename = f"<bubus constructor {next(_serial)} of {cls.__module__}.{cls.__qualname__}>"
    exec(compile(source, filename, "exec"), writer.globals)  # noqa: S102 - written above, of names the class declares
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    weakref.finalize(cls, linecache.cache.pop, filename, None)
    init: Init = writer.globals["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__module__ = cls.__module__
    return init
