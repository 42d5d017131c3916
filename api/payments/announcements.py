"""What is said about payments, to whom: pure, from rows as `announcing` reads them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from api.notifications.telling import Notice
from api.webhooks.events import Event

if TYPE_CHECKING:
    from collections.abc import Iterable

    import asyncpg

NEAR_PERCENT: Final = 80
"""From so much of a limit on its customer is told, once on each of the chain's days."""

_EVENTS: Final = uuid.UUID("b7c1e0f2-59c4-5d53-8f6e-3a6f0d1c2e44")


@dataclass(slots=True)
class Announcements:
    """Notices for people who are enrolled, events for webhooks that are there; in the order of what happened.

    `wanted` are the events that some webhook wants.
    """

    wanted: frozenset[str]
    notices: list[Notice] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def decided(self, rows: Iterable[asyncpg.Record]) -> None:
        """Payments that were accepted or refused just now."""
        for row in rows:
            state = "refused" if row["code"] is not None else "accepted"
            self._payment(row, state, row["created_at"])

    def failed(self, rows: Iterable[asyncpg.Record]) -> None:
        """Payments that will not happen."""
        for row in rows:
            self._payment(row, "failed", row["final_at"])

    def final(self, rows: Iterable[asyncpg.Record]) -> None:
        """Payments that the final chain has."""
        for row in rows:
            self._payment(row, "final", row["booked_at"])

    def received(self, rows: Iterable[asyncpg.Record], currency: str) -> None:
        """Money that came to wallets, from whom ever; one row for each."""
        for row in rows:
            occasion = f"received:{row['source']}:{row['wallet_id']}"
            payment_id = None if row["payment_id"] is None else str(row["payment_id"])
            if "payment.received" in self.wanted:
                data = {
                    "payment_id": payment_id,
                    "kind": "payment",
                    "state": "received",
                    "wallet_id": str(row["wallet_id"]),
                    "amount_minor": row["amount_minor"],
                    "currency": currency,
                }
                self.events.append(_event("payment.received", occasion, row["booked_at"], data))
            if row["is_enrolled"]:
                values = {
                    "payment_id": payment_id or "",
                    "amount_minor": row["amount_minor"],
                    "currency": currency,
                    "payer_name": row["payer_name"],
                }
                self.notices.append(Notice(row["customer_id"], "payment_received", values, occasion))

    def near(self, rows: Iterable[asyncpg.Record], currency: str) -> None:
        """Wallets of enrolled customers, some of which are near a limit of the chain's day."""
        for row in rows:
            for limit, reached in (("daily", row["spent_minor"]), ("holding", row["balance_minor"])):
                limit_minor = int(row[f"{limit}_limit_minor"])
                percent = reached * 100 // limit_minor if limit_minor else 0
                if percent >= NEAR_PERCENT:
                    values = {
                        "percent": min(percent, 100),
                        "limit_minor": limit_minor,
                        "currency": currency,
                    }
                    occasion = f"{limit}-limit:{row['wallet_id']}:{row['day']}"
                    self.notices.append(Notice(row["customer_id"], f"{limit}_limit_near", values, occasion))

    def _payment(self, row: asyncpg.Record, state: str, at: Any) -> None:
        kind, code = row["kind"], row["code"]
        occasion = f"{state}:{row['id']}"
        if f"payment.{state}" in self.wanted:
            data = {
                "payment_id": str(row["id"]),
                "kind": kind,
                "state": state,
                "wallet_id": str(row["payer_wallet_id"]),
                "amount_minor": row["amount_minor"],
                "currency": row["currency"],
            }
            if code is not None:
                data["code"] = code
            self.events.append(_event(f"payment.{state}", occasion, at, data))
        is_worth_telling = (
            kind == "payment" or state != "accepted"
        )  # a person's own transfer: when it is done
        if row["is_enrolled"] and is_worth_telling:
            values = {
                "payment_id": str(row["id"]),
                "amount_minor": row["amount_minor"],
                "currency": row["currency"],
            }
            if kind == "payment":
                values["payee_name"] = row["payee_name"]
            if state in {"refused", "failed"}:
                values["reason"] = code or ""
            self.notices.append(Notice(row["customer_id"], f"{kind}_{state}", values, occasion))


def _event(name: str, occasion: str, at: Any, data: dict[str, Any]) -> Event:
    return Event(uuid.uuid5(_EVENTS, occasion), name, at, data)
