"""Routes that change something: the same key gets the same answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

from api import idempotency
from api.errors import PROBLEM_MEDIA_TYPE, FlorinError

if TYPE_CHECKING:
    import uuid
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from api.database import Connection
    from api.fields import Body
    from api.identity.keys import Caller
    from api.institution import Institution

IDEMPOTENCY_HEADER: dict[str, Any] = {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": True,
            "description": "New for each intention; the same key with the same body gets the same answer.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        }
    ]
}
"""What OpenAPI says about the header; routes that use `answer_once` add it."""


def intention_id(request: Request, institution: Institution, caller: Caller) -> uuid.UUID:
    """The id of what this request's key stands for: the same key gives the same id."""
    key = idempotency.require_key(request.headers.get("idempotency-key"))
    return institution.id_for("intention", request.url.path, caller.name, key)


async def answer_once(
    request: Request,
    institution: Institution,
    caller: Caller,
    body: Body,
    *,
    status: int,
    work: Callable[[Connection], Awaitable[dict[str, Any] | FlorinError]],
) -> JSONResponse:
    """The answer of `work` with `status`, or the answer that this key got before."""
    asked = idempotency.Request(
        caller=caller.name,
        key=idempotency.require_key(request.headers.get("idempotency-key")),
        hash=idempotency.hash_request(f"{request.method} {request.url.path}", body.model_dump(mode="json")),
    )

    async def decide(conn: Connection) -> idempotency.Answer:
        outcome = await work(conn)
        if isinstance(outcome, FlorinError):
            raise outcome
        return idempotency.Answer(status, outcome)

    answer = await idempotency.answer_once(institution.pool, asked, decide)
    headers = {"Idempotent-Replay": "true"} if answer.is_replay else {}
    media_type = PROBLEM_MEDIA_TYPE if answer.is_refusal else "application/json"
    return JSONResponse(answer.body, status_code=answer.status, headers=headers, media_type=media_type)
