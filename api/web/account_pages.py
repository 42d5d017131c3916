"""What a wallet is and may do: its code for payers, its limits, its mandates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from api.addresses import address_text
from api.database import transaction
from api.errors import NotFound
from api.identity.guard import ByPerson
from api.payments import mandates
from api.web.bank_pages import WalletId
from api.web.rendering import PageRoute
from api.web.wallet_page import WalletPage, uuid_of
from api.web.wallet_view import limits_of

if TYPE_CHECKING:
    import uuid

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/wallet/receive")
async def receive(request: Request, person: ByPerson, wallet: WalletId = "") -> Response:
    """A code for payers to scan, and the address for those who type."""
    page = WalletPage(request, person)
    async with page.institution.pool.acquire() as conn:
        own = await page.own(conn, wallet)
    address = own.wallet["address"]
    return page.show("receive.html", own, "receive", qr="" if address is None else _qr(address_text(address)))


@router.get("/wallet/limits")
async def limits(request: Request, person: ByPerson, wallet: WalletId = "") -> Response:
    """What may be spent and held, and how much of that is left."""
    page = WalletPage(request, person)
    async with page.institution.pool.acquire() as conn:
        own = await page.own(conn, wallet)
        found = await limits_of(conn, page.institution.settings.participant_id, own.wallet)
    return page.show("limits.html", own, "limits", limits=found)


@router.get("/wallet/mandates")
async def list_mandates(request: Request, person: ByPerson, wallet: WalletId = "") -> Response:
    """The standing authorities that the wallet's owner gave."""
    page = WalletPage(request, person)
    async with page.institution.pool.acquire() as conn:
        own = await page.own(conn, wallet)
        found = await mandates.mandates_of(conn, own.wallet["id"])
    return page.show("mandates.html", own, "mandates", mandates=found)


@router.post("/wallet/mandates/{mandate_id}/revocation")
async def revoke_mandate(request: Request, person: ByPerson, mandate_id: str) -> Response:
    """End a mandate of the wallet."""
    page = WalletPage(request, person)
    form = await page.form()
    wanted: uuid.UUID = uuid_of(mandate_id, "mandate")
    async with transaction(page.institution.pool) as conn:
        own = await page.own(conn, form.get("wallet", ""))
        if str(wanted) not in {
            each["mandate_id"] for each in await mandates.mandates_of(conn, own.wallet["id"])
        }:
            raise NotFound("mandate")
        await mandates.revoke(conn, wanted)
    return RedirectResponse(f"/wallet/mandates{own.query}", status_code=303)


def _qr(payload: str) -> str:
    """A QR code as SVG: dark on white in both themes, since readers need that."""
    import segno

    code = segno.make(payload, error="m", micro=False)
    return code.svg_inline(
        omitsize=True, border=3, dark="#11211b", light="#ffffff", svgclass="qr", lineclass=None
    )
