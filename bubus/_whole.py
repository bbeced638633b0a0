"""Validators of whole events: what runs before, around and after the constructor of the fields."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs

from bubus._arguments import lookups
from bubus._construct import SET, Init, hides_input, public, stands_in
from bubus._faults import Invalid, fail, fault, in_json_words, refuse
from bubus._functions import ValidationInfo, call_validator, context, wants_info
from bubus._marks import ModelValidator
from bubus._narrow import is_mapping
from bubus._types import MISSING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bubus._marks import Mark
    from bubus._mode import Mode

Build: TypeAlias = Callable[[Any, Any], Any]
"""Takes what the event is made from, and the new event if it is there already; returns the event."""

_NOT_SELF: Final = (
    "{name}: a validator returned something else than the event itself, which the constructor cannot hand out; "
    "return self, or what the handler returned, or use model_validate"
)


def builder(cls: Any, fill: Init, marks: Mapping[str, Mark], mode: Mode) -> Build:
    """
    Return what makes an event of *cls* from anything, with all validators of the whole event.

    Those before it see what the fields are made from; those around and after it see also an event that is there.
    """
    return around(cls, _unless_made(cls, with_before(cls, _filled(cls, fill, mode), marks, mode), mode), marks, mode)


def with_before(cls: Any, build: Build, marks: Mapping[str, Mark], mode: Mode) -> Build:
    """Return *build* with the validators that run before it; the last one written is the first to run."""
    for name, mark in marks.items():
        if isinstance(mark, ModelValidator) and mark.mode == "before":
            build = _before(cls, name, build, mode)
    return build


def around(cls: Any, build: Build, marks: Mapping[str, Mark], mode: Mode) -> Build:
    """Return *build* with the validators that run around and after it, in the order in which they were written."""
    for name, mark in marks.items():
        if isinstance(mark, ModelValidator) and mark.mode != "before":
            build = (_wrap if mark.mode == "wrap" else _after)(cls, name, build, mode)
    return build


def _filled(cls: Any, fill: Init, mode: Mode) -> Build:
    """Return what makes an event from a dict."""

    def build(data: Any, event: Any) -> Any:
        event = cls.__new__(cls) if event is None else event
        fill(event, **arguments_in(cls, data, mode))
        return event

    return build


def arguments_in(cls: Any, data: Any, mode: Mode) -> Mapping[str, Any]:
    """
    Return *data* as arguments of a constructor.

    Raises:
        Invalid: If it is no mapping with text for keys, and no object whose attributes shall be read.
    """
    if not is_mapping(data):
        return _attributes_of(cls, data, mode)
    if not all(isinstance(key, str) for key in data):
        raise Invalid([fault("invalid_key", key).under(str(key)) for key in data if not isinstance(key, str)])
    return data


def _attributes_of(cls: Any, data: Any, mode: Mode) -> Mapping[str, Any]:
    wanted = cls.model_config.get("from_attributes") if mode.from_attributes is None else mode.from_attributes
    if mode.json or not wanted:
        fail("model_type", data, class_name=cls.__name__)
    if isinstance(data, type) or type(data).__module__ == "builtins":
        fail("model_attributes_type", data)
    infos = cls.__event_blueprint__.infos
    paths = [path for field in attrs.fields(cls) for path in lookups(field, infos[field.name], cls.model_config, mode)]
    found = {name: _attribute(data, name) for name in {str(path[0]) for path in paths}}
    return {name: value for name, value in found.items() if value is not MISSING}


def _attribute(data: Any, name: str) -> Any:
    try:
        return getattr(data, name, MISSING)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise Invalid([fault("get_attribute_error", data, error=reason).under(name)]) from error


def _unless_made(cls: Any, build: Build, mode: Mode) -> Build:
    return lambda data, event: kept(cls, data, mode) if isinstance(data, cls) else build(data, event)


def kept(cls: Any, event: Any, mode: Mode) -> Any:
    """Return an event where one of its class is wanted: itself, or a new one if the class wants it made anew."""
    which = cls.model_config.get("revalidate_instances", "never")
    if which == "never" or (which == "subclass-instances" and type(event) is cls):
        return event
    values = public(event)
    if type(event) is not cls:  # its names are those of its own class
        del values["event_type"], values["event_schema"]
    made = cls.__new__(cls)
    cls.__event_blueprint__.fill(mode.by_names())(made, **values)
    made.__dict__.pop(SET, None)
    if SET in event.__dict__:
        made.__dict__[SET] = event.__dict__[SET]
    return made


def _info(cls: Any, mode: Mode) -> ValidationInfo:
    return ValidationInfo({}, None, context.get(), "json" if mode.json else "python", cls.model_config)


def _more(cls: Any, function: Callable[..., Any], usual: int, mode: Mode) -> Callable[[], tuple[Any, ...]]:
    """Return what makes the arguments of a function beyond the usual number."""
    asks = wants_info(function, usual, cls.__qualname__)
    return lambda: (_info(cls, mode),) if asks else ()


def _before(cls: Any, name: str, build: Build, mode: Mode) -> Build:
    function = getattr(cls, name)
    more = _more(cls, function, 1, mode)
    return lambda data, event: build(call_validator(function, data, data, *more()), event)


def _wrap(cls: Any, name: str, build: Build, mode: Mode) -> Build:
    function = getattr(cls, name)
    more = _more(cls, function, 2, mode)

    def wrapped(data: Any, event: Any) -> Any:
        def handler(value: Any) -> Any:
            return told(cls, mode, build, value, event)

        return call_validator(function, data, data, handler, *more())

    return wrapped


def _after(cls: Any, name: str, build: Build, mode: Mode) -> Build:
    function = getattr(cls, name)
    more = _more(cls, function, 1, mode)

    def after(data: Any, event: Any) -> Any:
        made = build(data, event)
        return call_validator(function, data, made, *more())

    return after


def told(cls: Any, mode: Mode, build: Build, data: Any, event: Any) -> Any:
    """
    Return what *build* makes.

    Raises:
        ValidationError: If it makes nothing.
    """
    try:
        return build(data, event)
    except Invalid as invalid:
        faults = in_json_words(invalid.faults) if mode.json else invalid.faults
        raise refuse(cls.__name__, faults, hide_input=hides_input(cls)) from invalid.__cause__


def whole_init(cls: Any, fill: Init, build: Build, mode: Mode) -> Init:
    """Return a constructor that runs the validators of the whole event around *fill*, the one of the fields."""

    def __init__(self: Any, /, **arguments: Any) -> None:  # noqa: N807 - it is one
        if type(self) is not cls:
            fill(self, **arguments)  # which goes to that of its own class
        elif told(cls, mode, build, arguments, self) is not self:
            warnings.warn(_NOT_SELF.format(name=cls.__qualname__), stacklevel=2)

    __init__.__qualname__ = f"{cls.__qualname__}.__init__"
    __init__.__module__ = cls.__module__
    return stands_in(__init__)
