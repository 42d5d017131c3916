"""People's mailboxes: whatever was sent to them, kept in memory as it was sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping, Sequence

    from api.database import Connection
    from api.identity.contacts import Contact


@dataclass(frozen=True)
class SentCode:
    """One message with a code."""

    address: str
    kind: str
    code: str
    language: str


@dataclass
class MemoryCourier:
    """Sends nothing further. A message counts as sent even where its transaction is rolled back."""

    codes: list[SentCode] = field(default_factory=list)
    told: list[tuple[uuid.UUID, str, dict[str, str | int]]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    reached: dict[uuid.UUID, list[str]] = field(default_factory=dict)

    async def send_code(
        self,
        _conn: Connection,
        contact: str,
        kind: str,
        code: str,
        language: str,
        *,
        valid_for: timedelta,
        once: str,
    ) -> None:
        """Keep a code."""
        assert valid_for > timedelta(0)
        if once not in self.seen:
            self.seen.add(once)
            self.codes.append(SentCode(contact, kind, code, language))

    async def know(
        self, _conn: Connection, customer_id: uuid.UUID, _language: str, contacts: Sequence[Contact]
    ) -> None:
        """Keep where a customer is reached."""
        self.reached[customer_id] = [contact.address for contact in contacts]

    async def notify(
        self,
        _conn: Connection,
        customer_id: uuid.UUID,
        kind: str,
        values: Mapping[str, str | int],
        *,
        once: str,
    ) -> None:
        """Keep what a customer was told, once."""
        if once not in self.seen:
            self.seen.add(once)
            self.told.append((customer_id, kind, dict(values)))

    def code_for(self, address: str) -> str:
        """The last code that went to an address."""
        return next(sent.code for sent in reversed(self.codes) if sent.address == address)

    def kinds_told(self, customer_id: uuid.UUID | None = None) -> list[str]:
        """What kinds of things were told, to one customer or to all."""
        return [kind for told, kind, _ in self.told if customer_id in {None, told}]
