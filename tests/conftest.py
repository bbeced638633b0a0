"""The loops that tests run on, and the check that each of them left nothing unfinished."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING

import pytest
from pytest_asyncio import is_async_test

from bubus.testing import VirtualTimeLoop, assert_settled, settled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def _eager_loop() -> asyncio.AbstractEventLoop:
    if sys.version_info < (3, 12):
        pytest.skip("eager tasks came with Python 3.12")
    loop = asyncio.SelectorEventLoop()
    loop.set_task_factory(asyncio.eager_task_factory)
    return loop


def _uvloop() -> asyncio.AbstractEventLoop:
    return pytest.importorskip("uvloop").new_event_loop()


FACTORIES: Mapping[str, LoopFactory] = {
    "asyncio": asyncio.SelectorEventLoop,
    "eager": _eager_loop,
    "uvloop": _uvloop,
    "virtual": VirtualTimeLoop,
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--loop``."""
    parser.addoption("--loop", choices=sorted(FACTORIES), default="asyncio", help="event loop of the async tests")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers: two fix the loop of a test, whatever ``--loop`` says."""
    config.addinivalue_line("markers", "virtual_time: runs in virtual time, because it is about clocks")
    config.addinivalue_line("markers", "real_time: waits for threads, processes or sockets")
    config.addinivalue_line("markers", "typecheck: runs a type checker, whose answer one version of Python gives")


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, LoopFactory]:
    """Choose the loop of one test."""
    name = str(config.getoption("--loop"))
    if item.get_closest_marker("virtual_time"):
        name = "virtual"
    elif name == "virtual" and item.get_closest_marker("real_time"):
        name = "asyncio"
    return {name: FACTORIES[name]}


@pytest.fixture(autouse=True)
def _levels_are_restored() -> Iterator[None]:
    """Let no command that a test runs in this process silence the log for the tests after it."""
    logger = logging.getLogger("bubus")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture
async def _nothing_left_on_the_loop() -> AsyncIterator[None]:
    async with settled():
        yield


@pytest.fixture(autouse=True)
def _everything_settles(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves an unfinished event, a wrong counter or a task behind."""
    if is_async_test(request.node):
        request.getfixturevalue("_nothing_left_on_the_loop")
        yield
    else:
        yield
        assert_settled()
