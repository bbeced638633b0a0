"""Functions that tell whether something is wanted: those that cannot tell are refused at the call."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pytest

from bubus import BaseEvent, EventBus
from bubus.errors import OptionTypeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


class Ask(BaseEvent[str]):
    pass


async def later(_: object) -> bool:
    return False


def generated(_: object) -> Iterator[bool]:
    yield False


async def generated_later(_: object) -> AsyncIterator[bool]:
    yield False


WRONG: list[Any] = [5, "name", later, functools.partial(later), generated, generated_later]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("option", ["predicate", "include", "exclude"])
async def test_expect_takes_plain_functions_only(option: str, wrong: Any) -> None:
    """What an async one returns would count as True for every event."""
    bus = EventBus()

    with pytest.raises(OptionTypeError, match=rf"^{option}=.* must be a "):
        await bus.expect(Ask, **{option: wrong})


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("getter", ["event_result", "event_results_list", "event_results_flat_list"])
async def test_results_are_selected_by_plain_functions_only(getter: str, wrong: Any) -> None:
    """The same for `include`, before anything is waited for."""
    bus = EventBus()
    bus.on(Ask, lambda event: "v")
    event = bus.dispatch(Ask())

    with pytest.raises(OptionTypeError, match=r"^include=.* must be a "):
        await getattr(event, getter)(include=wrong)
    assert event.event_status == "pending"
    await event


async def test_replay_takes_plain_functions_only(tmp_path: Path) -> None:
    """The same for `where`, before the log is opened."""
    with pytest.raises(OptionTypeError, match=r"^where=.* must be a plain function"):
        await EventBus().replay(tmp_path / "none.jsonl", where=later)


class Names:
    """An object that is called like a function."""

    def __call__(self, event: object) -> bool:
        return isinstance(event, Ask)


async def test_any_other_callable_will_do() -> None:
    """Builtins, bound methods and objects with `__call__` tell as well as functions do."""
    bus = EventBus()
    bus.on(Ask, lambda event: "v")
    expected = bus.expect(Ask, predicate=Names(), exclude=Names().__call__)
    other = bus.expect(Ask, predicate=Names())

    event = bus.dispatch(Ask())

    assert await other is event
    assert await event.event_result(include=bool) == "v"
    expected.close()
