"""News for open pages: one LISTEN connection for the process, fanned out to whoever watches."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import StreamingResponse

from api.database import listen
from api.errors import DatabaseUnavailable
from api.notifications.telling import FEED_CHANNEL
from api.web.errors import TooManyListeners

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from api.institution import Institution

CHANNELS: Final = ("florin_outbox", "florin_final", FEED_CHANNEL)
MAX_WATCHERS: Final = 500
MAX_WATCHERS_EACH: Final = 8
MAX_WATCHERS_OF_HOST: Final = 50
LEAST_PAUSE_S: Final = 0.3
LOOK_ANYWAY_S: Final = 2.0
KEEP_ALIVE_S: Final = 15.0

logger = logging.getLogger(__name__)


class News:
    """Wakes every watcher when something was accepted or became final, and every two seconds in any case."""

    def __init__(self) -> None:
        self._watchers: dict[asyncio.Event, object] = {}
        self.is_stopping: Callable[[], bool] = lambda: False

    @asynccontextmanager
    async def running(self, institution: Institution) -> AsyncIterator[None]:
        """Listens while the block runs."""
        task = asyncio.create_task(self._listen(institution.settings.database_url))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def wait(self, watcher: asyncio.Event) -> None:
        """Wait for news; returns at the latest after `LOOK_ANYWAY_S`."""
        try:
            async with asyncio.timeout(LOOK_ANYWAY_S):
                await watcher.wait()
        except TimeoutError:
            pass
        watcher.clear()

    def watch(self, owner: object, limit: int = MAX_WATCHERS_EACH) -> asyncio.Event:
        """A new watcher of `owner`, who may have `limit` of them: each renders for itself.

        Raises `TooManyListeners`.
        """
        of_owner = sum(each == owner for each in self._watchers.values())
        if len(self._watchers) >= MAX_WATCHERS or of_owner >= limit:
            raise TooManyListeners
        watcher = asyncio.Event()
        self._watchers[watcher] = owner
        return watcher

    def forget(self, watcher: asyncio.Event) -> None:
        """End a watcher."""
        self._watchers.pop(watcher, None)

    async def _listen(self, database_url: str) -> None:
        while True:
            try:
                async with listen(database_url, *CHANNELS) as notifications:
                    while True:
                        await notifications.wait(LOOK_ANYWAY_S)
                        for watcher in self._watchers:
                            watcher.set()
            except DatabaseUnavailable:
                logger.warning("no news for the pages: the database does not answer")
                await asyncio.sleep(1)


def stream_fragments(
    request: Request, news: News, owner: object, render: Callable[[], Awaitable[dict[str, str] | None]]
) -> StreamingResponse:
    """Server-sent events: what `render` returns as event -> HTML, again when it changed; None ends it.

    `owner` is who may have few pages open; None stands for the visitor's host, which many may share.
    """
    host = request.client.host if request.client else ""
    watcher = news.watch(host, MAX_WATCHERS_OF_HOST) if owner is None else news.watch(owner)

    async def events() -> AsyncIterator[str]:
        sent: dict[str, str] = {}
        spoke_at = time.monotonic()
        yield "retry: 2000\n\n"
        while not news.is_stopping() and not await request.is_disconnected():
            fragments = await render()
            if fragments is None:
                return
            for name, html in fragments.items():
                if sent.get(name) != html:
                    sent[name] = html
                    spoke_at = time.monotonic()
                    yield _event(name, html)
            if time.monotonic() - spoke_at > KEEP_ALIVE_S:
                spoke_at = time.monotonic()
                yield ": still here\n\n"
            await asyncio.sleep(LEAST_PAUSE_S)
            await news.wait(watcher)

    return _Watching(
        events(), news, watcher, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
    )


class _Watching(StreamingResponse):
    """Forgets its watcher when it ends, also where its visitor left before it began."""

    def __init__(
        self, content: AsyncIterator[str], news: News, watcher: asyncio.Event, **options: Any
    ) -> None:
        super().__init__(content, **options)
        self._news = news
        self._watcher = watcher

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._news.forget(self._watcher)


def _event(name: str, html: str) -> str:
    lines = "".join(f"data: {line}\n" for line in html.splitlines() if line.strip())
    return f"event: {name}\n{lines}\n"
