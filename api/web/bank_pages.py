"""A bank's way in, and a customer's home: balances and the newest payments, as they change."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from api.errors import NotFound
from api.identity.guard import ByPerson
from api.identity.sessions import close_session, open_session, session_of
from api.web import queries
from api.web.live import News, stream_fragments
from api.web.rendering import Page, PageRoute
from api.web.wallet_page import WalletPage, printable, uuid_of
from api.web.wallet_view import overview

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
                conn, page.institution.settings.participant_id, printable(search), SHOWN_CUSTOMERS
            )
    return page.answer("home.html", customers=customers, search=search, signed_in=signed_in)


@router.get("/help")
async def help_page(request: Request) -> Response:
    """Answers to what people ask."""
    page = Page(request)
    async with page.institution.pool.acquire() as conn:
        signed_in = await session_of(conn, request.cookies.get(page.session_cookie))
    return page.answer("help.html", signed_in=signed_in)


@router.post("/sandbox/sign-in")
async def sign_in(request: Request) -> Response:
    """Become a sample customer. Exists in a sandbox only."""
    page = Page(request)
    if not page.institution.settings.is_sandbox:
        raise NotFound("page")
    form = await page.form()
    customer_id = uuid_of(form.get("customer_id", ""), "customer")
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
async def wallet(request: Request, person: ByPerson, wallet: WalletId = "") -> Response:
    """A customer's wallet and account, what is on its way, and what was lately settled."""
    page = WalletPage(request, person)
    async with page.institution.pool.acquire() as conn:
        own = await page.own(conn, wallet)
        view = await overview(conn, own.wallet)
    return page.show("wallet.html", own, "home", view=view)


@router.get("/wallet/more")
async def more(request: Request, person: ByPerson, wallet: WalletId = "") -> Response:
    """What has no place at the foot of a phone."""
    page = WalletPage(request, person)
    async with page.institution.pool.acquire() as conn:
        own = await page.own(conn, wallet)
    return page.show("more.html", own, "more")


@router.get("/wallet/events")
async def events(request: Request, person: ByPerson, wallet: WalletId = "") -> Response:
    """Balances and payments as they change, as server-sent events."""
    page = WalletPage(request, person)
    async with page.institution.pool.acquire() as conn:
        await page.own(conn, wallet)
    news: News = request.app.state.news

    async def render() -> dict[str, str] | None:
        async with page.institution.pool.acquire() as conn:
            if await session_of(conn, request.cookies.get(page.session_cookie)) is None:
                return None
            own = await page.own(conn, wallet)
            view = await overview(conn, own.wallet)
        return {
            "balances": page.render("_balances.html", view=view),
            "payments": page.render("_activity.html", view=view, own=own),
        }

    return stream_fragments(request, news, person.customer_id, render)
