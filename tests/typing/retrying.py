"""`retry` keeps the signature of what it decorates. Only type checkers read this; see tests/test_typing.py."""

from __future__ import annotations

from typing import assert_type

from bubus import BaseEvent, EventBus, Subscription, retry


class Login(BaseEvent[str]):
    """Its handlers return str."""


@retry
async def bare(number: int, *, text: str = "") -> list[str]:
    return [text] * number


@retry(wait=1, retries=2, timeout=None, retry_on=(OSError, ValueError), backoff_factor=2.0)
async def repeated(number: int, *, text: str = "") -> list[str]:
    return [text] * number


@retry(2, 3, 4.5, semaphore_limit=3, semaphore_scope="multiprocess", semaphore_name="x", jitter=0.5, max_wait=9)
def plain(number: int) -> bytes:
    return bytes(number)


@retry(retry_on=lambda error: "busy" in str(error))
async def chosen() -> int:
    return 1


class Client:
    """Methods of every kind."""

    @retry(semaphore_scope="self", semaphore_limit=1)
    async def method(self, number: int) -> str:
        return str(number)

    @retry
    @classmethod
    def outer_class(cls, number: int) -> str:
        return str(number)

    @classmethod
    @retry
    def inner_class(cls, number: int) -> str:
        return str(number)

    @retry(retries=1)
    @staticmethod
    async def outer_static(number: int) -> str:
        return str(number)

    @staticmethod
    @retry(retries=1)
    async def inner_static(number: int) -> str:
        return str(number)

    @retry
    async def handler(self, event: Login) -> str:
        return event.event_type

    @retry
    async def wrong_handler(self, event: Login) -> int:
        return len(event.event_type)


async def called(client: Client, bus: EventBus) -> None:
    """Call the decorated functions as what they are."""
    assert_type(await bare(1, text="a"), list[str])
    assert_type(await repeated(1), list[str])
    assert_type(plain(3), bytes)
    assert_type(await chosen(), int)
    assert_type(await client.method(1), str)
    assert_type(Client.outer_class(1), str)
    assert_type(client.inner_class(1), str)
    assert_type(await Client.outer_static(1), str)
    assert_type(await client.inner_static(1), str)
    assert_type(bus.on(Login, client.handler), Subscription)
    await bare("1")  # must fail: a str is no int
    await bare()  # must fail: number is missing
    await repeated(1, text=2)  # must fail: an int is no str
    await repeated(1, "a")  # must fail: by keyword only
    plain(number="3")  # must fail: a str is no int
    await client.method("1")  # must fail: a str is no int
    Client.outer_class("1")  # must fail: a str is no int
    await Client.outer_static("1")  # must fail: a str is no int
    bus.on(Login, client.wrong_handler)  # must fail: wrong result


retry(wait="1")  # must fail: a str is no number
retry(retry_on=ValueError("x"))  # must fail: an error is no class of errors
retry(retry_on=int)  # must fail: no class of errors
retry(semaphore_scope="planet")  # must fail: there is no such scope
retry(colour="red")  # must fail: there is no such option
