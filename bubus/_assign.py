"""Assignments to events of classes that check or refuse them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import attrs

from bubus._config import title_of
from bubus._construct import SET, check_argument, check_asking, hides_input, info_maker, public
from bubus._faults import Fault, Invalid, fault, refuse
from bubus._mode import LAX
from bubus._whole import around, told, with_before

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bubus._field_info import FieldInfo
    from bubus._shape import Build, EventShape


def guards(cls: type[EventShape], infos: Mapping[str, FieldInfo]) -> bool:
    """Tell whether assignments to events of *cls* are anything but assignments."""
    config = cls.model_config
    return bool(
        config.get("frozen") or config.get("validate_assignment") or any(info.frozen for info in infos.values())
    )


def assign(event: EventShape, name: str, value: object) -> None:
    """
    Assign *value* to an attribute, as the class of *event* allows.

    Raises:
        ValidationError: If the event or the field is frozen, or the value does not fit; the old value stays.
    """
    cls = type(event)
    blueprint = cls.__event_blueprint__
    if name.startswith("_"):
        object.__setattr__(event, name, value)
        return
    refuse_frozen(cls, name, value)
    if not cls.model_config.get("validate_assignment") or isinstance(getattr(cls, name, None), property):
        object.__setattr__(event, name, value)
    elif name in blueprint.infos:
        _assign_checked(event, name, value)
    elif cls.model_config.get("extra", "allow") == "allow":
        event.__dict__[name] = value
    else:
        _refuse(cls, [fault("no_such_attribute", value, attribute=name).under(name)])


def delete(event: EventShape, name: str) -> None:
    """
    Delete an attribute.

    Raises:
        ValidationError: If the event or the field is frozen.
    """
    if not name.startswith("_"):
        refuse_frozen(type(event), name, None)
    object.__delattr__(event, name)


def refuse_frozen(cls: type[EventShape], name: str, value: object) -> None:
    """
    Refuse to change what is frozen.

    Raises:
        ValidationError: If the class or the field is.
    """
    if cls.model_config.get("frozen"):
        _refuse(cls, [fault("frozen_instance", value).under(name)])
    info = cls.__event_blueprint__.infos.get(name)
    if info is not None and info.frozen:
        _refuse(cls, [fault("frozen_field", value).under(name)])


def _refuse(cls: type[EventShape], faults: list[Fault]) -> None:
    raise refuse(title_of(cls), faults, hide_input=hides_input(cls))


@attrs.frozen(slots=True, eq=False)
class _Pending:
    """An assignment that the validators of the whole event are told of."""

    event: EventShape
    name: str
    value: object


def _assign_checked(event: EventShape, name: str, value: object) -> None:
    cls = type(event)
    values = event.__dict__
    before = dict(values)
    try:
        _ = told(cls, LAX, _assigner(cls), event, _Pending(event, name, value))
    except BaseException:
        values.clear()
        values.update(before)
        raise


def _assigner(cls: type[EventShape]) -> Build:
    """Return what assigns, with all validators of the whole event."""
    found: Build | None = cls.__dict__.get("__event_assigner__")
    if found is None:
        marks = cls.__event_blueprint__.marks
        announce = with_before(cls, lambda data, _: data, marks, LAX)

        def assign_now(_: object, assignment: object) -> object:
            pending = cast("_Pending", assignment)
            _ = announce({**public(pending.event), pending.name: pending.value}, None)
            _set(cls, pending)
            return pending.event

        found = cls.__event_assigner__ = staticmethod(around(cls, assign_now, marks, LAX))
    return found


def _set(cls: type[EventShape], pending: _Pending) -> None:
    """Check a value and assign it."""
    index, argument = cls.__event_blueprint__.argument(pending.name)
    values = pending.event.__dict__
    others = {name: value for name, value in public(pending.event).items() if name != argument.name}
    where = (argument.name,)
    if argument.asks:
        info = info_maker(cls, LAX)(others, argument.name)
        checked, faults = check_asking(argument.check, pending.value, where, None, info)
    else:
        checked, faults = check_argument(argument.check, pending.value, where, None)
    if faults:
        raise Invalid(faults)
    values[argument.name] = checked
    values[SET] = values.get(SET, 0) | 1 << index
