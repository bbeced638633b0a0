"""Ending tasks that do not end at the first word."""

from __future__ import annotations

import asyncio

import pytest

from bubus._tasks import cancel

pytestmark = pytest.mark.virtual_time


async def test_a_task_that_loses_a_cancellation_is_cancelled_again() -> None:
    """`cancel` returns when all tasks have ended, however often one goes on as if nothing had been said."""
    lost: list[int] = []

    async def stubborn() -> None:
        for number in range(3):
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                lost.append(number)
        await asyncio.sleep(3600)

    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(stubborn()), loop.create_task(asyncio.sleep(3600)), None]
    await asyncio.sleep(0)
    await cancel(tasks)

    assert [task.cancelled() for task in tasks if task] == [True, True]
    assert lost == [0, 1, 2]
    assert loop.time() < 3600


async def test_nothing_to_cancel_takes_no_time() -> None:
    """Without tasks, or with such that have ended, `cancel` returns at once."""
    done = asyncio.get_running_loop().create_task(asyncio.sleep(0))
    await done
    await cancel([None])
    await cancel([done])
    assert asyncio.get_running_loop().time() == 0
