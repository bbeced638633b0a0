"""Events made without the constructor: from values known to be good, and from other events; and what was given."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, TypeVar

import attrs

from bubus._construct import SET, public
from bubus._mode import LAX
from bubus._narrow import attrs_fields, is_factory, kind_of, method
from bubus._privates import factories, private_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bubus._shape import EventShape


_E = TypeVar("_E", bound="EventShape")


def default_of(attribute: attrs.Attribute[object], event: EventShape) -> object:
    """Return a new default of a field."""
    default: object = attribute.default
    if not is_factory(default):
        return default
    return default.factory(event) if default.takes_self else default.factory()


def construct(cls: type[_E], values: Mapping[str, object], given: set[str] | None) -> _E:
    """Return an event of *cls* made of unchecked values, by alias or name."""
    event = cls.__new__(cls)
    left = dict(values)
    fields = event.__dict__
    names: set[str] = set()
    for argument in cls.__event_blueprint__.complete_arguments():
        keys = [path[0] for path in (*argument.lookups, (argument.name,)) if len(path) == 1 and path[0] in left]
        if keys:
            fields[argument.name] = left.pop(keys[0])
            names.add(argument.name)
        elif argument.info.factory_takes_data:
            fields[argument.name] = method(argument.info, "default_factory")(dict(fields))
        elif argument.has_default:
            fields[argument.name] = default_of(argument.attribute, event)
    if cls.model_config.get("extra", "allow") == "allow":
        fields.update({name: value for name, value in left.items() if not name.startswith("_")})
    fields[SET] = frozenset(names | left.keys() if given is None else given)
    fields.update({name: make() for name, make in factories(cls)})
    event.model_post_init(None)
    return event


def copied(event: _E, update: Mapping[str, object], *, deep: bool) -> _E:
    """Return a copy of *event* with other values, unchecked."""
    other = copy.deepcopy(event) if deep else copy.copy(event)
    cls = type(event)
    extra = cls.model_config.get("extra", "allow") == "allow"
    names = {attribute.name for attribute in attrs_fields(cls)}
    other.__dict__.update({name: value for name, value in update.items() if extra or name in names})
    other.__dict__[SET] = frozenset(fields_set(event) | update.keys())
    return other


def replaced(event: _E, /, **changes: object) -> _E:
    """
    Return a copy of *event* with other values, by name or alias, checked; extras and private attributes stay.

    This is what `copy.replace` does. attrs' own passes only the fields on, by names that a constructor may not know.

    Raises:
        ValidationError: If a value does not fit.
    """
    cls = type(event)
    names = {attribute.alias: attribute.name for attribute in attrs_fields(cls)}
    update = {names.get(name, name): value for name, value in changes.items()}
    other = cls.__new__(cls)
    cls.__event_blueprint__.init(LAX.by_names())(other, **{**public(event), **update})
    fields = event.__dict__
    other.__dict__.update({name: fields[name] for name in private_names(event)})
    other.__dict__[SET] = frozenset(fields_set(event) | update.keys())
    return other


def fields_set(event: EventShape) -> set[str]:
    """Return the names of what was given, or is no longer its default."""
    noted: int | frozenset[str] | None = event.__dict__.get(SET)
    values = public(event)
    attributes: tuple[attrs.Attribute[object], ...] = attrs_fields(kind_of(event))
    extras = values.keys() - {attribute.name for attribute in attributes}
    if isinstance(noted, frozenset):
        return set(noted) | extras
    fields = {one.name for index, one in enumerate(attributes) if (noted or 0) >> index & 1 or _is_changed(one, values)}
    return fields | extras


def _is_changed(attribute: attrs.Attribute[object], values: Mapping[str, object]) -> bool:
    """Tell whether a field has no default, or another value than its default."""
    default: object = attribute.default
    if attribute.name not in values or is_factory(default):
        return False
    value = values[attribute.name]
    return default is attrs.NOTHING or (value is not default and value != default)
