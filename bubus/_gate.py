"""Which semaphore a call needs, and what happens when it has no slot in time."""

from __future__ import annotations

import inspect
import logging
import os
import types
import warnings
import weakref
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast, final, get_args

import attrs

from bubus._policy import check_count, check_seconds
from bubus._semaphores import Limiter, Release, Semaphore, machine_wide, named
from bubus.errors import NotRetryableError, OptionError, OptionTypeError, SemaphoreTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

Scope: TypeAlias = Literal["multiprocess", "global", "class", "self"]
"""Who shares the slots."""

_Arguments: TypeAlias = tuple[object, ...]

_logger: Final = logging.getLogger("bubus")


@attrs.frozen(kw_only=True)
class Limit:
    """What `retry` was told about its semaphore; see there."""

    limit: int | None
    name: str | None
    lax: bool
    scope: Scope
    timeout: float | None

    def __attrs_post_init__(self) -> None:
        if self.scope not in get_args(Scope):
            raise OptionError(f"retry(semaphore_scope={self.scope!r}) must be one of {', '.join(get_args(Scope))}")
        check_seconds("semaphore_timeout", self.timeout, optional=True)
        if not _is_name(self.name):
            raise OptionTypeError(f"retry(semaphore_name=...) takes a non-empty string, not {self.name!r}")
        if self.limit is None:
            self._check_unused()
        else:
            check_count("semaphore_limit", self.limit, least=1)

    def gate(self, function: Callable[..., object], name: str) -> Gate | None:
        """Return the gate of one function, None where there is no limit."""
        if self.limit is None:
            return None
        key = self.name or _key(function, name, self.scope)
        return Gate(limit=self.limit, lax=self.lax, timeout=self.timeout, name=key, find=self._finder(function, key))

    def _check_unused(self) -> None:
        if self.name is not None or self.lax or self.timeout is not None or self.scope != "global":
            raise OptionError("retry() was given semaphore options without a semaphore_limit: they would limit nothing")

    def _finder(self, function: Callable[..., object], key: str) -> Callable[[_Arguments], Limiter]:
        if self.scope == "global":
            return _always(named(key))
        if self.scope == "multiprocess":
            return _always(machine_wide(key))
        owners = _Owners(key, by_class=self.scope == "class")
        if isinstance(function, types.MethodType):
            return _always(owners.semaphore((function.__self__,)))
        _check_method(function, key, self.scope)
        return owners.semaphore


@attrs.frozen(kw_only=True)
class Gate:
    """Lets at most `limit` calls in at a time."""

    limit: int
    lax: bool
    timeout: float | None
    name: str
    find: Callable[[_Arguments], Limiter]

    async def enter(self, args: _Arguments) -> Release:
        """
        Wait for a slot; return how to give it back.

        Raises:
            SemaphoreTimeout: If there was none in time and the gate is not lax.

        """
        return self._verdict(await self.find(args).acquire(self.limit, self.timeout))

    def enter_blocking(self, args: _Arguments) -> Release:
        """
        Wait for a slot, blocking this thread; return how to give it back.

        Raises:
            SemaphoreTimeout: If there was none in time and the gate is not lax.
            DeadlockError: If it would block an event loop.

        """
        return self._verdict(self.find(args).acquire_blocking(self.limit, self.timeout))

    def _verdict(self, release: Release | None) -> Release:
        if release is not None:
            return release
        seconds = self.timeout or 0.0
        if not self.lax:
            raise SemaphoreTimeout(
                f"all {self.limit} slots of the semaphore {self.name!r} stayed taken for {seconds:g} s; raise "
                + "semaphore_limit or semaphore_timeout, or use semaphore_timeout=None to wait for ever"
            )
        _logger.warning(
            "no free slot of the semaphore %r (limit %d) within %g s; going on without, as semaphore_lax allows",
            self.name,
            self.limit,
            seconds,
            extra={"semaphore": self.name, "semaphore_limit": self.limit, "semaphore_timeout": seconds},
        )
        return _nothing


@final
class _Owners:
    """One semaphore for each instance or class, as long as that lives."""

    __slots__ = ("_by_class", "_key", "_known")

    def __init__(self, key: str, *, by_class: bool) -> None:
        self._key = key
        self._by_class = by_class
        self._known: dict[int, Semaphore] = {}

    def semaphore(self, args: _Arguments) -> Semaphore:
        """Return the semaphore of the first argument, or of its class."""
        if not args:
            raise NotRetryableError(f"{self._key} needs its instance or class as first positional argument")
        owner = args[0]
        if self._by_class and not isinstance(owner, type):
            owner = type(owner)
        return self._known.get(id(owner)) or self._adopt(owner)

    def _adopt(self, owner: object) -> Semaphore:
        # By identity, not by equality: an owner may be unhashable, or equal to another. The number of an object can
        # come again only after its end, and the finalizer has run by then.
        semaphore = named(f"{self._key}@{id(owner):#x}")
        try:
            weakref.finalize(owner, self._known.pop, id(owner), None).atexit = False
        except TypeError:  # it cannot be referenced weakly: its calls keep both alive, and find the semaphore by name
            return semaphore
        self._known[id(owner)] = semaphore
        return semaphore


def _is_name(name: object) -> bool:
    return name is None or (isinstance(name, str) and bool(name))


def _always(semaphore: Limiter) -> Callable[[_Arguments], Limiter]:
    return lambda _args: semaphore


def _check_method(function: Callable[..., object], key: str, scope: Scope) -> None:
    qualname = getattr(function, "__qualname__", None)
    if not isinstance(qualname, str):  # a partial or an object with __call__: nothing binds them to an instance
        raise NotRetryableError(
            f"semaphore_scope={scope!r} needs a method, but {key} is a {type(function).__name__}; put retry on the "
            + 'method that it calls, or use semaphore_scope="global"'
        )
    try:
        parameters = [*inspect.signature(function).parameters.values()]
    except ValueError:  # written in C without a signature
        return
    if not any(parameter.kind < parameter.KEYWORD_ONLY for parameter in parameters):
        raise NotRetryableError(f"semaphore_scope={scope!r} needs a method, but {key} takes no instance or class")
    if scope == "self" and not _may_be_method(qualname, parameters[0]):
        _warn_of_function(key)


def _may_be_method(qualname: str, first: inspect.Parameter) -> bool:
    """Tell whether a function was defined in a class, or as if it were."""
    owner = qualname.rpartition(".")[0]
    is_in_class = bool(owner) and not owner.endswith("<locals>")
    return is_in_class or first.kind is first.VAR_POSITIONAL or first.name in {"self", "cls"}


def _warn_of_function(key: str) -> None:
    warnings.warn(
        f'semaphore_scope="self" is for methods, and {key} is none: its calls are limited for each first argument '
        + '(each event) separately; use semaphore_scope="global" for one limit of all its calls',
        UserWarning,
        stacklevel=6,  # where retry was put on the function
    )


def _key(function: Callable[..., object], name: str, scope: Scope) -> str:
    # Between processes "__main__" is anybody's name, and a spawned child calls the same module "__mp_main__".
    code: types.CodeType | None = getattr(cast("object", inspect.unwrap(function)), "__code__", None)
    if scope != "multiprocess" or not name.startswith(("__main__.", "__mp_main__.")) or code is None:
        return name
    return f"{os.path.realpath(code.co_filename)}:{name.partition('.')[2]}"


def _nothing() -> None:
    """Give back the slot of a call that has none."""
