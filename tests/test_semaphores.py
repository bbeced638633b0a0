"""Limits that are limits: who is let in, who waits, and what is left when somebody goes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import random
import threading
import weakref
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

import attrs
import pytest

from bubus import _clock, _slots
from bubus._retry import retry
from bubus._semaphores import SEMAPHORES, MachineSemaphore, Semaphore, named
from bubus.errors import BubusError, DeadlockError, NotRetryableError, SemaphoreTimeout
from bubus.testing import VirtualTimeLoop
from tests.fake_clock import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

Reach = Literal["global", "multiprocess"]
REACHES: tuple[Reach, ...] = ("global", "multiprocess")


@pytest.fixture(autouse=True)
def _own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUBUS_SEMAPHORE_DIR", str(tmp_path / "semaphores"))


@attrs.define
class Inside:
    """Counts who is inside at the same time."""

    now: int = 0
    peak: int = 0
    total: int = 0

    @contextlib.contextmanager
    def visit(self) -> Any:
        """Be inside for the length of the block."""
        self.now += 1
        self.total += 1
        self.peak = max(self.peak, self.now)
        try:
            yield
        finally:
            self.now -= 1

    async def stay(self, seconds: float = 1.0) -> None:
        """Be inside for some seconds of the loop's clock."""
        with self.visit():
            await asyncio.sleep(seconds)


# ---------------------------------------------------------------- R53: limits are limits


@pytest.mark.virtual_time
@pytest.mark.parametrize("scope", REACHES)
@pytest.mark.parametrize("seed", range(5))
async def test_R53_the_peak_never_exceeds_the_limit(scope: Reach, seed: int) -> None:
    """Under load, with cancelled and impatient callers, never more than three are inside, and all slots come back."""
    chance, inside = random.Random(seed), Inside()
    call = retry(retries=0, timeout=None, semaphore_limit=3, semaphore_name=f"load{seed}", semaphore_scope=scope)(
        inside.stay
    )
    impatient = retry(
        retries=0,
        timeout=0.1,
        semaphore_limit=3,
        semaphore_name=f"load{seed}",
        semaphore_scope=scope,
        semaphore_timeout=0.3,
    )(inside.stay)
    loop = asyncio.get_running_loop()

    def start() -> asyncio.Task[None]:
        task = asyncio.create_task(chance.choice([call, call, impatient])(chance.uniform(0, 0.2)))
        if chance.random() < 0.3:
            loop.call_later(chance.uniform(0, 0.5), task.cancel)
        return task

    tasks: list[asyncio.Task[None]] = []
    for _ in range(100):
        tasks.append(start())
        await asyncio.sleep(chance.choice([0, 0.01]))
    results = await asyncio.gather(*tasks, return_exceptions=True)

    kinds = {type(result) for result in results}
    assert kinds <= {type(None), asyncio.CancelledError} | {type(r) for r in results if isinstance(r, TimeoutError)}
    assert asyncio.CancelledError in kinds
    assert any(isinstance(result, SemaphoreTimeout) for result in results)
    assert inside.peak == 3
    assert inside.now == 0
    assert [await probe(f"load{seed}", scope, 3) for _ in range(2)] == [3, 3]


async def probe(name: str, scope: Reach, limit: int) -> int:
    """Return how many can get in at once right now."""
    inside = Inside()

    @retry(retries=0, semaphore_limit=limit, semaphore_name=name, semaphore_scope=scope, semaphore_timeout=0)
    async def enter() -> None:
        with inside.visit():
            await asyncio.sleep(0)

    await asyncio.gather(*(enter() for _ in range(limit + 2)), return_exceptions=True)
    return inside.peak


@pytest.mark.virtual_time
@pytest.mark.parametrize("scope", REACHES)
async def test_R53_timeout_zero_fails_at_once(scope: Reach) -> None:
    """semaphore_timeout=0 takes a free slot, or fails without letting any time pass."""
    inside = Inside()
    call = retry(retries=0, semaphore_limit=1, semaphore_name="zero", semaphore_scope=scope, semaphore_timeout=0)(
        inside.stay
    )
    first = asyncio.create_task(call(1))
    await asyncio.sleep(0.1)

    with pytest.raises(SemaphoreTimeout, match="all 1 slots of the semaphore 'zero' stayed taken for 0 s") as caught:
        await call(1)

    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value, BubusError)
    assert asyncio.get_running_loop().time() == pytest.approx(0.1)
    await first
    await call(1)
    assert inside.total == 2


@pytest.mark.virtual_time
@pytest.mark.parametrize("scope", REACHES)
async def test_R53_no_timeout_waits_for_ever(scope: Reach) -> None:
    """semaphore_timeout=None still waits after an hour."""
    inside = Inside()
    call = retry(retries=0, timeout=None, semaphore_limit=1, semaphore_name="ever", semaphore_scope=scope)(inside.stay)

    await asyncio.gather(call(60), call(1))

    assert (inside.total, inside.peak) == (2, 1)
    assert asyncio.get_running_loop().time() >= 61


@pytest.mark.virtual_time
@pytest.mark.parametrize("scope", REACHES)
async def test_R53_a_timeout_is_what_it_says(scope: Reach) -> None:
    """semaphore_timeout=2 gives up after 2 seconds, and gets a slot that is free before."""
    inside = Inside()
    call = retry(retries=0, semaphore_limit=1, semaphore_name="two", semaphore_scope=scope, semaphore_timeout=2)(
        inside.stay
    )
    first = asyncio.create_task(call(3))
    await asyncio.sleep(0.5)
    with pytest.raises(SemaphoreTimeout, match="for 2 s"):
        await call(1)
    assert asyncio.get_running_loop().time() == pytest.approx(2.5)

    await asyncio.gather(first, call(0))
    assert (inside.total, inside.peak) == (2, 1)


@pytest.mark.virtual_time
@pytest.mark.parametrize("scope", REACHES)
async def test_R53_only_lax_lets_more_in_and_says_so(scope: Reach, caplog: pytest.LogCaptureFixture) -> None:
    """semaphore_lax=True goes on without a slot after the timeout, logs that, and gives back no slot it never had."""
    inside = Inside()
    call = retry(
        retries=0,
        semaphore_limit=1,
        semaphore_name="lax",
        semaphore_scope=scope,
        semaphore_timeout=1,
        semaphore_lax=True,
    )(inside.stay)

    first = asyncio.create_task(call(3))
    await asyncio.sleep(0.1)
    await call(0.1)

    assert inside.peak == 2
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("bubus", logging.WARNING)
    assert "no free slot of the semaphore 'lax' (limit 1) within 1 s" in record.getMessage()
    assert await probe("lax", scope, 1) == 0
    await first
    assert await probe("lax", scope, 1) == 1


@pytest.mark.virtual_time
async def test_R53_the_slot_is_kept_between_attempts() -> None:
    """A call that waits for its next attempt still counts."""
    inside = Inside()

    @retry(wait=5, retries=1, semaphore_limit=1)
    async def fail() -> None:
        inside.total += 1
        raise ValueError

    both = asyncio.gather(fail(), fail(), return_exceptions=True)
    await asyncio.sleep(4)
    assert inside.total == 1
    assert [type(error) for error in await both] == [ValueError, ValueError]
    assert inside.total == 4


@pytest.mark.virtual_time
async def test_slots_are_given_in_the_order_of_asking() -> None:
    """Nobody overtakes, not even one who asks in the moment a slot is released."""
    order: list[int] = []

    @retry(retries=0, semaphore_limit=1)
    async def enter(number: int) -> None:
        order.append(number)
        await asyncio.sleep(1)

    async def twice(number: int) -> None:
        await enter(number)
        await enter(number + 10)

    await asyncio.gather(*(twice(number) for number in range(4)))

    assert order == [0, 1, 2, 3, 10, 11, 12, 13]


@pytest.mark.virtual_time
async def test_functions_of_one_name_share_slots_each_with_its_own_limit() -> None:
    """Who allows two is let in beside who allows one, never the other way round."""
    inside = Inside()
    one = retry(retries=0, timeout=None, semaphore_limit=1, semaphore_name="shared")(inside.stay)
    two = retry(retries=0, timeout=None, semaphore_limit=2, semaphore_name="shared", semaphore_timeout=0)(inside.stay)
    picky = retry(retries=0, timeout=None, semaphore_limit=1, semaphore_name="shared", semaphore_timeout=0)(inside.stay)

    first = asyncio.create_task(one(2))
    await asyncio.sleep(0)
    second = asyncio.create_task(two(1))
    await asyncio.sleep(0.5)
    with pytest.raises(SemaphoreTimeout):
        await picky()
    with pytest.raises(SemaphoreTimeout):
        await two(1)
    await asyncio.gather(first, second)
    assert (inside.peak, inside.total) == (2, 2)


@pytest.mark.virtual_time
async def test_a_picky_waiter_who_leaves_lets_the_next_one_in() -> None:
    """When the first in the queue gives up, the next is looked at again: its own limit may let it in."""
    semaphore = Semaphore()
    assert semaphore.take(2)
    picky = asyncio.create_task(semaphore.acquire(1))
    await asyncio.sleep(0)
    easy = asyncio.create_task(semaphore.acquire(2))
    await asyncio.sleep(1)
    assert not easy.done()
    picky.cancel()
    await asyncio.wait([picky])
    assert await easy
    assert (semaphore.held, semaphore.waiting) == (2, 0)


# ---------------------------------------------------------------- R52: whose slots


def make_stranger(inside: Inside) -> Callable[[], Coroutine[Any, Any, None]]:
    """Return a function called `work`, defined elsewhere than others of that name."""

    @retry(retries=0, semaphore_limit=1)
    async def work() -> None:
        await inside.stay()

    return work


@pytest.mark.virtual_time
async def test_R52_strangers_of_the_same_name_do_not_share() -> None:
    """Two functions called `work` have slots of their own; the key is module and qualified name."""
    inside = Inside()

    @retry(retries=0, semaphore_limit=1)
    async def work() -> None:
        await inside.stay()

    stranger = make_stranger(inside)
    await asyncio.gather(work(), stranger())

    assert inside.peak == 2
    keys = {key for key in SEMAPHORES if key.startswith(__name__)}
    assert f"{__name__}.make_stranger.<locals>.work" in keys
    assert "work" not in SEMAPHORES


def test_R52_entries_die_with_their_function() -> None:
    """The semaphore of a function that is gone is gone, one shared by name with the last of them."""
    key = f"{__name__}.make_stranger.<locals>.work"
    work = make_stranger(Inside())
    assert key in SEMAPHORES
    del work
    gc.collect()
    assert key not in SEMAPHORES

    first, second = (retry(semaphore_limit=1, semaphore_name="both")(Inside().stay) for _ in range(2))
    del first
    gc.collect()
    assert "both" in SEMAPHORES
    del second
    gc.collect()
    assert "both" not in SEMAPHORES


@attrs.define(slots=True, weakref_slot=True)
class Client:
    """Has limits per instance and per class; is unhashable, and equal to its like."""

    inside: Inside = attrs.Factory(Inside)

    @retry(retries=0, semaphore_limit=1, semaphore_scope="self")
    async def own(self) -> None:
        """Be inside, alone for this instance."""
        await self.inside.stay()

    @retry(retries=0, semaphore_limit=1, semaphore_scope="self", semaphore_name="pair")
    async def left(self) -> None:
        """Share with `right`."""
        await self.inside.stay()

    @retry(retries=0, semaphore_limit=1, semaphore_scope="self", semaphore_name="pair")
    async def right(self) -> None:
        """Share with `left`."""
        await self.inside.stay()

    @retry(retries=0, semaphore_limit=1, semaphore_scope="class")
    async def common(self) -> None:
        """Be inside, alone for this class."""
        await self.inside.stay()

    @retry(retries=0, semaphore_limit=1, semaphore_scope="class")
    @classmethod
    async def of_class(cls, inside: Inside) -> None:
        """Be inside, alone for this class."""
        await inside.stay()


class SubClient(Client):
    """Is a class of its own."""


@pytest.mark.virtual_time
async def test_R52_self_scope_is_per_instance_by_identity() -> None:
    """Two instances do not share, however equal they are; one does with itself."""
    inside = Inside()
    one, two = Client(inside), Client(inside)
    assert one == two

    await asyncio.gather(one.own(), two.own())
    assert inside.peak == 2
    await asyncio.gather(one.own(), one.own())
    assert inside.peak == 2
    await asyncio.gather(one.left(), one.right(), two.left(), two.right())
    assert (inside.peak, inside.total) == (2, 8)


@pytest.mark.virtual_time
async def test_R52_class_scope_is_per_class() -> None:
    """All instances of a class share; a subclass has slots of its own; class methods go by their class."""
    inside = Inside()
    await asyncio.gather(Client(inside).common(), Client(inside).common())
    assert inside.peak == 1
    await asyncio.gather(Client(inside).common(), SubClient(inside).common())
    assert inside.peak == 2
    both = Inside()
    await asyncio.gather(Client.of_class(both), Client(inside).of_class(both))
    assert both.peak == 1
    await asyncio.gather(Client.of_class(both), SubClient.of_class(both))
    assert both.peak == 2


@pytest.mark.virtual_time
async def test_R52_entries_die_with_their_instance_and_are_never_inherited() -> None:
    """A thousand instances leave no entry behind, and none starts with the slots of a dead one."""
    before, numbers = len(SEMAPHORES), set[int]()
    for _ in range(1000):
        client = Client()
        numbers.add(id(client))
        task = asyncio.create_task(client.own())
        await asyncio.sleep(0.5)
        assert client.inside.now == 1
        await task
        gone = weakref.ref(client)
        del client, task
        assert gone() is None
    assert len(SEMAPHORES) == before
    assert len(numbers) < 1000  # some had the number of a dead one, which is what this is about


@pytest.mark.virtual_time
async def test_R52_a_bound_method_goes_by_its_instance() -> None:
    """`retry(...)(client.method)` knows the instance although no call names it."""
    inside = Inside()
    one, two = Client(inside), Client(inside)
    limited = [
        retry(retries=0, semaphore_limit=1, semaphore_scope="self", semaphore_name="bound")(client.inside.stay)
        for client in (one, one, two)
    ]
    await asyncio.gather(*(call(1) for call in limited))
    assert inside.peak == 1  # all are methods of the same `inside`


@pytest.mark.virtual_time
async def test_a_plain_function_is_limited_per_first_argument_and_says_so() -> None:
    """As in the older package; a limit per event would limit nothing, so there is a warning where it is decorated."""
    inside = Inside()

    async def handle(event: Client) -> None:
        await event.inside.stay()

    limited = retry(retries=0, semaphore_limit=1, semaphore_scope="self")
    with pytest.warns(UserWarning, match=r'handle is none: .*use semaphore_scope="global"') as warned:
        call = limited(handle)
    assert [warning.filename for warning in warned] == [__file__]
    one = Client(inside)
    await asyncio.gather(call(one), call(one))
    assert inside.peak == 1
    await asyncio.gather(call(one), call(Client(inside)))
    assert inside.peak == 2


@pytest.mark.virtual_time
async def test_a_method_that_is_defined_outside_its_class_is_one() -> None:
    """There is no warning where a function calls its first argument ``self``, or may be around any method."""
    inside = Inside()

    async def stay(self: Outside) -> None:
        await self.inside.stay()

    async def around(*args: Any) -> None:
        await stay(*args)

    class Outside:
        inside: Inside

    limited = retry(retries=0, semaphore_limit=1, semaphore_scope="self")
    for method in (limited(stay), limited(around)):
        one, two = Outside(), Outside()
        one.inside = two.inside = inside = Inside()
        await asyncio.gather(method(one), method(one))
        assert inside.peak == 1
        await asyncio.gather(method(one), method(two))
        assert inside.peak == 2


class Slotted:
    """Cannot be referenced weakly."""

    __slots__ = ("inside",)

    def __init__(self) -> None:
        self.inside = Inside()

    @retry(retries=0, semaphore_limit=1, semaphore_scope="self")
    async def stay(self) -> None:
        """Be inside, alone for this instance."""
        await self.inside.stay()


@pytest.mark.virtual_time
async def test_R52_an_owner_that_cannot_be_referenced_weakly_has_its_limit_too() -> None:
    """An instance with __slots__, or a text where a plain function is limited; nothing is left when it is done."""
    before, inside = len(SEMAPHORES), Inside()

    async def fetch(url: str) -> None:
        assert url
        await inside.stay()

    with pytest.warns(UserWarning, match="fetch is none"):
        limited = retry(retries=0, semaphore_limit=1, semaphore_scope="self")(fetch)
    url, other = "http://a", "http://b"
    await asyncio.gather(limited(url), limited(url))
    assert inside.peak == 1
    await asyncio.gather(limited(url), limited(other))
    assert (inside.peak, inside.total) == (2, 4)

    one = Slotted()
    await asyncio.gather(one.stay(), one.stay(), Slotted().stay())
    assert (one.inside.peak, one.inside.total) == (1, 2)
    assert len(SEMAPHORES) == before


async def test_R52_a_call_without_its_owner_is_an_error() -> None:
    """It is refused in clear words."""
    with pytest.raises(NotRetryableError, match="needs its instance or class as first positional argument"):
        await Slotted.stay(self=Slotted())


def test_R52_semaphores_outlive_their_loops() -> None:
    """A semaphore contended in one `asyncio.run` is as good as new in the next."""
    inside = Inside()
    call = retry(retries=0, semaphore_limit=1)(inside.stay)

    async def main() -> None:
        await asyncio.gather(*(call(0) for _ in range(3)))

    for _ in range(2):
        asyncio.run(main())

    assert (inside.total, inside.peak, inside.now) == (6, 1, 0)


def test_R52_a_loop_closed_in_the_middle_takes_no_slot_with_it() -> None:
    """Holder and waiters of a loop that was closed without ceremony do not stand in anybody's way."""
    inside = Inside()
    call = retry(retries=0, timeout=None, semaphore_limit=1, semaphore_name="closed")(inside.stay)
    loop = VirtualTimeLoop()
    tasks = [loop.create_task(call()) for _ in range(3)]
    loop.call_soon(loop.call_later, 0.5, loop.stop)
    loop.run_forever()
    assert (named("closed").held, named("closed").waiting) == (1, 2)
    loop.close()

    for task in tasks:
        task.get_coro().close()  # type: ignore[union-attr]  # what the collector does to them
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # they were meant to be destroyed

    assert (named("closed").held, named("closed").waiting) == (0, 0)
    asyncio.run(call(0))


def test_R52_a_waiter_whose_loop_is_closed_is_passed_over() -> None:
    """A slot is not given to a waiter that can never take it."""
    semaphore = Semaphore()
    release = semaphore.take(1)
    assert release
    loop = asyncio.new_event_loop()
    lost = loop.create_task(semaphore.acquire(1))
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()

    release()

    assert (semaphore.held, semaphore.waiting) == (0, 0)
    lost._log_destroy_pending = False  # type: ignore[attr-defined]  # it was meant to be destroyed


def test_R52_loops_and_threads_share_one_limit() -> None:
    """Four threads, two with a loop and two without, are never more than two inside together."""
    inside, lock = Inside(), threading.Lock()
    options: dict[str, Any] = {"retries": 0, "timeout": None, "semaphore_limit": 2, "semaphore_name": "threads"}

    @contextlib.contextmanager
    def visit() -> Any:
        with lock:
            inside.now += 1
            inside.total += 1
            inside.peak = max(inside.peak, inside.now)
        yield
        with lock:
            inside.now -= 1

    @retry(**options)
    async def step() -> None:
        with visit():
            await asyncio.sleep(0)

    @retry(**options)
    def plain_step() -> None:
        with visit():
            threading.Event().wait(0.0001)

    async def many() -> None:
        await asyncio.gather(*(step() for _ in range(200)))

    def plainly() -> None:
        for _ in range(200):
            plain_step()

    threads = [threading.Thread(target=target) for target in [lambda: asyncio.run(many()), plainly] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert not any(thread.is_alive() for thread in threads)
    assert (inside.total, inside.now, named("threads").held) == (800, 0, 0)
    assert inside.peak <= 2


# ---------------------------------------------------------------- plain functions


@pytest.mark.parametrize("scope", REACHES)
def test_a_plain_function_waits_by_the_clock(scope: Reach, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for a slot in its thread, for at most its timeout."""
    clock = FakeClock()
    monkeypatch.setattr(_clock, "current", clock)

    @retry(retries=0, timeout=None, semaphore_limit=1, semaphore_name="p", semaphore_scope=scope, semaphore_timeout=2)
    def nested(depth: int) -> int:
        return nested(depth - 1) if depth else depth

    assert nested(0) == 0
    with pytest.raises(SemaphoreTimeout):
        nested(1)
    assert sum(clock.slept) == pytest.approx(2)
    assert nested(0) == 0


@pytest.mark.parametrize("scope", REACHES)
async def test_a_plain_function_never_blocks_the_loop_for_a_slot(scope: Reach) -> None:
    """On the thread of a loop it takes a free slot, and raises where it would wait: the holder may need the loop."""

    @retry(retries=0, semaphore_limit=1, semaphore_name="on_loop", semaphore_scope=scope)
    def plain() -> int:
        return 1

    @retry(retries=0, semaphore_limit=1, semaphore_name="on_loop", semaphore_scope=scope)
    async def holder() -> None:
        with pytest.raises(DeadlockError, match=r"asyncio\.to_thread"):
            plain()

    assert plain() == 1
    await holder()
    assert plain() == 1


# ---------------------------------------------------------------- cancellation


Scenario = tuple[str, dict[str, Any]]
SCENARIOS: list[Scenario] = [
    ("waits", {}),
    ("waits with a timeout", {"semaphore_timeout": 1.5}),
    ("gets it in the last moment", {"semaphore_timeout": 1}),
    ("runs out of time", {"semaphore_timeout": 0.5}),
    ("is lax", {"semaphore_timeout": 0.5, "semaphore_lax": True}),
]


@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("scope", REACHES)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario[0])
def test_R54_F6_cancelling_anywhere_leaks_no_slot(scope: Reach, scenario: Scenario, *, twice: bool) -> None:
    """
    A call is cancelled at each point in turn: in the queue, in the handover, inside, between attempts, on the way out.

    Every time all slots are back afterwards, the limit has held, and those behind it in the queue were served.
    """
    name, points = f"cancel {scope} {scenario[0]}", 0
    while points < 1000:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            done = runner.run(_cancel_at(points, name, scope, scenario[1], twice=twice))
        if done:
            break
        points += 1
    assert points > 20


async def _cancel_at(point: int, name: str, scope: Reach, options: dict[str, Any], *, twice: bool) -> bool:
    """
    Cancel the second of three callers at *point*; return whether it was done before.

    A point is an eighth of a second and a number of turns of the loop. All that happens here happens at eighths.
    """
    moment, turn = divmod(point, 8)
    limited: dict[str, Any] = {"semaphore_limit": 1, "semaphore_name": name, "semaphore_scope": scope}
    inside, lax = Inside(), options.get("semaphore_lax", False)
    victims_work = retry(wait=0.5, retries=1, **limited, **options)(_failing_once(inside))
    others_work = retry(retries=0, **limited)(inside.stay)

    first = asyncio.create_task(others_work(1))
    await asyncio.sleep(0)
    victim = asyncio.create_task(victims_work())
    await asyncio.sleep(0)
    last = asyncio.create_task(others_work(0.125))
    await asyncio.sleep(moment / 8)
    for _ in range(turn):
        await asyncio.sleep(0)
    done = victim.done()
    victim.cancel()
    if twice:
        await asyncio.sleep(0)
        victim.cancel()
    await asyncio.wait([first, victim, last])

    assert done or victim.cancelled()
    assert (first.exception(), last.exception()) == (None, None)
    assert (inside.now, inside.peak <= 1 + lax) == (0, True)
    assert await probe(name, scope, 1) == 1
    assert [(key, one.held, one.waiting) for key, one in SEMAPHORES.items() if one.held or one.waiting] == []
    return done


def _failing_once(inside: Inside) -> Callable[[], Coroutine[Any, Any, None]]:
    attempts = iter([ValueError("first"), None])

    async def work() -> None:
        await inside.stay(0.25)
        if error := next(attempts):
            raise error

    return work


@pytest.mark.virtual_time
async def test_F5_a_storm_of_cancellations_leaves_nothing() -> None:
    """Ten thousand waiters cancelled in one turn, then once more, are all gone, and the holder is not disturbed."""
    inside = Inside()
    call = retry(retries=0, timeout=None, semaphore_limit=2, semaphore_name="storm")(inside.stay)
    tasks = [asyncio.create_task(call()) for _ in range(10_000)]
    await asyncio.sleep(0.5)
    assert named("storm").waiting == 9_998
    for _ in range(2):
        for task in tasks[2:]:
            task.cancel()
        await asyncio.sleep(0)
    await asyncio.wait(tasks)

    assert sum(task.cancelled() for task in tasks) == 9_998
    assert (inside.peak, named("storm").held, named("storm").waiting) == (2, 0, 0)


def test_the_collector_may_close_a_waiter_at_any_moment() -> None:
    """A waiting coroutine that is dropped leaves the queue, and hands on a slot that had just been given to it."""
    semaphore = Semaphore()

    async def main() -> None:
        release = semaphore.take(1)
        waiters = [semaphore.acquire(1) for _ in range(2)]
        tasks = [asyncio.ensure_future(waiter) for waiter in waiters]
        await asyncio.sleep(0)
        assert release
        release()  # the first of them has the slot now, and does not know it yet
        for waiter, task in zip(waiters, tasks, strict=True):
            waiter.close()
            task.cancel()
        await asyncio.wait(tasks)

    asyncio.run(main())
    assert (semaphore.held, semaphore.waiting) == (0, 0)


# ---------------------------------------------------------------- between processes, seen from one


@pytest.mark.virtual_time
async def test_multiprocess_waiters_of_one_process_are_served_in_order() -> None:
    """The callers of one process queue up, so that only one of them looks at the files."""
    order: list[int] = []

    @retry(retries=0, timeout=None, semaphore_limit=2, semaphore_name="order", semaphore_scope="multiprocess")
    async def enter(number: int) -> None:
        order.append(number)
        await asyncio.sleep(1)

    await asyncio.gather(*(enter(number) for number in range(10)))

    assert order == list(range(10))


@pytest.mark.virtual_time
async def test_multiprocess_pauses_are_between_2_and_25_ms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two tries the loop is left alone for 2 to 25 milliseconds, at random."""
    pauses: list[float] = []

    class Recording(_clock.SystemClock):
        def uniform(self, low: float, high: float) -> float:
            chosen = super().uniform(low, high)
            if (low, high) == (0.002, 0.025):
                pauses.append(chosen)
            return chosen

    monkeypatch.setattr(_clock, "current", Recording())
    holder, waiter = MachineSemaphore("pauses"), MachineSemaphore("pauses")
    release = await holder.acquire(1)
    assert release
    pauses.clear()
    assert await waiter.acquire(1, timeout=5) is None
    assert 5 / 0.025 < len(pauses) < 5 / 0.002
    assert len(set(pauses)) == len(pauses)
    release()
    again = await waiter.acquire(1, timeout=0)
    assert again
    again()


@pytest.mark.virtual_time
async def test_multiprocess_tries_of_many_slots_leave_turns_to_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large limit is searched in steps of 64 files, so that the loop goes on in between."""
    taken = [await MachineSemaphore("many").acquire(200, timeout=0) for _ in range(200)]
    turn, tries, take = 0, Counter[int](), _slots.take

    def counted(path: Path) -> _slots.Slot | None:
        tries[turn] += 1
        return take(path)

    monkeypatch.setattr(_slots, "take", counted)
    search = asyncio.create_task(MachineSemaphore("many").acquire(200, timeout=1e-9))
    for turn in range(20):  # noqa: B007 - read above
        await asyncio.sleep(0)
    assert await search is None

    look = [tries[turn] for turn in range(19)]  # a second look follows when time moves on
    assert sum(look) == 1 + 200
    assert max(look) == 1 + 64
    for release in taken:
        assert release
        release()
    assert await probe("many", "multiprocess", 5) == 5
