"""One payment as it comes along, and the proof of it that anybody can check."""

from __future__ import annotations

import uuid
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.database import Connection
from api.errors import NotFound
from api.identity.guard import ByPerson
from api.identity.sessions import session_of
from api.payments.queries import payment_by_id
from api.web import queries
from api.web.bank_pages import WalletId
from api.web.live import News, stream_fragments
from api.web.rendering import PageRoute
from api.web.wallet_page import WalletPage, uuid_of
from api.web.wallet_view import Own, shown_payment

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/wallet/payments/{payment_id}")
async def payment(
    request: Request, person: ByPerson, payment_id: str, wallet: WalletId = "", sent: str = ""
) -> Response:
    """A payment, how far it has come, and what it was made of."""
    page = WalletPage(request, person)
    async with page.institution.pool.acquire() as conn:
        own = await page.own(conn, wallet)
        each = await _payment_of(conn, own, payment_id)
    return page.show("payment.html", own, "history", each=each, was_sent=bool(sent))


@router.get("/wallet/payments/{payment_id}/events")
async def events(request: Request, person: ByPerson, payment_id: str, wallet: WalletId = "") -> Response:
    """How far it has come, as server-sent events."""
    page = WalletPage(request, person)
    async with page.institution.pool.acquire() as conn:
        await _payment_of(conn, await page.own(conn, wallet), payment_id)
    news: News = request.app.state.news

    async def render() -> dict[str, str] | None:
        async with page.institution.pool.acquire() as conn:
            if await session_of(conn, request.cookies.get(page.session_cookie)) is None:
                return None
            own = await page.own(conn, wallet)
            each = await _payment_of(conn, own, payment_id)
        return {"status": page.render("_payment_status.html", each=each, own=own)}

    return stream_fragments(request, news, person.customer_id, render)


@router.get("/wallet/payments/{payment_id}/proof")
async def proof(request: Request, person: ByPerson, payment_id: str, wallet: WalletId = "") -> Response:
    """Where the chain has it, and how to check that without this bank."""
    page = WalletPage(request, person)
    async with page.institution.pool.acquire() as conn:
        own = await page.own(conn, wallet)
        each = await _payment_of(conn, own, payment_id)
        chain = await queries.chain(conn)
    if each["transaction_hash"] is None or each["block_number"] is None or chain is None:
        raise NotFound("proof")
    return page.show(
        "proof.html",
        own,
        "history",
        each=each,
        chain=chain,
        hexadecimal_block=hex(each["block_number"]),
        hexadecimal_amount=hex(each["amount_minor"]),
    )


async def _payment_of(conn: Connection, own: Own, payment_id: str) -> dict[str, Any]:
    """A payment that one of the person's wallets made or received. Raises `NotFound` for any other."""
    row = await payment_by_id(conn, uuid_of(payment_id, "payment"))
    mine: set[uuid.UUID] = {each["id"] for each in own.wallets}
    if row is not None and row["payer_wallet_id"] in mine:
        return shown_payment(row, row["payer_wallet_id"])
    if row is not None and row["payee_wallet_id"] in mine and row["refusals"] is None:
        return shown_payment(row, row["payee_wallet_id"])
    raise NotFound("payment")
