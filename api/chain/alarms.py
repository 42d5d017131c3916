"""Freezes, cases and health: how the worker tells people, and how it stops itself."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

if TYPE_CHECKING:
    from api.database import Connection, Pool

logger = logging.getLogger(__name__)

Flow = Literal["settle", "indexer", "registration", "issuance", "anchoring"]
Component = Literal[
    "chain", "signer", "relay", "indexer", "reconciliation", "anchoring",
    "announcing", "messages", "webhooks", "orders",
]  # fmt: skip

_FLOW_OF_KIND: Final[dict[str, Flow]] = {
    "settle": "settle",
    "register": "registration",
    "mint": "issuance",
    "burn": "issuance",
    "increase_mint_allowance": "issuance",
    "decrease_mint_allowance": "issuance",
    "anchor": "anchoring",
}


def flow_of(kind: str) -> Flow | None:
    """The flow whose freeze stops transactions of this kind; None: nothing stops it (limits, pause)."""
    return _FLOW_OF_KIND.get(kind)


async def freeze(connection: Connection, flow: Flow, reason: str) -> None:
    """Stop a flow until a person deletes the row. The first reason stays."""
    await connection.execute(
        "INSERT INTO chain_freezes (flow, reason) VALUES ($1, $2) ON CONFLICT (flow) DO NOTHING", flow, reason
    )
    logger.critical("frozen %s: %s", flow, reason)


async def frozen_flows(connection: Connection | Pool) -> frozenset[str]:
    """The flows that are stopped."""
    return frozenset(row["flow"] for row in await connection.fetch("SELECT flow FROM chain_freezes"))


async def open_case(connection: Connection, kind: str, /, **detail: Any) -> None:
    """Leave something for a person to look into. An equal open case is not opened twice."""
    text = msgspec.json.encode(detail).decode()
    await connection.execute(
        """
        INSERT INTO chain_cases (kind, detail)
        SELECT $1::text, $2::jsonb WHERE NOT EXISTS (
            SELECT FROM chain_cases
             WHERE kind = $1::text AND detail = $2::jsonb AND closed_at IS NULL
               AND detail - 'in_transit_minor' = $2::jsonb - 'in_transit_minor')  -- the index
        """,
        kind,
        text,
    )
    logger.error("case %s: %s", kind, text)


async def add_to_case(connection: Connection, kind: str, /, *, in_transit_minor: int, **detail: Any) -> None:
    """Leave money that waits in transit for a person to look into: one open case for all of the same detail,
    whose `in_transit_minor` grows.
    """
    text = msgspec.json.encode(detail).decode()
    updated = await connection.execute(
        """
        UPDATE chain_cases
           SET detail = detail || jsonb_build_object(
               'in_transit_minor', (detail ->> 'in_transit_minor')::bigint + $3)
         WHERE kind = $1 AND detail - 'in_transit_minor' = $2::jsonb AND closed_at IS NULL
        """,
        kind,
        text,
        in_transit_minor,
    )
    if updated == "UPDATE 0":
        await open_case(connection, kind, **detail, in_transit_minor=in_transit_minor)


async def report_health(
    connection: Connection | Pool, component: Component, is_ok: bool, detail: str = ""
) -> None:
    """Say how a component is; readers judge `seen_at` as well."""
    await connection.execute(
        """
        INSERT INTO chain_health (component, is_ok, detail, seen_at) VALUES ($1, $2, $3, clock_timestamp())
        ON CONFLICT (component) DO UPDATE
           SET is_ok = excluded.is_ok, detail = excluded.detail, seen_at = excluded.seen_at
        """,
        component,
        is_ok,
        detail[:500],
    )
