"""What a courier is given, and how it says that it could not deliver."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import uuid

    from api.notifications.kinds import Channel


@dataclass(frozen=True, slots=True)
class Message:
    """A message to one address. `message_id` is the same at every try: receivers can tell a repeat by it."""

    message_id: uuid.UUID
    channel: Channel
    address: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)


class DeliveryFailed(Exception):
    """A courier could not deliver: `why` is for the record and repeats nothing of the message.

    `is_final`: it will not go better another time, since the receiver refuses the message or its address.
    """

    def __init__(self, why: str, *, is_final: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.is_final = is_final


class Courier(Protocol):
    """Carries messages of one channel."""

    async def send(self, message: Message) -> None:
        """Hand the message over; returns once its receiver is answerable for it. Raises `DeliveryFailed`."""

    async def close(self) -> None:
        """Let go of connections."""
