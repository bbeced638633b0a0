"""The loops that tests run on, and the check that each of them left nothing unfinished."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
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
    config.addinivalue_line(
        "markers", "outside: is about servers, disks and killed processes; two versions of Python run it, not all"
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Use one process more than there are cores with ``-n auto``: many tests wait for servers and processes."""
    return 1 + (len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of the tests that run as always whatever ``--loop`` says, run none when it says anything."""
    loop = str(config.getoption("--loop"))
    if loop != "asyncio":
        chosen = [item for item in items if is_async_test(item) and _loop_of(item) == loop]
        config.hook.pytest_deselected(items=list(set(items).difference(chosen)))
        items[:] = chosen


def pytest_collection_finish() -> None:
    """Keep what the tests themselves consist of from the garbage collector, which many of them run."""
    gc.collect()
    gc.freeze()


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, LoopFactory]:
    """Choose the loop of one test."""
    name = _loop_of(item)
    return {name: FACTORIES[name]}


def _loop_of(item: pytest.Item) -> str:
    name = str(item.config.getoption("--loop"))
    if item.get_closest_marker("virtual_time"):
        return "virtual"
    return "asyncio" if name == "virtual" and item.get_closest_marker("real_time") else name


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
