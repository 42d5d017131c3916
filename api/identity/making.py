"""Routes that make things: one under an idempotency key, or many as JSON lines that carry references.

Both call the same verb, which makes many in one transaction and answers or refuses each, in order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from api.database import Connection, run_in_transaction
from api.errors import FlorinError
from api.fields import Body
from api.identity.once import answer_once
from api.institution import Institution
from api.ndjson import BulkExchange

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from api.identity.keys import Caller

Asked = TypeVar("Asked", bound=Body)
Outcome = dict[str, Any] | FlorinError
Make = Callable[[Connection, Institution, Sequence[Asked]], Awaitable[Sequence[Outcome]]]


async def make_one(
    request: Request, here: Institution, by: Caller, body: Asked, make: Make[Asked], *, status: int = 201
) -> Response:
    """The answer of `make` to this one body, once for its key. Raises what the verb refuses with."""

    async def work(conn: Connection) -> Outcome:
        (outcome,) = await make(conn, here, [body])
        return outcome

    return await answer_once(request, here, by, body, status=status, work=work)


def make_many(
    request: Request, here: Institution, body_type: type[Asked], make: Make[Asked]
) -> BulkExchange[Asked]:
    """The exchange in which each line is answered by `make`. Raises `UnsupportedMediaType`."""

    async def decide(lines: Sequence[Asked]) -> Sequence[Outcome]:
        return await run_in_transaction(here.pool, lambda conn: make(conn, here, lines))

    return BulkExchange(request, body_type, decide)
