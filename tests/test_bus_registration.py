"""`on`, `off` and `once`: which callables handle which events, and in which order."""

from __future__ import annotations

import asyncio
import functools
import gc
import types
from collections.abc import AsyncIterator, Generator, Iterator
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import attrs
import pytest

from bubus import BaseEvent, EventBus
from bubus.errors import HandlerError, NotSubscribedError, PatternError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Login(BaseEvent[str]):
    name: str = "ann"


class AdminLogin(Login):
    pass


class Other(BaseEvent[str]):
    pass


def twin(result: str) -> type[BaseEvent[str]]:
    """Return one more class named Twin."""

    class Twin(BaseEvent[str]):
        made_for: str = result

    return Twin


def kind(thing: object) -> str:
    """Name a parameter, the same way in every run."""
    return type(thing).__name__


async def results(bus: EventBus, event: BaseEvent[Any]) -> list[object]:
    """Dispatch *event* and return the values of its handlers."""
    done = await bus.dispatch(event)
    return await done.event_results_list(raise_if_none=False)


async def test_a_class_matches_its_events_and_those_of_subclasses() -> None:
    """`on(Login)` gets a Login and an AdminLogin, `on(AdminLogin)` only the latter (R48)."""
    bus = EventBus()
    bus.on(Login, lambda event: "login")
    bus.on(AdminLogin, lambda event: "admin")

    assert await results(bus, Login()) == ["login"]
    assert await results(bus, AdminLogin()) == ["login", "admin"]
    assert await results(bus, Other()) == []


async def test_base_event_matches_every_event() -> None:
    """`on(BaseEvent)` is a class pattern like others, and every event is a BaseEvent."""
    bus = EventBus()
    bus.on(BaseEvent, lambda event: event.event_type)

    assert await results(bus, Login()) == ["Login"]
    assert await results(bus, BaseEvent(event_type="AdHoc")) == ["AdHoc"]


async def test_a_string_matches_the_event_type() -> None:
    """A name matches events of that type, declared or ad hoc, and no subclass."""
    bus = EventBus()
    bus.on("Login", lambda event: "by name")

    assert await results(bus, Login()) == ["by name"]
    assert await results(bus, BaseEvent(event_type="Login")) == ["by name"]
    assert await results(bus, AdminLogin()) == []


async def test_a_star_matches_everything() -> None:
    """``"*"`` gets every event."""
    bus = EventBus()
    bus.on("*", lambda event: event.event_type)

    assert await results(bus, Login()) == ["Login"]
    assert await results(bus, BaseEvent(event_type="AdHoc")) == ["AdHoc"]


async def test_R48_classes_of_the_same_name_do_not_share_handlers() -> None:
    """A class matches by identity, the name matches both."""
    bus = EventBus()
    first, second = twin("first"), twin("second")
    bus.on(first, lambda event: "first")
    bus.on(second, lambda event: "second")
    bus.on("Twin", lambda event: "both")

    assert await results(bus, first()) == ["first", "both"]
    assert await results(bus, second()) == ["second", "both"]


async def test_an_undecoded_event_matches_the_class_whose_type_it_carries() -> None:
    """A bare BaseEvent with the event type of a class, as it comes from a log, reaches `on(class)`."""
    bus = EventBus()
    bus.on(Login, lambda event: "by class")

    assert await results(bus, BaseEvent(event_type="Login")) == ["by class"]


async def test_a_generic_class_matches_with_and_without_parameters() -> None:
    """``Page[int]()`` is a Page, and `on(Page[int])` matches the origin class."""

    class Page(BaseEvent[Any], Generic[T]):
        content: T

    def origin(event: Page[Any]) -> str:
        return "origin"

    bus = EventBus()
    bus.on(Page, origin)
    bus.on(Page[int], lambda event: "parametrised")
    bus.on("Page", lambda event: "name")

    assert await results(bus, Page[int](content=1)) == ["origin", "parametrised", "name"]


async def test_typed_handlers_run_before_those_for_everything() -> None:
    """Handlers run in order of registration, the ones for a class or name before those for ``"*"``."""
    bus = EventBus()
    bus.on("*", lambda event: "star 1")
    bus.on(Login, lambda event: "class 1")
    bus.on("Login", lambda event: "name")
    bus.on("*", lambda event: "star 2")
    bus.on(BaseEvent, lambda event: "base")
    bus.on(Login, lambda event: "class 2")

    assert await results(bus, Login()) == ["class 1", "name", "base", "class 2", "star 1", "star 2"]


async def test_a_callable_matched_by_two_patterns_runs_once() -> None:
    """The same callable for a class, its name and ``"*"`` is called once per event."""
    bus = EventBus()
    calls: list[str] = []

    def note(event: BaseEvent[Any]) -> None:
        calls.append(event.event_type)

    bus.on(Login, note)
    bus.on("Login", note)
    bus.on("*", note)
    login = await bus.dispatch(Login())
    await bus.dispatch(Other())

    assert calls == ["Login", "Other"]
    assert len(login.event_results) == 1


class Greeter:
    """All kinds of methods."""

    greeting = "hello"

    def method(self, event: Login) -> str:
        return f"{self.greeting} {event.name}"

    async def async_method(self, event: Login) -> str:
        await asyncio.sleep(0)
        return self.method(event)

    @classmethod
    def class_method(cls, event: Login) -> str:
        return f"{cls.greeting} {event.name}"

    @staticmethod
    async def static_method(event: Login) -> str:
        return f"hello {event.name}"

    def __call__(self, event: Login) -> str:
        return self.method(event)


class AsyncGreeter:
    """A callable object whose call is a coroutine."""

    async def __call__(self, event: Login) -> str:
        await asyncio.sleep(0)
        return f"hello {event.name}"


@attrs.define
class UnhashableGreeter:
    """A callable object that compares by value, and so has no hash."""

    greeting: str = "hello"

    def __call__(self, event: Login) -> str:
        return f"{self.greeting} {event.name}"


class Greeting(str):
    """A class as handler: calling it makes the result."""

    __slots__ = ()

    def __new__(cls, event: Login) -> Self:
        return super().__new__(cls, f"hello {event.name}")


def plain(event: Login) -> str:
    return f"hello {event.name}"


async def coroutine(event: Login) -> str:
    await asyncio.sleep(0)
    return f"hello {event.name}"


def with_defaults(event: Login, greeting: str = "hello", *rest: object, loud: bool = False, **more: object) -> str:
    return f"{greeting} {event.name}"


def greet(greeting: str, event: Login) -> str:
    return f"{greeting} {event.name}"


def makes_future(event: Login) -> asyncio.Future[str]:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, f"hello {event.name}")
    return future


def makes_task(event: Login) -> asyncio.Task[str]:
    return asyncio.create_task(coroutine(event))


HANDLERS: dict[str, Callable[[Login], Any]] = {
    "function": plain,
    "coroutine function": coroutine,
    "method": Greeter().method,
    "async method": Greeter().async_method,
    "class method": Greeter.class_method,
    "static method": Greeter.static_method,
    "callable object": Greeter(),
    "async callable object": AsyncGreeter(),
    "unhashable callable object": UnhashableGreeter(),
    "partial": functools.partial(greet, "hello"),
    "partial of a coroutine function": functools.partial(AsyncGreeter().__call__),
    "lambda": lambda event: f"hello {event.name}",
    "lambda returning a coroutine": lambda event: AsyncGreeter().__call__(event=event),
    "class": Greeting,
    "more parameters with defaults": with_defaults,
    "returns a future": makes_future,
    "returns a task": makes_task,
}


@pytest.mark.parametrize("kind", HANDLERS)
async def test_R43_any_callable_is_a_handler(kind: str) -> None:
    """Functions, methods, partials, objects, classes and lambdas are called, and awaited where that is due."""
    bus = EventBus()
    bus.on(Login, HANDLERS[kind])
    login = await bus.dispatch(Login(name="bob"))

    assert await login.event_result() == "hello bob"
    [result] = login.event_results.values()
    assert result.handler_name


async def test_R43_a_builtin_is_a_handler() -> None:
    """A builtin without a readable signature is accepted."""
    bus = EventBus()
    seen: list[BaseEvent[Any]] = []
    known: set[BaseEvent[Any]] = set()
    bus.on("*", seen.append)
    bus.on("*", known.add)
    login = await bus.dispatch(Login())

    assert (seen, list(known)) == ([login], [login])


async def test_a_returned_event_is_not_awaited() -> None:
    """An event is awaitable, but returning one does not make the bus wait for it."""
    bus, other = EventBus(), EventBus()
    gate, inside = asyncio.Event(), asyncio.Event()
    sent: list[Other] = []

    async def hold(event: Other) -> None:
        inside.set()
        await gate.wait()

    def send(event: BaseEvent[Any]) -> Other:
        sent.append(other.dispatch(Other()))
        return sent[0]

    other.on(Other, hold)
    bus.on("Login", send)
    login = bus.dispatch(Login())
    await bus.wait_until_idle()
    await inside.wait()

    [result] = login.event_results.values()
    assert (result.status, sent[0].event_status) == ("completed", "started")
    gate.set()
    await login


async def test_an_undispatched_event_can_be_returned() -> None:
    """A handler may return an event that no bus knows, which would raise if it were awaited."""
    bus = EventBus()
    answer = Other()
    bus.on("Ask", lambda event: answer)
    event = await bus.dispatch(BaseEvent(event_type="Ask"))

    [result] = event.event_results.values()
    assert (result.status, result.result, result.error) == ("completed", answer, None)


async def test_R43_off_ends_a_subscription() -> None:
    """``on(...)`` returns a handle whose `off` takes exactly that handler out; twice does no harm."""
    bus = EventBus()
    first = bus.on(Login, lambda event: "first")
    bus.on(Login, lambda event: "second")
    first.off()
    first.off()

    assert await results(bus, Login()) == ["second"]


async def test_R43_a_subscription_ends_with_its_block() -> None:
    """In a ``with`` statement the handler is registered for the block only."""
    bus = EventBus()
    with bus.on(Login, lambda event: "inside"):
        assert await results(bus, Login()) == ["inside"]
    assert await results(bus, Login()) == []


async def test_R43_off_takes_a_subscription_or_pattern_and_handler() -> None:
    """`EventBus.off` takes what `on` returned, or what `on` was given."""
    bus = EventBus()
    subscription = bus.on(Login, plain)
    bus.off(subscription)
    assert await results(bus, Login()) == []

    for pattern in (Login, "Login", "*"):
        bus.on(pattern, plain)
        bus.off(pattern, plain)
    assert await results(bus, Login()) == []

    greeter = Greeter()
    bus.on(Login, greeter.method)
    bus.off(Login, greeter.method)
    assert await results(bus, Login()) == []


async def test_off_of_the_unknown_raises() -> None:
    """Taking out what is not registered is an error that says so, and changes nothing."""
    bus, other = EventBus(), EventBus()
    bus.on(Login, plain)
    elsewhere = other.on(Login, coroutine)
    for wrong in (
        lambda: bus.off(Login, coroutine),
        lambda: bus.off(Other, plain),  # pyright: ignore[reportArgumentType] - type checkers know this mistake too
        lambda: bus.off("*", plain),
        lambda: bus.off(elsewhere),
    ):
        with pytest.raises(NotSubscribedError, match=r"(?i)on\(|registered") as caught:
            wrong()
        assert isinstance(caught.value, LookupError)

    assert await results(bus, Login()) == ["hello ann"]
    assert await results(other, Login()) == ["hello ann"]


async def test_once_handles_one_event() -> None:
    """A handler registered by `once` gets the next event only, also when several are queued."""
    bus = EventBus()
    calls: list[str] = []
    bus.once(Login, lambda event: calls.append(event.name))
    for name in ("ann", "bob", "eve"):
        bus.dispatch(Login(name=name))
    await bus.wait_until_idle()

    assert calls == ["ann"]


async def test_once_is_not_used_up_by_events_that_do_not_match() -> None:
    """Only an event that calls the handler ends its registration; `off` ends it before."""
    bus = EventBus()
    calls: list[str] = []
    bus.once(Login, lambda event: calls.append("once"))
    never = bus.once(Login, lambda event: calls.append("never"))
    never.off()
    await bus.dispatch(Other())
    await bus.dispatch(Login())
    await bus.dispatch(Login())

    assert calls == ["once"]


async def test_once_inside_a_nested_event_runs_once() -> None:
    """A handler of `once` that dispatches the same event type again is not called for it."""
    bus = EventBus()
    calls: list[str] = []

    async def again(event: Login) -> None:
        calls.append(event.name)
        await bus.dispatch(Login(name="nested"))

    bus.once(Login, again)
    await bus.dispatch(Login(name="first"))

    assert calls == ["first"]


async def test_on_is_a_decorator_that_keeps_the_function() -> None:
    """``@bus.on(Login)`` registers the function and leaves it as it is."""
    bus = EventBus()

    def handler(event: Login) -> str:
        return "decorated"

    assert bus.on(Login)(handler) is handler

    @bus.on("Login")
    async def by_name(event: BaseEvent[Any]) -> str:
        return "by name"

    @bus.on("*")
    async def for_all(event: BaseEvent[Any]) -> str:
        return "for all"

    assert await results(bus, Login()) == ["decorated", "by name", "for all"]
    assert await by_name(Login()) == "by name"


async def test_handlers_are_looked_up_when_the_event_starts() -> None:
    """A handler registered after the dispatch and before the start is called."""
    bus = EventBus()
    login = bus.dispatch(Login())
    bus.on(Login, lambda event: "late")

    assert await login.event_result() == "late"


async def test_a_running_event_keeps_its_handlers() -> None:
    """What handlers register or take out counts from the next event on."""
    bus = EventBus()
    added: list[object] = []

    def change(event: Login) -> str:
        if not added:
            added.append(bus.on(Login, lambda event: "new"))
            last.off()
        return "change"

    bus.on(Login, change)
    last = bus.on(Login, lambda event: "last")

    assert await results(bus, Login()) == ["change", "last"]
    assert await results(bus, Login()) == ["change", "new"]


async def test_all_results_are_there_before_the_first_handler_runs() -> None:
    """The first handler sees one record per handler, in order: its own started, the others pending."""
    bus = EventBus()
    seen: list[tuple[str, str]] = []

    def look(event: Login) -> None:
        seen.extend((result.handler_name, result.status) for result in event.event_results.values())

    bus.on("*", plain)
    bus.on(Login, look)
    bus.on(Login, coroutine)
    await bus.dispatch(Login())

    assert seen == [("look", "started"), ("coroutine", "pending"), ("plain", "pending")]


async def test_R44_bound_methods_are_kept_alive() -> None:
    """A handler does not vanish when nobody else refers to its object."""
    bus = EventBus()
    bus.on(Login, Greeter().method)
    gc.collect()

    assert await results(bus, Login()) == ["hello ann"]


async def test_the_same_handler_on_two_buses_has_two_ids() -> None:
    """Results of one callable on two buses, or for two registrations, do not overwrite each other."""
    first, second = EventBus(), EventBus()
    first.on(Login, plain)
    first.on("*", second.dispatch)
    second.on(Login, plain)
    login = await first.dispatch(Login())

    assert await login.event_results_list() == ["hello ann", "hello ann"]
    assert len(set(login.event_results)) == 3


async def test_handlers_lists_what_is_registered() -> None:
    """`handlers` shows the callables by pattern."""
    bus = EventBus()
    bus.on(Login, plain)
    bus.on("*", coroutine)

    assert bus.handlers == {"Login": [plain], "*": [coroutine]}


@pytest.mark.parametrize("pattern", [None, 7, int, str, object(), "", b"Login", Login(), ["Login"], ()], ids=kind)
async def test_a_wrong_pattern_is_refused(pattern: Any) -> None:
    """Only an event class, a name or ``"*"`` is a pattern; nothing is registered otherwise."""
    bus = EventBus()
    for register in (bus.on, bus.once):
        with pytest.raises(PatternError, match=r"(?i)event class") as caught:
            register(pattern, plain)
        assert isinstance(caught.value, TypeError)
    assert await results(bus, Login()) == []


def no_argument() -> None:
    """Cannot take an event."""


def two_arguments(event: Login, other: Login) -> None:
    """Needs more than an event."""


def keyword_argument(*, event: Login) -> None:
    """Takes the event by keyword only."""


@pytest.mark.parametrize("handler", [7, "plain", object(), Login(), no_argument, two_arguments, keyword_argument])
async def test_a_wrong_handler_is_refused(handler: Any) -> None:
    """What cannot be called with one event is refused at registration; nothing is registered."""
    bus = EventBus()
    for register in (bus.on, bus.once):
        with pytest.raises(HandlerError, match=r"(?i)callable|parameter|argument") as caught:
            register(Login, handler)
        assert isinstance(caught.value, TypeError)
    assert await results(bus, Login()) == []
    assert bus.handlers == {}


class Yielder:
    """Has methods with a ``yield``, and its call is one."""

    def method(self, event: Login) -> Iterator[str]:
        yield event.name

    @classmethod
    def class_method(cls, event: Login) -> Iterator[str]:
        yield event.name

    def __call__(self, event: Login) -> Iterator[str]:
        return self.method(event)


class AsyncYielder:
    """Its call is an async generator."""

    async def __call__(self, event: Login) -> AsyncIterator[str]:
        yield event.name


class GeneratorCall:
    """Its call is a generator."""

    def __call__(self, event: Login) -> Iterator[str]:
        yield event.name


def yields(event: Login, greeting: str = "hello") -> Iterator[str]:
    yield greeting + event.name


async def yields_later(event: Login) -> AsyncIterator[str]:
    yield event.name


GENERATORS: dict[str, Callable[[Login], Any]] = {
    "function": yields,
    "async function": yields_later,
    "partial": functools.partial(yields, greeting="hi"),
    "partial of a method": functools.partial(Yielder().method),
    "partial of an object": functools.partial(GeneratorCall()),
    "method": Yielder().method,
    "class method": Yielder.class_method,
    "static method object": staticmethod(yields),
    "callable object": GeneratorCall(),
    "async callable object": AsyncYielder(),
}


@pytest.mark.parametrize("kind", GENERATORS)
async def test_a_generator_function_is_refused(kind: str) -> None:
    """Calling it would run nothing of its body, so it is told at registration what is wrong and how to mend it."""
    bus = EventBus()
    for register in (bus.on, bus.once):
        with pytest.raises(HandlerError, match=r"has a `yield` in its body.*use `return`"):
            register("Login", GENERATORS[kind])
    with pytest.raises(HandlerError, match="yield"):
        bus.handlers["Login"].append(GENERATORS[kind])
    assert bus.handlers == {}


class Names(BaseEvent[Iterator[str]]):
    name: str = "ann"


async def test_a_function_may_return_a_generator() -> None:
    """What makes a generator and returns it runs itself; the generator is a value, also where it is wrapped."""
    bus = EventBus()

    def letters(event: Names) -> Iterator[str]:
        return (letter for letter in event.name)

    @functools.wraps(yields)
    def wrapped(event: Login) -> str:
        return "".join(yields(event))

    bus.on(Names, letters)
    bus.on("Names", Yielder())
    bus.on(Login, wrapped)
    names = await bus.dispatch(Names())
    assert [list(value) for value in await names.event_results_list()] == [["a", "n", "n"], ["ann"]]
    assert await bus.dispatch(Login()).event_result() == "helloann"


@types.coroutine
def older_coroutine(event: Login) -> Generator[Any, Any, str]:
    yield
    return f"hello {event.name}"


async def test_a_generator_made_a_coroutine_is_awaited() -> None:
    """Under ``@types.coroutine`` a generator function makes what can be awaited, and the bus awaits it."""
    bus = EventBus()
    bus.on(Login, older_coroutine)

    assert await bus.dispatch(Login()).event_result() == "hello ann"


async def test_R35_a_method_of_a_class_without_self_is_refused() -> None:
    """``on(Login, Greeter.method)``, where the instance is missing, is told at registration."""
    bus = EventBus()
    unbound: Any = Greeter.method
    with pytest.raises(HandlerError, match="method"):
        bus.on(Login, unbound)


def test_a_function_in_place_of_a_pattern_is_told_how_to_write_it() -> None:
    """A bare decorator, and `off` without the pattern, say what is missing; so does `off` without the handler."""
    bus: Any = EventBus()

    def greet(event: Login) -> str:
        return "hello"

    bus.on(Login, greet)
    for use in (bus.on, bus.once, bus.off, bus.expect):
        with pytest.raises(
            PatternError, match=r"^greet is a function.*@bus\.on\(Event\).*bus\.off\(Event, greet\), where"
        ):
            use(greet)
    with pytest.raises(PatternError, match=r"is an event, not its class: use an event class"):
        bus.on(Login(), greet)
    with pytest.raises(NotSubscribedError, match=r"^off\(Login\) does not say which handler: .* off\(Login, handler\)"):
        bus.off(Login)
    bus.off(Login, greet)
