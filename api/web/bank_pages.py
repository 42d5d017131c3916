"""A bank's pages: the way in, and a customer's wallet."""

from __future__ import annotations

import re
import uuid
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.errors import FlorinError, MalformedRequest, NotFound
from api.fields import refusal_of
from api.identity.guard import ByPerson
from api.identity.sessions import SignedIn, close_session, open_session, session_of
from api.ledger.gathering import Gatherer
from api.money import parse_amount
from api.payments.pay import Outcome, preflight
from api.payments.requests import PaymentRequest, payment_request
from api.payments.schemas import PaymentBody
from api.web import queries
from api.web.live import News, stream_fragments
from api.web.rendering import Page, PageRoute
from api.web.wallet_view import Overview, overview, payees

_CHOSEN_BILLER: Final = re.compile(r"biller:([!-~]{1,100})")

router = APIRouter(route_class=PageRoute, include_in_schema=False)

SHOWN_CUSTOMERS = 8
Search = Annotated[str, Query(max_length=100)]
WalletId = Annotated[str, Query(max_length=36)]


@router.get("/")
async def home(request: Request, search: Search = "") -> Response:
    """The way in: in a sandbox, a list of sample customers."""
    page = Page(request)
    async with page.institution.pool.acquire() as conn:
        signed_in = await session_of(conn, request.cookies.get(page.session_cookie))
        customers: list[Any] = []
        if page.institution.settings.is_sandbox:
            customers = await queries.customers_with_wallets(
                conn, page.institution.settings.participant_id, _printable(search), SHOWN_CUSTOMERS
            )
    return page.answer("home.html", customers=customers, search=search, signed_in=signed_in)


@router.post("/sandbox/sign-in")
async def sign_in(request: Request) -> Response:
    """Become a sample customer. Exists in a sandbox only."""
    page = Page(request)
    if not page.institution.settings.is_sandbox:
        raise NotFound("page")
    form = await page.form()
    customer_id = _uuid_of(form.get("customer_id", ""), "customer")
    async with page.institution.pool.acquire() as conn:
        if not await queries.has_wallet(conn, customer_id):
            raise NotFound("customer")
        token = await open_session(conn, customer_id, "sandbox", request.headers.get("user-agent", ""))
    response = RedirectResponse("/wallet", status_code=303)
    page.set_cookie(response, page.session_cookie, token)
    return response


@router.post("/sign-out")
async def sign_out(request: Request, person: ByPerson) -> Response:
    """End the session."""
    page = Page(request)
    await page.form()
    async with page.institution.pool.acquire() as conn:
        await close_session(conn, person, person.session_id)
    response = RedirectResponse("/", status_code=303)
    response.delete_cookie(page.session_cookie, httponly=True, samesite="strict")
    return response


@router.get("/wallet")
async def wallet(
    request: Request, person: ByPerson, wallet: WalletId = "", search: Search = "", sent: str = ""
) -> Response:
    """A customer's wallet and account, the payment form and the newest payments."""
    page = Page(request)
    async with page.institution.pool.acquire() as conn:
        view = await _view(conn, page, person, wallet)
        offered = await payees(conn, view.wallet["id"], _printable(search))
    return _wallet_page(page, person, view, offered, {"search": search}, was_sent=bool(sent))


@router.get("/wallet/payees")
async def find_payees(
    request: Request,
    person: ByPerson,
    wallet: WalletId = "",
    search: Search = "",
    payee: Annotated[str, Query(max_length=120)] = "",
) -> Response:
    """The payees to choose from, as a part of the page."""
    page = Page(request)
    async with page.institution.pool.acquire() as conn:
        view = await _view(conn, page, person, wallet)
        offered = await payees(conn, view.wallet["id"], _printable(search), _biller_of(payee))
    return HTMLResponse(page.render("_payees.html", payees=offered, chosen=payee, search=search))


@router.post("/wallet/preflight")
async def review(request: Request, person: ByPerson) -> Response:
    """What the form would do if it were sent now, as a part of the page."""
    page = Page(request)
    form = await page.form()
    async with page.institution.pool.acquire() as conn:
        view = await _view(conn, page, person, form.get("wallet", ""))
        if not form.get("amount") or not _names_payee(form):
            return HTMLResponse(page.render("_review.html", decision=None, reasons=[]))
        try:
            asked = _request_of(page, person, view, form)
            decision = (await preflight(conn, page.institution, asked)).decision
        except FlorinError as refusal:
            return HTMLResponse(page.render("_review.html", decision=None, reasons=[_reason_of(refusal)]))
    reasons = [reason.as_json() for reason in decision.reasons]
    return HTMLResponse(page.render("_review.html", decision=decision, reasons=reasons))


@router.post("/wallet/payments")
async def pay(request: Request, person: ByPerson) -> Response:
    """Pay as the form says; back to the wallet, or the same page with every reason."""
    page = Page(request)
    form = await page.form()
    async with page.institution.pool.acquire() as conn:
        view = await _view(conn, page, person, form.get("wallet", ""))
    gatherer: Gatherer[PaymentRequest, Outcome] = request.app.state.payments
    try:
        outcome = await gatherer.submit(_request_of(page, person, view, form))
        reasons = list(outcome.reasons)
    except FlorinError as refusal:
        if refusal.status >= 500:
            raise
        reasons = [_reason_of(refusal)]
    if not reasons:
        return RedirectResponse(f"/wallet?wallet={view.wallet['id']}&sent=1", status_code=303)
    async with page.institution.pool.acquire() as conn:
        view = await _view(conn, page, person, str(view.wallet["id"]))
        offered = await payees(conn, view.wallet["id"], "", _biller_of(form.get("payee", "")))
    return _wallet_page(page, person, view, offered, form, reasons=reasons)


@router.get("/wallet/events")
async def events(request: Request, person: ByPerson, wallet: WalletId = "") -> Response:
    """Balances and payments as they change, as server-sent events."""
    page = Page(request)
    async with page.institution.pool.acquire() as conn:
        await _view(conn, page, person, wallet)
    news: News = request.app.state.news

    async def render() -> dict[str, str] | None:
        async with page.institution.pool.acquire() as conn:
            if await session_of(conn, request.cookies.get(page.session_cookie)) is None:
                return None
            view = await _view(conn, page, person, wallet)
        return {
            "balances": page.render("_balances.html", view=view),
            "payments": page.render("_payments.html", view=view),
        }

    return stream_fragments(request, news, person.customer_id, render)


def _wallet_page(
    page: Page,
    person: SignedIn,
    view: Overview,
    offered: list[dict[str, Any]],
    form: dict[str, str],
    *,
    reasons: list[dict[str, Any]] | None = None,
    was_sent: bool = False,
) -> HTMLResponse:
    return page.answer(
        "wallet.html",
        status=422 if reasons else 200,
        signed_in=person,
        view=view,
        payees=offered,
        search=form.get("search", ""),
        chosen=form.get("payee", ""),
        form=form,
        reasons=reasons or [],
        decision=None,
        was_sent=was_sent,
        intention=str(uuid.uuid4()),
    )


async def _view(conn: Any, page: Page, person: SignedIn, wallet: str) -> Overview:
    """What the customer sees of a wallet of theirs; the first one where none is named."""
    return await overview(conn, page.institution.settings.participant_id, person.customer_id, wallet)


def _biller_of(choice: str) -> str | None:
    """The biller's reference in the value of a chosen payee; None for what cannot be one."""
    found = _CHOSEN_BILLER.fullmatch(choice)
    return found[1] if found else None


def _names_payee(form: dict[str, str]) -> bool:
    return _biller_of(form.get("payee", "")) is not None or bool(form.get("address", "").strip())


def _request_of(page: Page, person: SignedIn, view: Overview, form: dict[str, str]) -> PaymentRequest:
    """The payment that a form asks for. Raises what an API caller would get for the same mistake."""
    settings = page.institution.settings
    if not _names_payee(form):
        raise MalformedRequest(page.translate("Choose a payee."))
    if not form.get("amount", "").strip():
        raise MalformedRequest(page.translate("Enter an amount, such as 250.00."))
    biller = _biller_of(form.get("payee", ""))
    payee = {"biller_reference": biller} if biller else {"address": form.get("address", "").strip()}
    content = {
        "payer_wallet_id": view.wallet["id"],
        "payee": payee,
        "amount_minor": parse_amount(form["amount"].strip(), settings.currency_exponent),
        "currency": settings.currency,
        "note": form.get("note", "").strip() or None,
    }
    try:
        body = PaymentBody.model_validate(content)
    except ValidationError as error:
        raise refusal_of(error.errors(include_input=False, include_context=False)) from error
    intention = _uuid_of(form.get("intention", ""), "intention")
    return payment_request(page.institution, f"customer:{person.customer_id}", str(intention), body)


def _reason_of(refusal: FlorinError) -> dict[str, Any]:
    return {"code": refusal.code, "detail": refusal.sentence}


def _uuid_of(text: str, what: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise NotFound(what) from None


def _printable(search: str) -> str:
    """What can be in a name; a NUL, say, cannot even be asked for."""
    return "".join(letter for letter in search.strip() if letter.isprintable())
