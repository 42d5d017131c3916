"""The same request gets the same answer: keys, the hash of what was asked, and the stored answer.

The key is claimed, the business change made and the answer stored in one transaction. A second request
with the same key waits on the first one's row: when the first commits it gets the stored answer, when the
first rolls back it runs itself. A refusal that was decided on (4xx) is an answer too, and is remembered;
its business change is not.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from api.database import Connection, Pool, run_in_transaction
from api.errors import FlorinError, problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_FORGETTABLE: Final = frozenset({401, 403, 408, 425, 429})


class IdempotencyKeyRequired(FlorinError):
    """A request that changes something came without its `Idempotency-Key` header, or with a malformed one."""

    def __init__(self) -> None:
        super().__init__(
            "IdempotencyKeyRequired",
            400,
            "Send an Idempotency-Key header of 1 to 255 visible ASCII characters, new for each intention.",
        )


class IdempotencyKeyReused(FlorinError):
    """The key, or the reference that serves as one, already belongs to something with other content."""

    def __init__(self, key: str, what: str = "request") -> None:
        super().__init__(
            "IdempotencyKeyReused",
            422,
            f"{key!r} was used for another {what}: choose a new one for each intention, or send the first "
            "content again.",
            key=key,
        )


@dataclass(frozen=True, slots=True)
class Request:
    """One request as idempotency sees it: who, under which key, and the hash of what."""

    caller: str
    key: str
    hash: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a JSON body; `is_replay` when it was given before."""

    status: int
    body: Any
    is_replay: bool = False

    @property
    def is_refusal(self) -> bool:
        """Whether the body is a problem document."""
        return self.status >= 400


def require_key(header: str | None) -> str:
    """The value of the `Idempotency-Key` header. Raises `IdempotencyKeyRequired`."""
    if header is None or _KEY.fullmatch(header) is None:
        raise IdempotencyKeyRequired
    return header


def hash_request(route: str, body: object) -> bytes:
    """SHA-256 of the route (`"POST /v1/payments"`) and the parsed body, whatever its fields' order."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(f"{route}\n{canonical}".encode()).digest()


async def answer_once(
    pool: Pool, request: Request, work: Callable[[Connection], Awaitable[Answer]]
) -> Answer:
    """The stored answer of `request`, or that of `work`, which runs in the same transaction.

    A `FlorinError` below 500 that `work` raises undoes what it did and becomes the stored answer; any other
    exception undoes everything and frees the key. Raises `IdempotencyKeyReused`.
    """

    async def claim_and_work(connection: Connection) -> Answer:
        (known,) = await claim(connection, [request])
        if isinstance(known, IdempotencyKeyReused):
            raise known
        if known is not None:
            return known
        try:
            async with connection.transaction():
                answer = await work(connection)
        except FlorinError as refusal:
            if not is_remembered(refusal):
                raise
            answer = refused(refusal)
        await store(connection, [(request, answer)])
        return answer

    return await run_in_transaction(pool, claim_and_work)


async def claim(
    connection: Connection, requests: Sequence[Request]
) -> list[Answer | IdempotencyKeyReused | None]:
    """Claim each request's key in the caller's transaction, in one statement; results in the order given.

    None: the key is new and now belongs to this transaction, which must `store` its answer. Otherwise the
    answer that was stored, or the refusal of a reused key. Waits for other transactions that hold one of
    the keys. Each (caller, key) may occur once in `requests`. Lock order: keys before balances.
    """
    if len({(request.caller, request.key) for request in requests}) != len(requests):
        raise ValueError("each key may be claimed once in a call")
    claimed = await connection.fetch(
        """INSERT INTO idempotency_keys (caller, key, request_hash)
           SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[]) AS asked (caller, key, request_hash)
            ORDER BY caller, key
           ON CONFLICT DO NOTHING RETURNING caller, key""",
        *_columns(requests),
    )
    new = {(row["caller"], row["key"]) for row in claimed}
    known = [request for request in requests if (request.caller, request.key) not in new]
    stored: dict[tuple[str, str], Answer | IdempotencyKeyReused] = {}
    if known:
        rows = await connection.fetch(
            """SELECT k.caller, k.key, k.request_hash = asked.request_hash AS is_same, k.status, k.response
                 FROM unnest($1::text[], $2::text[], $3::bytea[]) AS asked (caller, key, request_hash)
                 JOIN idempotency_keys k USING (caller, key)""",
            *_columns(known),
        )
        stored = {(row["caller"], row["key"]): _read(row) for row in rows}
    return [stored.get((request.caller, request.key)) for request in requests]


async def store(connection: Connection, answers: Sequence[tuple[Request, Answer]]) -> None:
    """Store the answers of claimed requests, in the transaction that claimed them."""
    await connection.execute(
        """UPDATE idempotency_keys k SET status = given.status, response = given.response::json
             FROM unnest($1::text[], $2::text[], $3::integer[], $4::text[])
                  AS given (caller, key, status, response)
            WHERE k.caller = given.caller AND k.key = given.key""",
        [request.caller for request, _ in answers],
        [request.key for request, _ in answers],
        [answer.status for _, answer in answers],
        [json.dumps(answer.body, separators=(",", ":")) for _, answer in answers],
    )


def refused(error: FlorinError) -> Answer:
    """A refusal as the answer that is stored and sent."""
    return Answer(error.status, problem(error))


def is_remembered(error: FlorinError) -> bool:
    """Whether a refusal is a decision about the request, and not about the moment or the caller."""
    return 400 <= error.status < 500 and error.status not in _FORGETTABLE


def _columns(requests: Sequence[Request]) -> tuple[list[str], list[str], list[bytes]]:
    return (
        [request.caller for request in requests],
        [request.key for request in requests],
        [request.hash for request in requests],
    )


def _read(row: Any) -> Answer | IdempotencyKeyReused:
    if not row["is_same"]:
        return IdempotencyKeyReused(row["key"])
    assert row["status"] is not None, "a claimed key was committed without its answer"
    return Answer(row["status"], json.loads(row["response"]), is_replay=True)
