"""A provider of short messages on loopback: it keeps what it took, and answers as it is told."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass
class FakeProvider:
    """`answers` are the statuses of the next requests; after them, each new id is taken, once."""

    key: str = "provider-key"
    answers: list[int] = field(default_factory=list)
    taken: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: int = 0
    url: str = ""

    async def handle(self, request: web.Request) -> web.Response:
        """One message."""
        self.asked += 1
        if request.headers.get("Authorization") != f"Bearer {self.key}":
            return web.Response(status=401)
        if self.answers:
            status = self.answers.pop(0)
            return web.Response(status=status, headers={"Location": "/elsewhere"})
        self.taken.setdefault(request.headers["Idempotency-Key"], await request.json())
        return web.json_response({"status": "queued"}, status=202)


@contextlib.asynccontextmanager
async def short_message_provider() -> AsyncIterator[FakeProvider]:
    """A provider that runs while the block does."""
    provider = FakeProvider()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", provider.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    provider.url = f"http://{host}:{port}/messages"
    try:
        yield provider
    finally:
        await runner.cleanup()
