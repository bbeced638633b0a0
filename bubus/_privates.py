"""Private attributes: names with an underscore in a class body, of which every event has values of its own."""

from __future__ import annotations

import copy
import inspect
import types
from collections.abc import Hashable
from functools import cached_property
from typing import TYPE_CHECKING, Final, final

import typing_extensions as te

from bubus._body import is_root
from bubus._generics import is_class_variable
from bubus._marks import Private
from bubus._narrow import TYPE_ALIASES, namespace_of
from bubus._types import MISSING
from bubus.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


_NO_VALUES: Final = (
    *(types.FunctionType, classmethod, staticmethod, property, cached_property, type, types.ModuleType),
    *TYPE_ALIASES,
)
RESERVED: Final = ("_event_state", "_event_fields_set")


@final
class OwnValue:
    """Stands in a class for a private attribute: each event gets a value of its own when it is first asked for."""

    def __init__(self, name: str, make: Callable[[], object]) -> None:
        self._name = name
        self._make = make

    def __get__(self, event: object, cls: type | None = None) -> object:
        if event is None:
            raise AttributeError(f"{self._name} is an attribute of each event, not of the class")
        value = event.__dict__[self._name] = self._make()
        return value


def private_attributes(cls: type, namespace: Mapping[str, object]) -> dict[str, Private]:
    """
    Return the private attributes in a class body.

    Raises:
        DefinitionError: If a name has no underscore, or is one that events have already.
    """
    annotations = te.get_annotations(cls, format=te.Format.FORWARDREF)
    found: dict[str, Private] = {}
    for name, value in namespace.items():
        if isinstance(value, Private) or _is_value(cls, name, value, annotations):
            _refuse_name(cls, name)
            found[name] = value if isinstance(value, Private) else Private(value)
    return found


def _refuse_name(cls: type, name: str) -> None:
    if not name.startswith("_") or name.startswith("__"):
        raise DefinitionError(f"{cls.__qualname__}.{name}: a PrivateAttr begins with one underscore; rename it")
    if name in RESERVED:
        raise DefinitionError(f"{cls.__qualname__}.{name} is an attribute that events have already; rename it")


def _is_value(cls: type, name: str, value: object, annotations: Mapping[str, object]) -> bool:
    if not name.startswith("_") or name.startswith("__") or is_root(cls):
        return False
    if name.startswith(("_abc_", "_is_protocol", "_is_runtime")) or inspect.isdatadescriptor(value):
        return False
    if name in annotations:
        return not is_class_variable(annotations[name], has_default=True)
    return not isinstance(value, _NO_VALUES)


def install(cls: type, privates: Mapping[str, Private]) -> None:
    """Put what makes the values of private attributes into the class; one that cannot change is its own default."""
    for name, private in privates.items():
        make = maker(private)
        if private.default is MISSING and make is None:
            delattr(cls, name)
        else:
            setattr(cls, name, private.default if make is None else OwnValue(name, make))


def maker(private: Private) -> Callable[[], object] | None:
    """Return what makes the value for one event, None if there is none, or one for all of them."""
    if private.default_factory is not None:
        return private.default_factory
    default = private.default
    if isinstance(default, Hashable) and not hasattr(type(default), "__get__"):
        return None
    return lambda: copy.deepcopy(default)


def factories(cls: type) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what must be called while an event is made, since it may depend on the moment."""
    found: dict[str, Private] = {}
    for base in reversed(cls.__mro__):
        own: Mapping[str, Private] | None = base.__dict__.get("__event_privates__")
        found.update(own or {})
    for name, private in found.items():
        if private.default_factory is not None and isinstance(inspect.getattr_static(cls, name, None), OwnValue):
            yield name, private.default_factory


def private_names(event: object) -> set[str]:
    """Return the names of the private attributes that an event has values of its own of."""
    return {name for name in namespace_of(event) if name.startswith("_") and name not in RESERVED}
