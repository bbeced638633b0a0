"""The small print of the older package's `bubus.helpers`."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
from pathlib import Path

import pytest

from bubus import _retry, helpers
from bubus._semaphores import Semaphore


@pytest.fixture(autouse=True)
def _assigned_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bubus._slots._home.assigned", None)  # what one test assigns is not the next one's


def test_retry_is_the_one_of_the_package() -> None:
    """Both import paths lead to the same function."""
    assert helpers.retry is _retry.retry
    assert all(hasattr(helpers, name) for name in helpers.__all__)


def test_the_registry_holds_real_semaphores() -> None:
    """A named semaphore is found by its name while a function uses it."""

    @helpers.retry(semaphore_limit=1, semaphore_name="registry")
    def work() -> int:
        return helpers.GLOBAL_RETRY_SEMAPHORES["registry"].held

    assert isinstance(helpers.GLOBAL_RETRY_SEMAPHORES["registry"], Semaphore)
    assert work() == 1
    assert helpers.GLOBAL_RETRY_SEMAPHORES["registry"].held == 0


def test_the_directory_can_be_assigned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is what will be used next, by default, by environment, or as assigned, which goes first."""
    monkeypatch.delenv("BUBUS_SEMAPHORE_DIR", raising=False)
    assert Path(helpers.MULTIPROCESS_SEMAPHORE_DIR).name == f"bubus-{os.geteuid()}"
    monkeypatch.setenv("BUBUS_SEMAPHORE_DIR", str(tmp_path / "environment"))
    assert str(helpers.MULTIPROCESS_SEMAPHORE_DIR) == str(tmp_path / "environment")
    helpers.MULTIPROCESS_SEMAPHORE_DIR = tmp_path / "assigned"
    assert str(helpers.MULTIPROCESS_SEMAPHORE_DIR) == str(tmp_path / "assigned")

    @helpers.retry(semaphore_limit=1, semaphore_scope="multiprocess")
    def work() -> list[str]:
        return sorted(path.name for path in tmp_path.iterdir())

    assert work() == ["assigned"]


def test_psutil_is_reported_as_it_is() -> None:
    """The flag says whether psutil could be imported."""
    assert helpers.PSUTIL_AVAILABLE is (importlib.util.find_spec("psutil") is not None)


def test_the_flag_can_be_assigned(monkeypatch: pytest.MonkeyPatch) -> None:
    """As programs' tests do; it says so until they put it back."""
    before = helpers.PSUTIL_AVAILABLE
    with monkeypatch.context() as patch:
        patch.setattr(helpers, "PSUTIL_AVAILABLE", not before)
        assert helpers.PSUTIL_AVAILABLE is (not before)
    assert helpers.PSUTIL_AVAILABLE is before


@pytest.mark.virtual_time
async def test_time_execution_logs_what_took_long(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than a quarter of a second is logged at DEBUG; less is not, and the function keeps its face."""
    monkeypatch.setattr(helpers.time, "perf_counter", asyncio.get_running_loop().time)
    caplog.set_level(logging.DEBUG, logger="bubus")

    @helpers.time_execution("--work--")
    async def work(seconds: float) -> float:
        """Take *seconds*."""
        await asyncio.sleep(seconds)
        return seconds

    assert await work(0.2) == 0.2
    assert caplog.records == []
    assert await work(0.5) == 0.5
    assert [record.getMessage() for record in caplog.records] == ["work took 0.50 s"]
    assert work.__doc__ == "Take *seconds*."
