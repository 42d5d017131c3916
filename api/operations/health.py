"""Ready means: database, chain, signer and indexer all answer, and the indexer is close behind the chain."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from api.operations import queries

if TYPE_CHECKING:
    from api.institution import Institution

REQUIRED: Final = ("chain", "signer", "indexer")
FRESH_S: Final = 30.0
MAX_LAG_BLOCKS: Final = 30


async def readiness(institution: Institution) -> dict[str, Any]:
    """Whether the institution can do its work, and what each part says."""
    try:
        async with institution.pool.acquire(timeout=5) as conn:
            rows = {row["component"]: row for row in await queries.component_health(conn)}
            cursor = await queries.cursor(conn)
            frozen = await queries.freezes(conn)
    except Exception:  # whatever it is, the database cannot be used
        return {"is_ready": False, "checks": {"database": {"is_ok": False, "detail": "does not answer"}}}
    checks: dict[str, dict[str, Any]] = {"database": {"is_ok": True, "detail": ""}}
    for component in dict.fromkeys((*REQUIRED, *rows)):
        row = rows.get(component)
        checks[component] = _check(row) if row else {"is_ok": False, "detail": "has not reported yet"}
    lag = cursor["head_number"] - cursor["final_number"] if cursor else None
    allowed = institution.settings.confirmations + MAX_LAG_BLOCKS
    checks["indexer_lag"] = {
        "is_ok": lag is not None and lag <= allowed,
        "detail": "nothing indexed yet"
        if lag is None
        else f"{lag} blocks behind the head, {allowed} allowed",
    }
    needed = ("database", *REQUIRED, "indexer_lag")
    return {
        "is_ready": all(checks[name]["is_ok"] for name in needed),
        "checks": checks,
        "frozen_flows": [row["flow"] for row in frozen],
    }


async def reconciliation(institution: Institution) -> dict[str, Any]:
    """The newest comparison of books and chain. Before the first one, `is_reconciled` is false."""
    async with institution.pool.acquire() as conn:
        row = await queries.last_reconciliation(conn)
        frozen = await queries.freezes(conn)
        cases = await queries.open_cases(conn)
    return {
        "difference_minor": row["difference_minor"] if row else 0,
        "is_reconciled": row is not None and row["difference_minor"] == 0 and not row["mismatched"],
        "block_number": row["block_number"] if row else None,
        "run_at": row["run_at"].isoformat() if row else None,
        "checks": json.loads(row["checks"]) if row else [],
        "mismatched_accounts": row["mismatched"] if row else [],
        "freezes": [
            {"flow": each["flow"], "reason": each["reason"], "frozen_at": each["frozen_at"].isoformat()}
            for each in frozen
        ],
        "open_cases": cases,
    }


def _check(row: Any) -> dict[str, Any]:
    is_fresh = row["age_s"] <= FRESH_S
    detail = row["detail"] if is_fresh else f"last heard of {row['age_s']:.0f} s ago"
    return {"is_ok": row["is_ok"] and is_fresh, "detail": detail}
