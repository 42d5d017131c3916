"""What a wallet paid and received: searched, filtered, and taken along as CSV or PDF."""

from __future__ import annotations

import asyncio
import datetime
import uuid
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from api.identity.guard import ByPerson
from api.payments.queries import history_of_wallet
from api.settings import time_zone
from api.web.queries import like_pattern
from api.web.rendering import PageRoute
from api.web.statement_files import Line, statement_csv, statement_pdf
from api.web.wallet_page import WalletPage, printable
from api.web.wallet_view import PENDING, Own, shown_payment

router = APIRouter(route_class=PageRoute, include_in_schema=False)

SHOWN: Final = 25
TAKEN_ALONG: Final = 5_000


@dataclass(frozen=True, slots=True)
class Filters:
    """What is looked for; empty: everything. Days are of the institution's time zone, both included."""

    wallet: str
    search: str
    state: str
    since: datetime.date | None
    until: datetime.date | None

    @property
    def is_set(self) -> bool:
        """Whether something is left out."""
        return bool(self.search or self.state or self.since or self.until)

    @property
    def query(self) -> str:
        """The same wishes for a link."""
        given = {
            "wallet": self.wallet,
            "search": self.search,
            "state": self.state,
            "since": self.since.isoformat() if self.since else "",
            "until": self.until.isoformat() if self.until else "",
        }
        return urlencode({name: value for name, value in given.items() if value})


async def _filters(
    wallet: Annotated[str, Query(max_length=36)] = "",
    search: Annotated[str, Query(max_length=100)] = "",
    state: Literal["", "pending", "final", "failed", "refused"] = "",
    since: Annotated[str, Query(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")] = "",
    until: Annotated[str, Query(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")] = "",
) -> Filters:
    return Filters(wallet, printable(search), state, _day(since), _day(until))


ByFilters = Annotated[Filters, Depends(_filters)]


@router.get("/wallet/history")
async def history(
    request: Request,
    person: ByPerson,
    filters: ByFilters,
    before: uuid.UUID | None = None,
) -> Response:
    """Payments, newest first."""
    page = WalletPage(request, person)
    own, payments = await _found(page, filters, before, SHOWN + 1)
    return page.show(
        "history.html",
        own,
        "history",
        filters=filters,
        filters_query=filters.query,
        payments=payments[:SHOWN],
        next_before=payments[SHOWN - 1]["id"] if len(payments) > SHOWN else None,
    )


@router.get("/wallet/history.csv")
async def history_csv(request: Request, person: ByPerson, filters: ByFilters) -> Response:
    """The same payments for a spreadsheet."""
    page = WalletPage(request, person)
    _, payments = await _found(page, filters, None, TAKEN_ALONG)
    content = statement_csv(page, [_line(page, each) for each in payments])
    return _file(content.encode("utf-8-sig"), "text/csv; charset=utf-8", "payments.csv")


@router.get("/wallet/history.pdf")
async def history_pdf(request: Request, person: ByPerson, filters: ByFilters) -> Response:
    """The same payments for paper."""
    page = WalletPage(request, person)
    own, payments = await _found(page, filters, None, TAKEN_ALONG)
    lines = [_line(page, each) for each in payments]
    content = await asyncio.to_thread(statement_pdf, page, person.name, own.wallet["reference"], lines)
    return _file(content, "application/pdf", "payments.pdf")


async def _found(
    page: WalletPage, filters: Filters, before: uuid.UUID | None, limit: int
) -> tuple[Own, list[dict[str, Any]]]:
    zone = time_zone(page.institution.settings.time_zone)
    until = filters.until + datetime.timedelta(days=1) if filters.until else None
    states = {"": None, "pending": sorted(PENDING)}.get(filters.state, [filters.state])
    async with page.institution.pool.acquire() as conn:
        own = await page.own(conn, filters.wallet)
        rows = await history_of_wallet(
            conn,
            own.wallet["id"],
            states=states,
            since=_midnight(filters.since, zone),
            until=_midnight(until, zone),
            pattern=like_pattern(filters.search),
            before=before,
            limit=limit,
        )
    return own, [shown_payment(row, own.wallet["id"]) for row in rows]


def _line(page: WalletPage, each: dict[str, Any]) -> Line:
    kind, state = each["kind"], each["state"]
    if kind == "funding":
        who = page.translate("Your account")
    elif kind == "redemption":
        who = page.translate("To your account")
    else:
        who = each["payer_name"] if each["is_incoming"] else each["payee_name"]
    is_raising = each["is_incoming"] or kind == "funding"
    return Line(
        payment_id=each["id"],
        at=each["created_at"],
        kind=page.translate(kind),
        who=who or "",
        note=each["note"] or "",
        state=page.translate(state),
        amount_minor=each["amount_minor"] if is_raising else -each["amount_minor"],
    )


def _day(text: str) -> datetime.date | None:
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError:
        return None  # an empty wish, or a day that no calendar has
    return day if 1970 <= day.year < 9000 else None


def _midnight(day: datetime.date | None, zone: datetime.tzinfo) -> datetime.datetime | None:
    return None if day is None else datetime.datetime.combine(day, datetime.time(), zone)


def _file(content: bytes, media_type: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=media_type, headers=headers)
