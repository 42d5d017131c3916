"""The verbs on customers: create (alone or in bulk), and look up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api.errors import FlorinError, NotFound
from api.idempotency import IdempotencyKeyReused

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from api.database import Connection
    from api.identity.schemas import CustomerBody
    from api.institution import Institution


async def create_customers(
    conn: Connection, institution: Institution, lines: Sequence[CustomerBody]
) -> list[dict[str, Any] | FlorinError]:
    """Create the customers that are not known yet; answer each line in order. Safe to repeat.

    A reference that names a customer of another name is answered with `IdempotencyKeyReused`.
    """
    names: dict[str, str] = {}
    for line in lines:
        names.setdefault(line.reference, line.name)
    # in one order everywhere, so that two requests with the same references wait instead of deadlocking
    references = sorted(names)
    await conn.execute(
        """INSERT INTO customers (id, reference, name)
           SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[]) ON CONFLICT (reference) DO NOTHING""",
        [institution.id_for("customer", reference) for reference in references],
        references,
        [names[reference] for reference in references],
    )
    rows = await conn.fetch(
        "SELECT id, reference, name, created_at FROM customers WHERE reference = ANY($1)", references
    )
    known = {row["reference"]: row for row in rows}
    return [
        _answer(known[line.reference])
        if known[line.reference]["name"] == line.name
        else IdempotencyKeyReused(line.reference, "customer")
        for line in lines
    ]


async def customer(conn: Connection, customer_id: uuid.UUID) -> dict[str, Any]:
    """One customer. Raises `NotFound`."""
    row = await conn.fetchrow(
        "SELECT id, reference, name, created_at FROM customers WHERE id = $1", customer_id
    )
    if row is None:
        raise NotFound("customer")
    return _answer(row)


async def customer_ids(conn: Connection, references: Sequence[str]) -> dict[str, uuid.UUID]:
    """The ids of the customers that these references name; unknown references are absent."""
    rows = await conn.fetch("SELECT id, reference FROM customers WHERE reference = ANY($1)", list(references))
    return {row["reference"]: row["id"] for row in rows}


def _answer(row: Any) -> dict[str, Any]:
    return {
        "customer_id": str(row["id"]),
        "reference": row["reference"],
        "name": row["name"],
        "created_at": row["created_at"].isoformat(),
    }
