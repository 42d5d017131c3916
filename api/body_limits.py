"""No request may be larger, or slower, than its route has use for."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from api.errors import FlorinError, problem_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES: Final = 64 * 1024
MAX_BULK_BYTES: Final = 64 * 1024 * 1024
PATIENCE_S: Final = 30.0
LEAST_BYTES_PER_S: Final = 1024


class BodyTooLarge(FlorinError):
    """More bytes than a body of this route may have."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(
            "BodyTooLarge", 413, f"A body has at most {limit_bytes} bytes here.", limit_bytes=limit_bytes
        )


class BodyTooSlow(FlorinError):
    """The body, or its next part, did not arrive in time."""

    def __init__(self) -> None:
        sentence = f"Send the body without pauses, and faster than {LEAST_BYTES_PER_S} bytes a second."
        super().__init__("BodyTooSlow", 408, sentence)


class UnsupportedEncoding(FlorinError):
    """A compressed body: what it unpacks to cannot be known before."""

    def __init__(self) -> None:
        super().__init__("UnsupportedEncoding", 415, "Send the body as it is, without Content-Encoding.")


class BodyLimits:
    """ASGI middleware: refuses compressed bodies, and bodies beyond the limit as soon as that is known."""

    def __init__(self, app: ASGIApp, patience_s: float = PATIENCE_S) -> None:
        self._app = app
        self._patience_s = patience_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = MAX_BULK_BYTES if scope["path"].endswith(":bulk") else MAX_BODY_BYTES
        headers = dict(scope["headers"])
        refusal: FlorinError | None = None
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            refusal = UnsupportedEncoding()
        elif (stated := headers.get(b"content-length", b"0")).isdigit() and int(stated) > limit:
            refusal = BodyTooLarge(limit)
        if refusal is not None:
            await problem_response(refusal)(scope, receive, send)
            return
        await self._app(scope, *_limited(receive, send, scope, limit, self._patience_s))


def _limited(
    receive: Receive, send: Send, scope: Scope, limit_bytes: int, patience_s: float
) -> tuple[Receive, Send]:
    """`receive` that stops at the limits, and `send` that then tells why, whatever the app makes of it."""
    received_bytes = 0
    waited_s = 0.0
    is_complete = False
    refusal: FlorinError | None = None
    is_refused = False

    async def receive_within_limits() -> Message:
        nonlocal received_bytes, waited_s, is_complete, refusal
        if is_complete:
            return await receive()
        began_at = time.monotonic()
        try:
            left_s = patience_s + received_bytes / LEAST_BYTES_PER_S - waited_s
            async with asyncio.timeout(min(patience_s, left_s)):
                message = await receive()
        except TimeoutError:
            refusal = BodyTooSlow()
            raise refusal from None
        waited_s += time.monotonic() - began_at  # what we did with the last part is not the caller's slowness
        received_bytes += len(message.get("body", b""))
        if received_bytes > limit_bytes:
            refusal = BodyTooLarge(limit_bytes)
            raise refusal
        is_complete = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def send_or_refuse(message: Message) -> None:
        nonlocal is_refused
        if refusal is not None and message["type"] == "http.response.start":
            is_refused = True
            await problem_response(refusal)(scope, receive, send)
        elif not is_refused:
            await send(message)

    return receive_within_limits, send_or_refuse
