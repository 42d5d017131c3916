"""The same request gets the same answer.

A request with a key
├── that is new: the work runs once, and its answer is stored with its change
├── that is known, with the same body: the same answer, byte for byte, and no work
├── that is known, with another body or route: refused
├── of another caller: a key of its own
├── that arrives twice at once: the second waits and gets the first one's answer
├── whose first try failed: runs again
├── whose work refuses: the refusal is the answer for ever, and nothing else is left of the work
├── whose work cannot decide now (503), or whose caller may not (403): forgotten
└── whose connection was lost before commit: leaves nothing, and runs again
Without a key, or with a malformed one: refused
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from api.database import Connection, Pool, transaction
from api.errors import DatabaseUnavailable, FlorinError
from api.idempotency import (
    Answer,
    IdempotencyKeyRequired,
    IdempotencyKeyReused,
    Request,
    answer_once,
    claim,
    hash_request,
    require_key,
    store,
)

if TYPE_CHECKING:
    import asyncpg

ROUTE = "POST /v1/customers"
WAITS = """SELECT EXISTS (SELECT FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock')"""


def request(key: str = "key-1", body: object = None, caller: str = "caller-1", route: str = ROUTE) -> Request:
    return Request(caller, key, hash_request(route, body if body is not None else {"reference": "c-1"}))


class Work:
    """Opens a case and answers with how many there are; may fail in a way of its own."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.runs = 0
        self.failure = failure
        self.may_finish = asyncio.Event()
        self.may_finish.set()

    async def __call__(self, connection: Connection) -> Answer:
        self.runs += 1
        await connection.execute("INSERT INTO chain_cases (kind, detail) VALUES ('work', '{}')")
        await self.may_finish.wait()
        if self.failure is not None:
            raise self.failure
        return Answer(202, {"z": await changes(connection), "a": [1.0, "é", None]})


async def changes(connection: Connection | Pool) -> int:
    count: int = await connection.fetchval("SELECT count(*) FROM chain_cases")
    return count


async def test_a_replay_gets_the_same_bytes_and_does_no_work(pool: Pool) -> None:
    work = Work()
    first = await answer_once(pool, request(), work)
    again = await answer_once(pool, request(), work)
    assert (first.status, first.is_replay, again.status, again.is_replay) == (202, False, 202, True)
    assert json.dumps(first.body) == json.dumps(again.body)
    assert (work.runs, await changes(pool)) == (1, 1)


async def test_the_order_of_fields_does_not_make_another_request(pool: Pool) -> None:
    work = Work()
    await answer_once(pool, request(body={"a": 1, "b": 2}), work)
    assert (await answer_once(pool, request(body={"b": 2, "a": 1}), work)).is_replay


@pytest.mark.parametrize(
    "other",
    [request(body={"reference": "c-2"}), request(route="POST /v1/accounts"), request(body={"reference": 1})],
)
async def test_another_request_under_the_same_key_is_refused(pool: Pool, other: Request) -> None:
    work = Work()
    await answer_once(pool, request(), work)
    with pytest.raises(IdempotencyKeyReused) as refusal:
        await answer_once(pool, other, work)
    assert (refusal.value.status, refusal.value.code) == (422, "IdempotencyKeyReused")
    assert (work.runs, await changes(pool)) == (1, 1)


async def test_callers_do_not_share_keys(pool: Pool) -> None:
    work = Work()
    await answer_once(pool, request(), work)
    assert not (await answer_once(pool, request(caller="caller-2"), work)).is_replay
    assert work.runs == 2


async def test_the_second_of_two_at_once_waits_for_the_answer(
    pool: Pool, superuser: asyncpg.Connection[asyncpg.Record]
) -> None:
    work = Work()
    work.may_finish.clear()
    both = [asyncio.create_task(answer_once(pool, request(), work)) for _ in range(2)]
    async with asyncio.timeout(10):
        while not await superuser.fetchval(WAITS):  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.005)
    assert work.runs == 1
    work.may_finish.set()
    answers = await asyncio.gather(*both)
    assert sorted(answer.is_replay for answer in answers) == [False, True]
    assert answers[0].body == answers[1].body
    assert (work.runs, await changes(pool)) == (1, 1)


async def test_the_second_of_two_at_once_runs_when_the_first_fails(pool: Pool) -> None:
    broken, sound = Work(KeyError("broken")), Work()
    outcomes = await asyncio.gather(
        answer_once(pool, request(), broken), answer_once(pool, request(), sound), return_exceptions=True
    )
    answer = outcomes[1] if isinstance(outcomes[1], Answer) else await answer_once(pool, request(), sound)
    assert answer.status == 202
    assert isinstance(outcomes[0], KeyError | Answer)
    assert await changes(pool) == 1


async def test_a_refusal_is_the_answer_and_leaves_nothing_else(pool: Pool) -> None:
    refusing, willing = Work(FlorinError("InsufficientFunds", 422, "Too little.", available_minor=5)), Work()
    first = await answer_once(pool, request(), refusing)
    again = await answer_once(pool, request(), willing)
    assert (first.status, first.body["code"], first.body["available_minor"]) == (422, "InsufficientFunds", 5)
    assert first.is_refusal
    assert (again.status, again.body, again.is_replay) == (422, first.body, True)
    assert (willing.runs, await changes(pool)) == (0, 0)


@pytest.mark.parametrize(
    "failure",
    [
        DatabaseUnavailable(),
        FlorinError("Forbidden", 403, "No."),
        FlorinError("TooManyRequests", 429, "Later."),
        RuntimeError("a bug"),
    ],
)
async def test_what_is_no_decision_is_forgotten(pool: Pool, failure: Exception) -> None:
    with pytest.raises(type(failure)):
        await answer_once(pool, request(), Work(failure))
    assert await pool.fetchval("SELECT count(*) FROM idempotency_keys") == 0
    assert not (await answer_once(pool, request(), Work())).is_replay
    assert await changes(pool) == 1


async def test_a_lost_connection_leaves_the_key_free(
    pool: Pool, superuser: asyncpg.Connection[asyncpg.Record]
) -> None:
    async def lose(connection: Connection) -> Answer:
        await connection.execute("INSERT INTO chain_cases (kind, detail) VALUES ('work', '{}')")
        await superuser.execute("SELECT pg_terminate_backend($1, 5000)", connection.get_server_pid())
        return Answer(202, {})

    with pytest.raises(DatabaseUnavailable):
        await answer_once(pool, request(), lose)
    assert await changes(pool) == 0
    assert not (await answer_once(pool, request(), Work())).is_replay


async def test_many_keys_are_claimed_and_answered_at_once(pool: Pool) -> None:
    asked = [request(f"key-{number}") for number in range(50)]
    async with transaction(pool) as connection:
        assert await claim(connection, asked[10:20]) == [None] * 10
        await store(connection, [(one, Answer(201, {"key": one.key})) for one in asked[10:20]])
    other = request("key-15", body={"another": True})
    async with transaction(pool) as connection:
        known = await claim(connection, [*asked[:15], other, *asked[16:]])
        assert [answer is None for answer in known] == [True] * 10 + [False] * 10 + [True] * 30
        assert known[12] == Answer(201, {"key": "key-12"}, is_replay=True)
        assert isinstance(known[15], IdempotencyKeyReused)
        with pytest.raises(ValueError, match="once in a call"):
            await claim(connection, [asked[0], asked[0]])


async def test_batches_with_the_same_keys_in_other_orders_do_not_deadlock(pool: Pool) -> None:
    async def answer_all(requests: list[Request]) -> int:
        async with transaction(pool) as connection:
            known = await claim(connection, requests)
            new = [one for one, answer in zip(requests, known, strict=True) if answer is None]
            await store(connection, [(one, Answer(201, {})) for one in new])
            return len(new)

    for round_number in range(4):
        asked = [request(f"key-{round_number}-{number}") for number in range(2000)]
        counts = await asyncio.gather(answer_all(asked), answer_all(asked[::-1]))
        assert sorted(counts) == [0, 2000]


@pytest.mark.parametrize("header", [None, "", " ", "two words", "é", "x" * 256, "a\nb"])
def test_a_missing_or_malformed_key_is_refused(header: str | None) -> None:
    with pytest.raises(IdempotencyKeyRequired) as refusal:
        require_key(header)
    assert (refusal.value.status, refusal.value.code) == (400, "IdempotencyKeyRequired")
    assert require_key("x" * 255) == "x" * 255
