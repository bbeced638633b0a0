"""Validators of whole events: what runs before, around and after the constructor of the fields."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Final, TypeVar, cast

from bubus._arguments import lookups
from bubus._config import title_of
from bubus._construct import SET, hides_input, public, stands_in
from bubus._faults import Invalid, fail, fault, in_json_words, refuse
from bubus._functions import ValidationInfo, call_validator, context, wants_info
from bubus._marks import ModelValidator
from bubus._narrow import attrs_fields, is_mapping, method
from bubus._types import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bubus._marks import Mark
    from bubus._mode import Mode
    from bubus._shape import Build, EventShape, Init

_NOT_SELF: Final = (
    "{name}: a validator returned something else than the event itself, which the constructor cannot hand out; "
    + "return self, or what the handler returned, or use model_validate"
)


_E = TypeVar("_E", bound="EventShape")


def builder(cls: type[EventShape], fill: Init, marks: Mapping[str, Mark], mode: Mode) -> Build:
    """
    Return what makes an event of *cls* from anything, with all validators of the whole event.

    Those before it see what the fields are made from; those around and after it see also an event that is there.
    """
    return around(cls, _unless_made(cls, with_before(cls, _filled(cls, fill, mode), marks, mode), mode), marks, mode)


def with_before(cls: type[EventShape], build: Build, marks: Mapping[str, Mark], mode: Mode) -> Build:
    """Return *build* with the validators that run before it; the last one written is the first to run."""
    for name, mark in marks.items():
        if isinstance(mark, ModelValidator) and mark.mode == "before":
            build = _before(cls, name, build, mode)
    return build


def around(cls: type[EventShape], build: Build, marks: Mapping[str, Mark], mode: Mode) -> Build:
    """Return *build* with the validators that run around and after it, in the order in which they were written."""
    for name, mark in marks.items():
        if isinstance(mark, ModelValidator) and mark.mode != "before":
            build = (_wrap if mark.mode == "wrap" else _after)(cls, name, build, mode)
    return build


def _filled(cls: type[EventShape], fill: Init, mode: Mode) -> Build:
    """Return what makes an event from a dict."""

    def build(data: object, event: object) -> object:
        event = cls.__new__(cls) if event is None else event
        fill(event, **arguments_in(cls, data, mode))
        return event

    return build


def arguments_in(cls: type[EventShape], data: object, mode: Mode) -> Mapping[str, object]:
    """
    Return *data* as arguments of a constructor.

    Raises:
        Invalid: If it is no mapping with text for keys, and no object whose attributes shall be read.
    """
    if not is_mapping(data):
        return _attributes_of(cls, data, mode)
    if not all(isinstance(key, str) for key in data):
        raise Invalid([fault("invalid_key", key).under(str(key)) for key in data if not isinstance(key, str)])
    return cast("Mapping[str, object]", data)


def _attributes_of(cls: type[EventShape], data: object, mode: Mode) -> Mapping[str, object]:
    wanted = cls.model_config.get("from_attributes") if mode.from_attributes is None else mode.from_attributes
    if mode.json or not wanted:
        fail("model_type", data, class_name=cls.__name__)
    if isinstance(data, type) or type(data).__module__ == "builtins":
        fail("model_attributes_type", data)
    infos = cls.__event_blueprint__.infos
    paths = [path for field in attrs_fields(cls) for path in lookups(field, infos[field.name], cls.model_config, mode)]
    found = {name: _attribute(data, name) for name in {str(path[0]) for path in paths}}
    return {name: value for name, value in found.items() if value is not MISSING}


def _attribute(data: object, name: str) -> object:
    try:
        return getattr(data, name, MISSING)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise Invalid([fault("get_attribute_error", data, error=reason).under(name)]) from error


def _unless_made(cls: type[EventShape], build: Build, mode: Mode) -> Build:
    return lambda data, event: kept(cls, data, mode) if isinstance(data, cls) else build(data, event)


def kept(cls: type[_E], event: _E, mode: Mode) -> _E:
    """Return an event where one of its class is wanted: itself, or a new one if the class wants it made anew."""
    which = cls.model_config.get("revalidate_instances", "never")
    if which == "never" or (which == "subclass-instances" and type(event) is cls):
        return event
    values = public(event)
    if type(event) is not cls:  # its names are those of its own class
        del values["event_type"], values["event_schema"]
    made = cls.__new__(cls)
    cls.__event_blueprint__.fill(mode.by_names())(made, **values)
    fields: dict[str, object] = made.__dict__
    _ = fields.pop(SET, None)
    if SET in event.__dict__:
        fields[SET] = event.__dict__[SET]
    return made


def _info(cls: type[EventShape], mode: Mode) -> ValidationInfo:
    return ValidationInfo({}, None, context.get(), "json" if mode.json else "python", cls.model_config)


def _more(
    cls: type[EventShape], function: Callable[..., object], usual: int, mode: Mode
) -> Callable[[], tuple[object, ...]]:
    """Return what makes the arguments of a function beyond the usual number."""
    asks = wants_info(function, usual, cls.__qualname__)
    return lambda: (_info(cls, mode),) if asks else ()


def _before(cls: type[EventShape], name: str, build: Build, mode: Mode) -> Build:
    function = method(cls, name)
    more = _more(cls, function, 1, mode)
    return lambda data, event: build(call_validator(function, data, data, *more()), event)


def _wrap(cls: type[EventShape], name: str, build: Build, mode: Mode) -> Build:
    function = method(cls, name)
    more = _more(cls, function, 2, mode)

    def wrapped(data: object, event: object) -> object:
        def handler(value: object) -> object:
            return told(cls, mode, build, value, event)

        return call_validator(function, data, data, handler, *more())

    return wrapped


def _after(cls: type[EventShape], name: str, build: Build, mode: Mode) -> Build:
    function = method(cls, name)
    more = _more(cls, function, 1, mode)

    def after(data: object, event: object) -> object:
        made = build(data, event)
        return call_validator(function, data, made, *more())

    return after


def told(cls: type[EventShape], mode: Mode, build: Build, data: object, event: object) -> object:
    """
    Return what *build* makes.

    Raises:
        ValidationError: If it makes nothing.
    """
    try:
        return build(data, event)
    except Invalid as invalid:
        faults = in_json_words(invalid.faults) if mode.json else invalid.faults
        raise refuse(title_of(cls), faults, hide_input=hides_input(cls)) from invalid.__cause__


def whole_init(cls: type[EventShape], fill: Init, build: Build, mode: Mode) -> Init:
    """Return a constructor that runs the validators of the whole event around *fill*, the one of the fields."""

    def __init__(self: object, /, **arguments: object) -> None:  # noqa: N807 - it is one
        if type(self) is not cls:
            fill(self, **arguments)  # which goes to that of its own class
        elif told(cls, mode, build, arguments, self) is not self:
            warnings.warn(_NOT_SELF.format(name=cls.__qualname__), stacklevel=2)

    __init__.__qualname__ = f"{cls.__qualname__}.__init__"
    __init__.__module__ = cls.__module__
    return stands_in(__init__)
