"""`bus.handlers` as a live mapping of lists, and handlers that share their names."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from bubus import BaseEvent, EventBus
from bubus.errors import HandlerError, PatternError
from bubus.models import get_handler_id, get_handler_name


class Ask(BaseEvent[str]):
    pass


class Special(Ask):
    pass


def first(_: BaseEvent[Any]) -> str:
    return "first"


def second(_: BaseEvent[Any]) -> str:
    return "second"


async def third(_: BaseEvent[Any]) -> str:
    return "third"


async def answers(bus: EventBus, event: BaseEvent[Any] | None = None) -> list[str]:
    return await bus.dispatch(event or Ask()).event_results_list(raise_if_none=False)


async def test_the_mapping_shows_the_original_functions_by_type_name() -> None:
    """Classes and names of types come under one name, in the order of registration; wildcards under "*"."""
    bus = EventBus()
    bus.on(Ask, first)
    bus.on("*", third)
    bus.on("Ask", second)
    assert bus.handlers == {"Ask": [first, second], "*": [third]}
    assert list(bus.handlers) == ["Ask", "*"]
    assert bus.handlers["Ask"][0] is first
    assert isinstance(bus.handlers["Ask"], list)
    assert repr(bus.handlers) == repr({"Ask": [first, second], "*": [third]})


async def test_a_name_without_handlers_has_an_empty_list() -> None:
    """Looking it up registers nothing; `in`, `get` and the length tell the truth."""
    bus = EventBus()
    assert bus.handlers["Nobody"] == []
    assert "Nobody" not in bus.handlers
    assert (len(bus.handlers), bus.handlers.get("Nobody"), bus.handlers.get("Nobody", "none")) == (0, None, "none")


async def test_a_list_changed_in_place_changes_the_registry() -> None:
    """Every way of changing a list is followed: what is in it runs, in its order."""
    bus = EventBus()
    bus.on(Ask, first)
    functions = bus.handlers["Ask"]
    functions.append(second)
    assert await answers(bus) == ["first", "second"]
    functions.insert(0, third)
    assert await answers(bus) == ["third", "first", "second"]
    functions.remove(first)
    assert await answers(bus) == ["third", "second"]
    functions.reverse()
    assert await answers(bus) == ["second", "third"]
    functions[0] = first
    assert await answers(bus) == ["first", "third"]
    assert functions.pop() is third
    functions += [second, third]
    assert await answers(bus) == ["first", "second", "third"]
    functions.sort(key=get_handler_name, reverse=True)
    assert await answers(bus) == ["third", "second", "first"]
    del functions[1:]
    functions.extend([first])
    assert await answers(bus) == ["third", "first"]
    functions.clear()
    assert await answers(bus) == []
    assert bus.handlers == {}


async def test_a_list_that_is_held_follows_the_registry() -> None:
    """`on`, `off`, `once` and the mapping itself show in lists fetched before, also in those of names without any."""
    bus = EventBus()
    functions = bus.handlers["Ask"]
    subscription = bus.on(Ask, first)
    bus.once("Ask", second)
    assert functions == [first, second]
    assert await answers(bus) == ["first", "second"]
    assert functions == [first]
    functions.insert(0, third)
    subscription.off()
    assert functions == [third]
    bus.handlers["Ask"] = [second]
    assert functions == [second]
    bus.handlers.clear()
    assert functions == []


async def test_lists_may_be_assigned_deleted_and_taken_out() -> None:
    """The mapping takes what a dict takes."""
    bus = EventBus()
    bus.handlers["Ask"] = [first, second]
    assert await answers(bus) == ["first", "second"]
    assert bus.handlers.setdefault("Ask", [third]) == [first, second]
    assert bus.handlers.setdefault("*", [third]) == [third]
    assert await answers(bus) == ["first", "second", "third"]
    bus.handlers.update({"Ask": [second]})
    assert bus.handlers.pop("*") == [third]
    assert (bus.handlers.pop("*", None), await answers(bus)) == (None, ["second"])
    del bus.handlers["Ask"]
    assert await answers(bus) == []
    with pytest.raises(KeyError):
        del bus.handlers["Ask"]
    with pytest.raises(KeyError):
        bus.handlers.pop("Ask")


async def test_wildcards_are_live_too() -> None:
    """A list under "*" runs for every event, after the typed ones."""
    bus = EventBus()
    bus.handlers["*"].append(third)
    bus.handlers["Ask"].append(first)
    assert await answers(bus) == ["first", "third"]
    assert await answers(bus, BaseEvent(event_type="Other")) == ["third"]
    bus.handlers["*"].clear()
    assert await answers(bus) == ["first"]


async def test_what_was_registered_by_class_stays_so() -> None:
    """Changing the list keeps a handler's class: it still runs for subclasses; one added by name does not."""
    bus = EventBus()
    bus.on(Ask, first)
    bus.handlers["Ask"].append(second)
    bus.handlers["Ask"].reverse()
    assert await answers(bus) == ["second", "first"]
    assert await answers(bus, Special()) == ["first"]


async def test_a_subscription_ends_a_handler_that_was_moved() -> None:
    """`off` finds it wherever it is in the order."""
    bus = EventBus()
    subscription = bus.on(Ask, first)
    bus.handlers["Ask"][:] = [second, first]
    subscription.off()
    assert bus.handlers == {"Ask": [second]}


async def test_what_is_no_handler_is_refused_and_nothing_changes() -> None:
    """The list shows what is registered, and so does the mapping."""
    bus = EventBus()
    bus.on(Ask, first)
    functions: Any = bus.handlers["Ask"]
    with pytest.raises(HandlerError, match="not callable"):
        functions.append("no handler")
    with pytest.raises(HandlerError, match="exactly one required parameter"):
        bus.handlers["Ask"] = [second, lambda: None]  # pyright: ignore[reportArgumentType] - what is tested
    with pytest.raises(PatternError):
        bus.handlers[""] = [second]
    assert functions == [first]
    assert await answers(bus) == ["first"]


async def test_a_bus_whose_dispatch_is_put_in_a_list_is_forwarded_to() -> None:
    """A forward is known however it was registered."""
    source, target = EventBus("source"), EventBus("target")
    target.on(Ask, first)
    source.handlers["*"].append(target.dispatch)
    event = await source.dispatch(Ask())
    assert event.event_path == ["source", "target"]
    assert [result.handler_name for result in event.event_results.values()] == ["target.dispatch", "first"]


# -- names -----------------------------------------------------------------------------------------------------------


class Watchdog:
    def on_Ask(self, event: Ask) -> str:
        return "watched"


@pytest.mark.filterwarnings("error:a handler named")
async def test_a_second_handler_of_the_same_name_warns_where_it_was_registered() -> None:
    """A UserWarning names it and the pattern; both run."""
    bus = EventBus()
    bus.on(Ask, Watchdog().on_Ask)
    with pytest.warns(UserWarning, match=r"a handler named Watchdog.on_Ask is registered for 'Ask' already") as caught:
        bus.on(Ask, Watchdog().on_Ask)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="Watchdog.on_Ask") as caught:
        bus.on("Ask")(Watchdog().on_Ask)
    assert caught[0].filename == __file__
    assert await answers(bus) == ["watched"] * 3


@pytest.mark.filterwarnings("error:a handler named")
async def test_a_handler_that_is_refused_warns_of_nothing() -> None:
    """Nor does a warning that is made an error leave the handler registered."""

    class Greedy:
        def on_Ask(self, event: Ask, more: str) -> str:
            return f"{event} {more}"

    bus = EventBus()
    bus.on(Ask, Watchdog().on_Ask)
    refused: Any = Greedy().on_Ask
    refused.__func__.__name__ = "on_Ask"
    Greedy.__name__ = "Watchdog"
    with pytest.raises(HandlerError):
        bus.on(Ask, refused)
    with pytest.raises(UserWarning, match=r"Watchdog\.on_Ask"):
        bus.on(Ask, Watchdog().on_Ask)
    assert await answers(bus) == ["watched"]


@pytest.mark.filterwarnings("error:a handler named")
async def test_no_warning_where_names_differ_or_the_first_is_gone() -> None:
    """Other patterns, other classes, forwards to other buses, and handlers that were taken out do not count."""
    bus = EventBus("namesakes")
    bus.on("*", EventBus("one").dispatch)
    bus.on("*", EventBus("two").dispatch)
    bus.on("*", first)
    subscription = bus.on(Ask, first)
    subscription.off()
    bus.on(Ask, first)
    bus.on(Ask, second)
    bus.on(Ask, Watchdog().on_Ask)
    assert len(bus.handlers["Ask"]) == 3


async def test_handlers_whose_name_was_assigned_are_known_by_it() -> None:
    """Watchdogs attach one wrapper per event and give it a name; several may have the same."""
    bus = EventBus()

    def attach(name: str, answer: str) -> None:
        async def unique_handler(_: Ask) -> str:
            return answer

        unique_handler.__name__ = name
        bus.on(Ask, unique_handler)

    attach("Downloads.on_Ask", "downloads")
    attach("Popups.on_Ask", "popups")
    with pytest.warns(UserWarning, match=r"Popups\.on_Ask"):
        attach("Popups.on_Ask", "popups again")
    event = await bus.dispatch(Ask())
    assert [result.handler_name for result in event.event_results.values()] == [
        "Downloads.on_Ask",
        "Popups.on_Ask",
        "Popups.on_Ask",
    ]
    assert await event.event_results_by_handler_name() == {
        "Downloads.on_Ask": "downloads",
        "Popups.on_Ask": "popups",
        "Popups.on_Ask#2": "popups again",
    }
    assert [handler.__name__ for handler in bus.handlers["Ask"]][:2] == ["Downloads.on_Ask", "Popups.on_Ask"]


async def test_ids_and_names_of_handlers_are_those_of_their_results() -> None:
    """`get_handler_id` gives the key in `event_results`, for methods, partials and unregistered functions too."""
    bus, watchdog = EventBus(), Watchdog()
    partial = functools.partial(second)
    for handler in (first, watchdog.on_Ask, partial):
        bus.on(Ask, handler)
    event = await bus.dispatch(Ask())
    ids = [get_handler_id(handler, bus) for handler in (first, watchdog.on_Ask, partial)]
    assert list(event.event_results) == ids
    assert [result.handler_name for result in event.event_results.values()] == [
        get_handler_name(handler) for handler in (first, watchdog.on_Ask, partial)
    ]
    assert await bus.execute_handler(event, third) == "third"
    assert list(event.event_results)[-1] == get_handler_id(third, bus)
    assert get_handler_id(first) != get_handler_id(second) != get_handler_id(third)
