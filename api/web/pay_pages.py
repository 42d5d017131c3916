"""Paying, funding and redeeming: a form that is decided as it is typed, an approval where one is needed."""

from __future__ import annotations

import time
import uuid
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.errors import FlorinError
from api.identity.guard import ByPerson
from api.payments.approvals import domain_of
from api.payments.pay import Preflight
from api.payments.queries import billers_named
from api.payments.requests import PaymentRequest
from api.proofs import AssertionBody
from api.web.amount_words import amount_in_words
from api.web.approval import VALID_S, Approval, credential_of
from api.web.bank_pages import Search, WalletId
from api.web.errors import ApprovalUnreadable
from api.web.rendering import PageRoute
from api.web.wallet_page import NOTHING_REVIEWED, Form, WalletPage, biller_of, names_payee, printable, refused
from api.web.wallet_view import Own, balances, payees

router = APIRouter(route_class=PageRoute, include_in_schema=False)

Direction = Literal["fund", "redeem"]
_KINDS: dict[Direction, Literal["funding", "redemption"]] = {"fund": "funding", "redeem": "redemption"}


@router.get("/wallet/pay")
async def pay_form(
    request: Request, person: ByPerson, wallet: WalletId = "", search: Search = ""
) -> Response:
    """Whom to pay, and how much."""
    page = WalletPage(request, person)
    async with page.institution.pool.acquire() as conn:
        own = await page.own(conn, wallet)
    return await _pay_form(page, own, {"search": printable(search)}, NOTHING_REVIEWED)


@router.get("/wallet/payees")
async def find_payees(
    request: Request,
    person: ByPerson,
    wallet: WalletId = "",
    search: Search = "",
    payee: Annotated[str, Query(max_length=120)] = "",
) -> Response:
    """The payees to choose from, as a part of the page."""
    page = WalletPage(request, person)
    async with page.institution.pool.acquire() as conn:
        own = await page.own(conn, wallet)
        offered = await payees(conn, own.wallet["id"], printable(search), biller_of(payee))
    return HTMLResponse(page.render("_payees.html", payees=offered, chosen=payee, search=search))


@router.post("/wallet/preflight")
async def review_payment(request: Request, person: ByPerson) -> Response:
    """What the form would do if it were sent now, as a part of the page."""
    page = WalletPage(request, person)
    form = await page.form()
    async with page.institution.pool.acquire() as conn:
        own = await page.own(conn, form.get("wallet", ""))
        reviewed = NOTHING_REVIEWED
        if form.get("amount") and names_payee(form):
            try:
                reviewed = await page.review(conn, own, page.payment_of(own, form))
            except FlorinError as refusal:
                reviewed = refused(refusal)
    return HTMLResponse(page.render("_review.html", **reviewed))


@router.post("/wallet/payments")
async def pay(request: Request, person: ByPerson) -> Response:
    """Pay as the form says: on to the approval or to the payment, or the same page with every reason."""
    page = WalletPage(request, person)
    form = await page.form()
    async with page.institution.pool.acquire() as conn:
        own = await page.own(conn, form.get("wallet", ""))
    try:
        asked = page.payment_of(own, form)
        answer = await _approved(page, own, form, asked)
        if isinstance(answer, Response):
            return answer
        if answer is not None:
            asked = page.payment_of(own, form, answer)
        outcome = await page.submit(asked)
        reviewed = {**NOTHING_REVIEWED, "reasons": list(outcome.reasons)}
    except FlorinError as refusal:
        reviewed = refused(refusal)
    if not reviewed["reasons"]:
        return _sent(own, outcome.payment_id)
    return await _pay_form(page, own, form, reviewed)


@router.get("/wallet/fund")
async def fund_form(request: Request, person: ByPerson, wallet: WalletId = "") -> Response:
    """How much to move from the account into the wallet."""
    return await _open_transfer(request, person, wallet, "fund")


@router.get("/wallet/redeem")
async def redeem_form(request: Request, person: ByPerson, wallet: WalletId = "") -> Response:
    """How much to move from the wallet back to the account."""
    return await _open_transfer(request, person, wallet, "redeem")


@router.post("/wallet/fund/preflight")
async def review_funding(request: Request, person: ByPerson) -> Response:
    """What the funding would do now, as a part of the page."""
    return await _review_transfer(request, person, "fund")


@router.post("/wallet/redeem/preflight")
async def review_redemption(request: Request, person: ByPerson) -> Response:
    """What the redemption would do now, as a part of the page."""
    return await _review_transfer(request, person, "redeem")


@router.post("/wallet/fund")
async def fund(request: Request, person: ByPerson) -> Response:
    """Fund as the form says."""
    return await _transfer(request, person, "fund")


@router.post("/wallet/redeem")
async def redeem(request: Request, person: ByPerson) -> Response:
    """Redeem as the form says; where the wallet has a passkey, after its approval."""
    return await _transfer(request, person, "redeem")


async def _pay_form(page: WalletPage, own: Own, form: Form, reviewed: dict[str, Any]) -> HTMLResponse:
    chosen = form.get("payee", "")
    async with page.institution.pool.acquire() as conn:
        offered = await payees(conn, own.wallet["id"], form.get("search", ""), biller_of(chosen))
        wallet_money, account_money = await balances(conn, own.wallet)
    return page.show(
        "pay.html",
        own,
        "pay",
        status=422 if reviewed["reasons"] else 200,
        payees=offered,
        wallet_money=wallet_money,
        account_money=account_money,
        search=form.get("search", ""),
        chosen=chosen,
        form=form,
        unasked_minor=page.institution.settings.unasked_per_payment_minor,
        has_credential=credential_of(own.wallet) is not None,
        intention=str(uuid.uuid4()),
        **reviewed,
    )


async def _open_transfer(request: Request, person: ByPerson, wallet: str, direction: Direction) -> Response:
    page = WalletPage(request, person)
    async with page.institution.pool.acquire() as conn:
        own = await page.own(conn, wallet)
    return await _transfer_form(page, own, direction, {}, NOTHING_REVIEWED)


async def _transfer_form(
    page: WalletPage, own: Own, direction: Direction, form: Form, reviewed: dict[str, Any]
) -> HTMLResponse:
    async with page.institution.pool.acquire() as conn:
        wallet_money, account_money = await balances(conn, own.wallet)
    return page.show(
        "transfer.html",
        own,
        direction,
        status=422 if reviewed["reasons"] else 200,
        wallet_money=wallet_money,
        account_money=account_money,
        form=form,
        intention=str(uuid.uuid4()),
        **reviewed,
    )


async def _review_transfer(request: Request, person: ByPerson, direction: Direction) -> Response:
    page = WalletPage(request, person)
    form = await page.form()
    async with page.institution.pool.acquire() as conn:
        own = await page.own(conn, form.get("wallet", ""))
        reviewed = NOTHING_REVIEWED
        if form.get("amount"):
            try:
                reviewed = await page.review(conn, own, page.transfer_of(own, form, _KINDS[direction]))
            except FlorinError as refusal:
                reviewed = refused(refusal)
    return HTMLResponse(page.render("_review.html", **reviewed))


async def _transfer(request: Request, person: ByPerson, direction: Direction) -> Response:
    page, kind = WalletPage(request, person), _KINDS[direction]
    form = await page.form()
    async with page.institution.pool.acquire() as conn:
        own = await page.own(conn, form.get("wallet", ""))
    try:
        asked = page.transfer_of(own, form, kind)
        answer = await _approved(page, own, form, asked) if kind == "redemption" else None
        if isinstance(answer, Response):
            return answer
        if answer is not None:
            asked = page.transfer_of(own, form, kind, answer)
        outcome = await page.submit(asked)
        reviewed = {**NOTHING_REVIEWED, "reasons": list(outcome.reasons)}
    except FlorinError as refusal:
        reviewed = refused(refusal)
    if not reviewed["reasons"]:
        return _sent(own, outcome.payment_id)
    return await _transfer_form(page, own, direction, form, reviewed)


async def _approved(
    page: WalletPage, own: Own, form: Form, asked: PaymentRequest
) -> AssertionBody | Response | None:
    """The passkey's word for a request; the page that asks for it; or None where there is nothing to ask.

    Nothing is asked for a small amount, of a wallet without passkey, whose signer allows no others, nor where
    the request would be refused anyway. Raises what `Approval.proof` does.
    """
    credential_id, settings = credential_of(own.wallet), page.institution.settings
    if credential_id is None or asked.amount_minor <= settings.unasked_per_payment_minor:
        return None
    found = await page.preflight(asked)
    given = form.get("credential")
    if found.payer is None or found.payee is None or (given is None and not found.decision.is_accepted):
        return None
    try:
        expires_at_s = int(form["expires_at_s"]) if given is not None else int(time.time()) + VALID_S
    except (KeyError, ValueError):
        raise ApprovalUnreadable from None
    approval = Approval(
        kind="redemption" if asked.kind == "redemption" else "payment",
        payment_id=asked.payment_id,
        payer=found.payer,
        payee=found.payee,
        amount_minor=asked.amount_minor,
        expires_at_s=expires_at_s,
        domain=domain_of(page.institution).separator,
        credential_id=credential_id,
    )
    return (
        approval.proof(given) if given is not None else await _approval_page(page, own, form, approval, found)
    )


async def _approval_page(
    page: WalletPage, own: Own, form: Form, approval: Approval, found: Preflight
) -> HTMLResponse:
    """Exactly what would be signed, and a form that carries it to the passkey and back."""
    settings = page.institution.settings
    payee_name: str | None = None
    if approval.kind == "redemption":
        payee_name = settings.institution_name
    elif (reference := biller_of(form.get("payee", ""))) is not None:
        async with page.institution.pool.acquire() as conn:
            payee_name = (await billers_named(conn, [reference]))[reference]["name"]
    carried = ("intention", "payee", "address", "amount", "note")
    return page.show(
        "approve.html",
        own,
        "pay" if approval.kind == "payment" else "redeem",
        approval=approval,
        decision=found.decision,
        payee_name=payee_name,
        amount_in_words=amount_in_words(
            approval.amount_minor, settings.currency_exponent, page.formats.currency_name(), page.language
        ),
        fields={"wallet": str(own.wallet["id"])} | {name: form[name] for name in carried if name in form},
        action="/wallet/payments" if approval.kind == "payment" else "/wallet/redeem",
        back="/wallet/pay" if approval.kind == "payment" else "/wallet/redeem",
    )


def _sent(own: Own, payment_id: uuid.UUID) -> RedirectResponse:
    query = f"{own.query}&sent=1" if own.query else "?sent=1"
    return RedirectResponse(f"/wallet/payments/{payment_id}{query}", status_code=303)
