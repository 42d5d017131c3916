"""A visitor with a browser that runs no scripts but hears server-sent events."""

from __future__ import annotations

import re
from html import unescape
from types import TracebackType
from typing import Self

import aiohttp


class Visitor:
    """Opens pages, fills forms, listens. An async context manager."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        jar = aiohttp.CookieJar(unsafe=True)  # the site's name is an IP address
        timeout = aiohttp.ClientTimeout(total=120)
        self._session = aiohttp.ClientSession(cookie_jar=jar, timeout=timeout, headers={"Origin": self._site})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def open(self, path: str) -> str:
        """A page's HTML."""
        assert self._session is not None
        async with self._session.get(self._site + path) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.text()

    async def send(self, path: str, fields: dict[str, str]) -> str:
        """Sends a form, and follows to the page that it leads to."""
        assert self._session is not None
        async with self._session.post(self._site + path, data=fields) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.text()

    async def hear(self, path: str, until: re.Pattern[str]) -> str:
        """Listens to a page's events until one of them matches; that one."""
        assert self._session is not None
        heard = b""
        async with self._session.get(self._site + path) as answer:
            assert answer.status == 200, await answer.text()
            async for piece in answer.content.iter_any():
                heard += piece
                *events, heard = heard.split(b"\n\n")
                for event in events:
                    found = until.search(event.decode())
                    if found is not None:
                        return found[0]
        raise AssertionError(f"the events ended without {until.pattern}")


def field(page: str, name: str) -> str:
    """The value of the first input of that name."""
    tag = re.search(rf'<input[^>]*\bname="{name}"[^>]*>', page)
    assert tag is not None, f"no input {name}"
    value = re.search(r'\bvalue="([^"]*)"', tag[0])
    assert value is not None
    return unescape(value[1])
