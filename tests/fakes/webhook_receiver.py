"""A receiver of webhooks on loopback: it verifies with an independent library, and answers as it is told."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web
from standardwebhooks import Webhook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass
class Receiver:
    """`answers` are the statuses of the next requests; while `is_slow`, requests are not answered."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    always: int = 204
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    is_slow: bool = False
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.Response:
        """One event."""
        self.requests.append(({k.lower(): v for k, v in request.headers.items()}, await request.read()))
        self.arrived.set()
        if self.is_slow:
            await asyncio.Event().wait()
        status = self.answers.pop(0) if self.answers else self.always
        return web.Response(status=status, headers={"Location": self.url + "/elsewhere"})

    @property
    def ids(self) -> list[str]:
        """The ids of what came."""
        return [headers["webhook-id"] for headers, _ in self.requests]

    def verified(self, secret: str) -> list[Any]:
        """What came, as the library reads it with this secret; it raises where a signature is wrong."""
        return [Webhook(secret).verify(body, headers) for headers, body in self.requests]


@contextlib.asynccontextmanager
async def webhook_receiver() -> AsyncIterator[Receiver]:
    """A receiver that runs while the block does."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    receiver.url = f"http://{host}:{port}/events"
    try:
        yield receiver
    finally:
        await runner.cleanup()
