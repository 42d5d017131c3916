"""Billers: payees that customers find by name. Their addresses are given by whoever keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api.addresses import address_text
from api.idempotency import IdempotencyKeyReused
from api.payments import queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.database import Connection
    from api.errors import FlorinError
    from api.institution import Institution
    from api.payments.schemas import BillerBody


async def introduce_billers(
    conn: Connection, institution: Institution, lines: Sequence[BillerBody]
) -> list[dict[str, Any] | FlorinError]:
    """Make the billers known that are not yet; answer each line in order. Safe to repeat."""
    wanted: dict[str, BillerBody] = {}
    for line in lines:
        wanted.setdefault(line.reference, line)
    bodies = [wanted[reference] for reference in sorted(wanted)]
    await conn.execute(
        """INSERT INTO billers (id, reference, name, address)
           SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[])
           ON CONFLICT (reference) DO NOTHING""",
        [institution.id_for("biller", body.reference) for body in bodies],
        [body.reference for body in bodies],
        [body.name for body in bodies],
        [body.address for body in bodies],
    )
    known = await queries.billers_named(conn, list(wanted))
    return [_outcome(line, known[line.reference]) for line in lines]


async def billers(conn: Connection, after: str, search: str, limit: int) -> dict[str, Any]:
    """A page of billers in the order of their references."""
    rows = await queries.billers_after(conn, after, search, limit)
    next_after = rows[-1]["reference"] if len(rows) == limit else None
    return {"billers": [_answer(row) for row in rows], "next_after": next_after}


def _outcome(line: BillerBody, row: Any) -> dict[str, Any] | FlorinError:
    is_same = row["name"] == line.name and row["address"] == line.address
    return _answer(row) if is_same else IdempotencyKeyReused(line.reference, "biller")


def _answer(row: Any) -> dict[str, Any]:
    return {
        "biller_id": str(row["id"]),
        "reference": row["reference"],
        "name": row["name"],
        "address": address_text(row["address"]),
    }
