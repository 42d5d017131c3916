"""Names of hosts as the sender's connections look them up: only to public addresses."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from aiohttp.abc import AbstractResolver, ResolveResult

from api.webhooks.destinations import is_public

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class ForbiddenAddress(OSError):
    """A name that leads to where webhooks may not go."""

    def __init__(self) -> None:
        super().__init__("the host has an address that is not public")


async def look_up(host: str, port: int) -> list[str]:
    """The addresses of a name, by the system's own means. Raises `OSError`."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class PublicResolver(AbstractResolver):
    """Gives the connector a name's addresses if all are public, and else none at all."""

    def __init__(self, lookup: Callable[[str, int], Awaitable[list[str]]] = look_up) -> None:
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises `ForbiddenAddress`, and `OSError` for a name that is nobody's."""
        addresses = await self._lookup(host, port)
        if not addresses or not all(is_public(address) for address in addresses):
            raise ForbiddenAddress
        return [_result(host, port, address) for address in addresses]

    async def close(self) -> None:
        """There is nothing to let go of."""


def _result(host: str, port: int, address: str) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=flags)
