"""What the central bank can say as of a final block, so that a bank can hold its own books against it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api.errors import NotFound
from api.settlement import queries
from api.settlement.errors import BlockNotFinal

if TYPE_CHECKING:
    from api.database import Connection
    from api.institution import Institution


async def supply(conn: Connection, institution: Institution, block_number: int | None) -> dict[str, Any]:
    """Total supply and circulation as of a final block (default: the newest). Raises `BlockNotFinal`."""
    block = await _final_block(conn, block_number)
    chart = institution.central_bank_chart
    supply_minor, _ = await queries.holdings_at(conn, 0, block)
    return {
        "block_number": block,
        "supply_minor": supply_minor,
        "circulation_minor": await queries.posted_at(conn, chart.circulation, block),
        "currency": institution.settings.currency,
    }


async def statement(
    conn: Connection, institution: Institution, participant_id: int, block_number: int | None
) -> dict[str, Any]:
    """A participant as of a final block (default: the newest). Raises `NotFound` and `BlockNotFinal`."""
    row = await queries.participant(conn, participant_id)
    if row is None:
        raise NotFound("participant")
    block = await _final_block(conn, block_number)
    holdings, own = await queries.holdings_at(conn, participant_id, block)
    return {
        "participant_id": participant_id,
        "name": row["name"],
        "block_number": block,
        "reserves_minor": await queries.posted_at(conn, row["reserves_account_id"], block),
        "holdings_minor": holdings,
        "institution_minor": own,
        "customers_minor": holdings - own,
        "currency": institution.settings.currency,
    }


async def _final_block(conn: Connection, block_number: int | None) -> int:
    final = await queries.final_number(conn)
    if block_number is not None and block_number > final:
        raise BlockNotFinal(block_number, final)
    return final if block_number is None else block_number
