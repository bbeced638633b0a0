"""Identifiers: uuid7 strings that only grow."""

from __future__ import annotations

import itertools
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from bubus._ids import new_id


def test_an_id_is_a_canonical_uuid7() -> None:
    """An id is the usual text form of a UUID of version 7."""
    made = new_id()

    assert UUID(made).version == 7
    assert str(UUID(made)) == made
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", made)


def test_ids_strictly_increase() -> None:
    """Of any two ids, the later one is greater, also within a millisecond."""
    made = [new_id() for _ in range(10_000)]

    assert all(one < other for one, other in itertools.pairwise(made))


def test_ids_strictly_increase_across_threads() -> None:
    """Each thread sees its ids grow, and no id is made twice."""

    def make(_: int) -> list[str]:
        return [new_id() for _ in range(2_000)]

    with ThreadPoolExecutor(4) as pool:
        batches = list(pool.map(make, range(8)))

    assert all(batch == sorted(batch) for batch in batches)
    assert len({one for batch in batches for one in batch}) == 16_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_makes_ids_of_its_own() -> None:
    """Parent and child of a fork do not make the same ids."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, new_id().encode())
        os._exit(0)
    mine = new_id()
    os.waitpid(child, 0)
    theirs = os.read(reading, 36).decode()
    os.close(reading)
    os.close(writing)

    assert theirs != mine
    assert sys.getsizeof(theirs) == sys.getsizeof(mine)
