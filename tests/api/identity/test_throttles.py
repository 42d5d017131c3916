"""Delays that grow.

A growth
├── lets its free attempts through without delay
├── then doubles from the first delay, and never beyond the most
└── never shrinks
An attempt
├── is refused while its subject waits, and then is not counted
├── of many at once, only as many pass as would one after the other
├── that turned out right is taken back from its address, and an account's are forgiven
├── is of its own account and address; an IPv6 customer's addresses are one
└── is forgotten after a day, and its row is cleared away
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.database import Pool, run_in_transaction, transaction
from api.errors import FlorinError, problem_response
from api.identity.errors import TooManyAttempts
from api.identity.throttles import Counted, Growth, count_attempt, forgive, network_of, take_back

GROWTH = Growth(free=2, first_s=3, most_s=20)
ANNA, BORIS, LIBRARY = (Counted(bytes([number]) * 32, GROWTH) for number in (3, 2, 1))


@given(
    st.builds(Growth, free=st.integers(0, 50), first_s=st.integers(1, 100), most_s=st.integers(100, 10_000)),
    st.integers(1, 1000),
)
def test_a_delay_grows_from_none_by_doubling_up_to_the_most(growth: Growth, counted: int) -> None:
    delay = growth.delay_s(counted)
    if counted <= growth.free:
        assert delay == 0
    elif counted == growth.free + 1:
        assert delay == growth.first_s
    else:
        assert delay == min(2 * growth.delay_s(counted - 1), growth.most_s)
    assert delay <= growth.delay_s(counted + 1) <= growth.most_s


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::2", "2001:db8:1:2::/64"),
        (None, "unknown"),
        ("testclient", "testclient"),
    ],
)
def test_what_counts_as_one_address(host: str | None, network: str) -> None:
    assert network_of(host) == network


async def attempt(pool: Pool, *counted: Counted) -> int:
    """How many there were before; the seconds to wait as a negative number."""
    try:
        return await run_in_transaction(pool, lambda conn: count_attempt(conn, counted))
    except TooManyAttempts as refusal:
        return -int(refusal.values["retry_after_s"])


async def pass_time(owner: asyncpg.Connection[asyncpg.Record], seconds: float) -> None:
    by = timedelta(seconds=seconds)
    await owner.execute(
        "UPDATE throttles SET counted_at = counted_at - $1::interval, blocked_until = blocked_until - $1", by
    )


async def test_attempts_wait_longer_and_longer(pool: Pool, owner: asyncpg.Connection[asyncpg.Record]) -> None:
    found = []
    for _ in range(7):
        found.append(await attempt(pool, ANNA))
        found.append(await attempt(pool, ANNA) if found[-1] >= 2 else 0)
        await pass_time(owner, -found[-1])
    assert found == [0, 0, 1, 0, 2, -3, 3, -6, 4, -12, 5, -20, 6, -20]


async def test_what_is_refused_is_not_counted(pool: Pool) -> None:
    for _ in range(3):
        await attempt(pool, ANNA, LIBRARY)
    assert await attempt(pool, ANNA) < 0
    assert await attempt(pool, BORIS, LIBRARY) < 0  # the library waits, and so does Boris there
    assert await attempt(pool, BORIS) == 0
    counted = await pool.fetch("SELECT counted FROM throttles ORDER BY subject")
    assert [row["counted"] for row in counted] == [3, 1, 3]


async def test_of_many_at_once_only_those_pass_that_would_one_after_the_other(pool: Pool) -> None:
    found = await asyncio.gather(
        *(
            attempt(pool, ANNA, LIBRARY) if number % 2 else attempt(pool, LIBRARY, ANNA)
            for number in range(20)
        )
    )
    assert sorted(each for each in found if each >= 0) == [0, 1, 2]


async def test_what_was_right_is_taken_back_or_forgiven(pool: Pool) -> None:
    for _ in range(3):
        await attempt(pool, ANNA, LIBRARY)
    async with transaction(pool) as conn:
        await forgive(conn, ANNA)
        await take_back(conn, LIBRARY)
    assert await attempt(pool, ANNA, LIBRARY) == 0
    assert await attempt(pool, LIBRARY, ANNA) < 0
    async with transaction(pool) as conn:
        for _ in range(5):
            await take_back(conn, LIBRARY)
    assert await attempt(pool, LIBRARY) == 0


async def test_a_day_later_nothing_is_left(pool: Pool, owner: asyncpg.Connection[asyncpg.Record]) -> None:
    for _ in range(3):
        await attempt(pool, ANNA)
    await pass_time(owner, 86_401)
    assert await attempt(pool, BORIS) == 0
    assert await pool.fetchval("SELECT count(*) FROM throttles") == 1
    assert await attempt(pool, ANNA) == 0


def test_the_answer_says_when_to_come_back() -> None:
    answer = problem_response(TooManyAttempts(73))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "73")
    assert problem_response(FlorinError("Busy", 503, "Later.")).headers["retry-after"] == "1"
