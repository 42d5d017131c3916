"""The central bank's page: supply, participants, tiers, issuance, and whether books and chain agree."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.operations.health import reconciliation
from api.settlement import queries as settlement_queries
from api.settlement import statements
from api.web import queries
from api.web.live import News, stream_fragments
from api.web.rendering import Page, PageRoute

router = APIRouter(route_class=PageRoute, include_in_schema=False)

SHOWN_ISSUANCES = 8


@router.get("/")
async def home(request: Request) -> Response:
    """The overview. What single banks hold is shown in a sandbox only."""
    page = Page(request)
    return page.answer("central_bank.html", **await _overview(page))


@router.get("/events")
async def events(request: Request) -> Response:
    """The overview as it changes, as server-sent events."""
    page = Page(request)
    news: News = request.app.state.news

    async def render() -> dict[str, str] | None:
        return {"overview": page.render("_overview.html", **await _overview(page))}

    return stream_fragments(request, news, None, render)


async def _overview(page: Page) -> dict[str, Any]:
    institution = page.institution
    async with institution.pool.acquire() as conn:
        supply = await statements.supply(conn, institution, None)
        tiers = await settlement_queries.tiers(conn)
        banks: list[dict[str, Any]] = []
        issuances: list[Any] = []
        if institution.settings.is_sandbox:
            allowances = await queries.mint_allowances(conn)
            for row in await settlement_queries.participants(conn):
                statement = await statements.statement(conn, institution, row["id"], None)
                banks.append({**statement, "allowance_minor": allowances.get(row["id"], 0)})
            issuances = await queries.newest_issuances(conn, SHOWN_ISSUANCES)
    return {
        "supply": supply,
        "tiers": tiers,
        "banks": banks,
        "issuances": issuances,
        "reconciliation": await reconciliation(institution),
    }
