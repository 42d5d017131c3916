"""Short messages over a provider's HTTP interface: one JSON object for each, under a bearer key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import aiohttp

from api.notifications.couriers.courier import DeliveryFailed

if TYPE_CHECKING:
    from api.notifications.couriers.courier import Message

TIMEOUT_S: Final = 10.0
_ANOTHER_TIME: Final = {401, 402, 403, 408, 425, 429}
"""Refusals that are not about the message: our key, our account, or the moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Whoever takes short messages: `{"from", "to", "text"}` is posted to `url`."""

    url: str
    key: str = field(repr=False)
    sender: str


class ShortMessageCourier:
    """Posts messages. The message's id is the `Idempotency-Key`, so that a repeat is not sent twice."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._session: aiohttp.ClientSession | None = None

    async def send(self, message: Message) -> None:
        """Raises `DeliveryFailed`."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        headers = {
            "Authorization": f"Bearer {self._provider.key}",
            "Idempotency-Key": str(message.message_id),
        }
        body = {"from": self._provider.sender, "to": message.address, "text": message.text}
        try:
            async with self._session.post(
                self._provider.url, json=body, headers=headers, allow_redirects=False
            ) as answer:
                status = answer.status
        except (TimeoutError, aiohttp.ClientError, OSError) as failure:
            raise DeliveryFailed(type(failure).__name__) from None
        if not 200 <= status < 300:
            is_final = 400 <= status < 500 and status not in _ANOTHER_TIME
            raise DeliveryFailed(f"HTTP {status}", is_final=is_final)

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None
