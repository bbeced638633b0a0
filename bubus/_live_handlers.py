"""The handlers of a bus as a mapping of lists, as the older package had them: what is changed in it is registered."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Final, cast, final, overload
from weakref import WeakValueDictionary

from typing_extensions import override

if TYPE_CHECKING:
    from bubus._handlers import AnyHandler, Registry
    from bubus._result import Origin
    from bubus._types import T

_MUTATORS: Final = (
    *("append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse"),
    *("__setitem__", "__delitem__", "__iadd__", "__imul__"),
)


class LiveList(list["AnyHandler"]):
    """The callables registered for one name; a change of the list is a change of the registry, and the reverse."""

    def __init__(self, registry: Registry, name: str) -> None:
        super().__init__(registry.functions(name))
        self._registry: Final = registry
        self._name: Final = name

    def refresh(self, functions: Iterable[AnyHandler]) -> None:
        """Show *functions* from now on."""
        super().__setitem__(slice(None), functions)

    def write(self) -> None:
        """Register what the list holds, or show what is registered if that is refused."""
        try:
            self._registry.arrange(self._name, list(self))
        except BaseException:
            self.refresh(self._registry.functions(self._name))
            raise


def _written_through(change: Callable[..., object]) -> Callable[..., object]:
    @functools.wraps(change)
    def changed(self: LiveList, *args: object, **kwargs: object) -> object:
        result = change(self, *args, **kwargs)
        self.write()
        return result

    return changed


for _name in _MUTATORS:
    setattr(LiveList, _name, _written_through(cast("Callable[..., object]", getattr(list, _name))))


@final
class LiveHandlers(MutableMapping[str, "list[AnyHandler]"]):
    """The registered callables by the name of their pattern; a name without any has an empty list."""

    __slots__ = ("_registry",)

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    @override
    def __getitem__(self, name: str) -> list[AnyHandler]:
        live = self._registry.live
        if live is None:
            live = self._registry.live = WeakValueDictionary()
        known = cast("LiveList | None", live.get(name))
        if known is None:
            known = live[name] = LiveList(self._registry, name)
        return known

    @override
    def __setitem__(self, name: str, functions: Iterable[AnyHandler]) -> None:
        self._registry.arrange(name, functions)

    @override
    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self._registry.arrange(name, ())

    @override
    def __contains__(self, name: object) -> bool:
        return name in self._registry.names()

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._registry.names())

    @override
    def __len__(self) -> int:
        return len(self._registry.names())

    @override
    def __repr__(self) -> str:
        return repr(dict(self))

    @overload
    def get(self, name: str, default: None = None) -> list[AnyHandler] | None: ...
    @overload
    def get(self, name: str, default: list[AnyHandler] | T) -> list[AnyHandler] | T: ...
    @override
    def get(self, name: str, default: object = None) -> object:
        """Return the live list of *name*, or *default* if it has no handlers."""
        return self[name] if name in self else default  # noqa: SIM401 - this is the `get` it would call

    @override
    def setdefault(self, name: str, default: Iterable[AnyHandler] | None = None) -> list[AnyHandler]:
        """Return the live list of *name*, registering *default* if it has no handlers."""
        if name not in self and default is not None:
            self[name] = default
        return self[name]

    @overload
    def pop(self, name: str, /) -> list[AnyHandler]: ...
    @overload
    def pop(self, name: str, default: list[AnyHandler] | T, /) -> list[AnyHandler] | T: ...
    @override
    def pop(self, name: str, *default: object) -> object:
        """Take out and return all handlers of *name*; without any, return *default* or raise KeyError."""
        if name not in self:
            if default:
                return default[0]
            raise KeyError(name)
        functions = self._registry.functions(name)
        del self[name]
        return functions

    def origin_of(self, function: AnyHandler) -> Origin:
        """Return where results of *function* on this bus come from."""
        return self._registry.origin_of(function)
