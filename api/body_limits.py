"""No request may be larger, or slower, than its route has use for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from api.errors import FlorinError, problem_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES: Final = 64 * 1024
MAX_BULK_BYTES: Final = 64 * 1024 * 1024
PATIENCE_S: Final = 30.0


class BodyTooLarge(FlorinError):
    """More bytes than a body of this route may have."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(
            "BodyTooLarge", 413, f"A body has at most {limit_bytes} bytes here.", limit_bytes=limit_bytes
        )


class BodyTooSlow(FlorinError):
    """Nothing of the body arrived for too long."""

    def __init__(self) -> None:
        super().__init__("BodyTooSlow", 408, f"Nothing of the body arrived for {PATIENCE_S:.0f} seconds.")


class UnsupportedEncoding(FlorinError):
    """A compressed body: what it unpacks to cannot be known before."""

    def __init__(self) -> None:
        super().__init__("UnsupportedEncoding", 415, "Send the body as it is, without Content-Encoding.")


class BodyLimits:
    """ASGI middleware: refuses compressed bodies, and bodies beyond the limit as soon as that is known."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

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
        await self._app(scope, *_limited(receive, send, scope, limit))


def _limited(receive: Receive, send: Send, scope: Scope, limit_bytes: int) -> tuple[Receive, Send]:
    """`receive` that stops at the limits, and `send` that then tells why, whatever the app makes of it."""
    received_bytes = 0
    is_complete = False
    refusal: FlorinError | None = None
    is_refused = False

    async def receive_within_limits() -> Message:
        nonlocal received_bytes, is_complete, refusal
        if is_complete:
            return await receive()
        try:
            async with asyncio.timeout(PATIENCE_S):
                message = await receive()
        except TimeoutError:
            refusal = BodyTooSlow()
            raise refusal from None
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
