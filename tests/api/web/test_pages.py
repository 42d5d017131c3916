"""The pages, as a browser without scripts sees them.

The way in
├── in a sandbox: sample customers with ready wallets, found by a part of their names
│   └── and none whose wallet is with another bank, which its page says
└── elsewhere: nobody can be chosen, and signing in does not exist
A form
├── without, with another session's, or with another site's token: refused, and nothing changes
└── of the page: works
A session
├── opens its own customer's wallets, and no other's
├── ends with signing out, with its time, and is a new one at each sign-in
└── is no API key, and an API key is no session
Paying
├── accepted: on to the payment, and it shows at home; sending the form again pays once
├── refused or unreadable: the same page with the reasons and what was typed
└── reviewed before: what comes from where, and nothing changes
Hostile names and notes are shown as text
English or Simplified Chinese, by the browser's wish or by choice; the way back stays here
Every page: strict security headers, nothing from other hosts, no inline script or style
A path that is not there, a method that it does not take, a failure inside: a page for a browser, with the
same headers; a problem document for a program
"""

from __future__ import annotations

import asyncio
import re
import uuid
from typing import TYPE_CHECKING

import asyncpg
import pytest

from api.addresses import address_text
from api.web.errors import TooManyListeners
from api.web.live import MAX_WATCHERS_EACH, News
from tests.api.offices import CURRENCY, CUSTOMER_TIER, BankOffice, Office, open_office, payment
from tests.api.web.conftest import HIDDEN, Visitor, form_of, visit
from tests.fakes.final_chain import INSTITUTION_TIER, TIERS

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Database

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
HOSTILE = '"><script>alert(1)</script>'


async def pay(visitor: Visitor, page: httpx.Response, **fields: str) -> httpx.Response:
    typed = {"payee": "biller:b-1", "amount": "10.00", "note": "", "address": ""}
    return await visitor.submit(page, "/wallet/payments", **(typed | fields))


async def test_a_sample_customer_signs_in_and_sees_both_balances(bank: BankOffice, visitor: Visitor) -> None:
    await bank.chain.fund(bank.chart, "w-1", 123_456)
    page = await visitor.sign_in("Customer 1")
    assert page.status_code == 200
    assert "1,234.56" in page.text
    assert "3,765.44" in page.text
    assert "Gas &amp; Water" in (await visitor.get("/wallet/pay")).text


async def test_customers_are_found_by_a_part_of_their_names(bank: BankOffice, visitor: Visitor) -> None:
    assert "Customer 9" in (await visitor.get("/")).text
    found = (await visitor.get("/?search=mer+9")).text
    assert "Customer 9" in found
    assert "Customer 1" not in found
    assert "No customer" in (await visitor.get("/?search=%25")).text
    assert (await visitor.get("/?search=%00")).status_code == 200


async def test_a_wallet_that_is_elsewhere_says_so(bank: BankOffice, visitor: Visitor) -> None:
    await visitor.sign_in("Customer 1")
    await bank.chain.change(await bank.address_of("w-1"), participant=2)
    assert "The wallet was moved to another bank." in (await visitor.get("/wallet")).text
    offered = (await visitor.get("/")).text
    assert ("<small>c-1</small>" in offered, "<small>c-9</small>" in offered) == (False, True)
    await bank.institution.pool.execute("UPDATE outbox_registrations SET registered_block = NULL")
    page = await visitor.get("/wallet")
    assert "registered the wallet&#39;s address first" in page.text
    assert "is being registered" not in page.text

    # another wallet comes first from then on
    wallet = {"reference": "w-1b", "customer_reference": "c-1", "account_reference": "a-1", "tier": 1}
    assert (await bank.post("/v1/wallets", wallet)).status_code == 202
    await bank.chain.register_requested_wallets()
    assert address_text(await bank.address_of("w-1b")) in (await visitor.get("/wallet")).text


async def test_outside_a_sandbox_nobody_can_be_chosen(database: Database) -> None:
    async with open_office(database, is_sandbox=False) as office:
        await office.furnish()
        async for visitor in visit(office):
            home = await visitor.get("/")
            assert "Customer 1" not in home.text
            response = await visitor.client.post("/sandbox/sign-in", data={"customer_id": str(uuid.uuid4())})
            assert response.status_code == 404


async def test_without_session_there_is_no_wallet(visitor: Visitor) -> None:
    for path in ("/wallet", "/wallet/payees", "/wallet/events"):
        response = await visitor.get(path)
        assert (response.status_code, response.headers["location"]) == (303, "/")


async def test_an_api_key_is_no_session_and_a_session_no_key(bank: BankOffice, visitor: Visitor) -> None:
    assert (await visitor.get("/wallet", Authorization=f"Bearer {bank.key}")).status_code == 303
    await visitor.sign_in("Customer 1")
    assert (await visitor.get("/v1/wallets:summary")).status_code == 401
    token = visitor.client.cookies["florin_session_bank-a"]
    answer = await visitor.get("/v1/wallets:summary", Authorization=f"Bearer {token}")
    assert answer.status_code == 401
    assert token not in repr(await bank.state())


async def test_a_form_needs_the_token_of_its_session(
    bank: BankOffice, visitor: Visitor, stranger: Visitor
) -> None:
    page = await visitor.sign_in("Customer 1", "/wallet/pay")
    foreign = await stranger.sign_in("Customer 9")
    before = await bank.state()
    fields = dict(HIDDEN.findall(form_of(page.text, "/wallet/payments")))
    foreign_token = re.search(r'name="form_token" value="([^"]*)"', foreign.text)
    assert foreign_token is not None
    typed = fields | {"payee": "biller:b-1", "amount": "1.00"}
    for token in ("", "x", foreign_token[1]):
        for path in ("/wallet/payments", "/wallet/preflight", "/sign-out", "/sandbox/sign-in"):
            response = await visitor.client.post(path, data=typed | {"form_token": token})
            assert (response.status_code, "FormNotOurs" in response.text) == (403, True), path
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    assert (await visitor.client.post("/wallet/payments", data=typed, headers=elsewhere)).status_code == 403
    assert await bank.state() == before


async def test_another_customers_wallet_is_not_found(bank: BankOffice, visitor: Visitor) -> None:
    page = await visitor.sign_in("Customer 1", "/wallet/pay")
    wallets = (await bank.get("/v1/wallets")).json()["wallets"]
    other = next(each["wallet_id"] for each in wallets if each["reference"] == "w-9")
    before = await bank.state()
    for path in ("/wallet", "/wallet/payees", "/wallet/events"):
        assert (await visitor.get(f"{path}?wallet={other}")).status_code == 404
    assert (await pay(visitor, page, wallet=other)).status_code == 404
    typed = {"wallet": other, "payee": "biller:b-1", "amount": "1.00"}
    assert (await visitor.submit(page, "/wallet/payments", **typed)).status_code == 404
    assert await bank.state() == before


async def test_signing_out_ends_the_session_everywhere(bank: BankOffice, visitor: Visitor) -> None:
    page = await visitor.sign_in("Customer 1")
    token = visitor.client.cookies["florin_session_bank-a"]
    assert (await visitor.submit(page, "/sign-out")).status_code == 303
    visitor.client.cookies.set("florin_session_bank-a", token, domain="bank")
    assert (await visitor.get("/wallet")).status_code == 303


async def test_a_session_ends_with_its_time_and_each_sign_in_opens_another(
    bank: BankOffice, visitor: Visitor
) -> None:
    await visitor.sign_in("Customer 1")
    first = visitor.client.cookies["florin_session_bank-a"]
    await visitor.sign_in("Customer 1")
    assert visitor.client.cookies["florin_session_bank-a"] != first
    await bank.institution.pool.execute("UPDATE sessions SET last_used_at = now() - interval '31 minutes'")
    assert (await visitor.get("/wallet")).status_code == 303


async def test_the_cookie_is_out_of_reach(visitor: Visitor) -> None:
    home = await visitor.get("/")
    response = await visitor.submit(home, "/sandbox/sign-in")
    cookie = response.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))


async def test_a_payment_is_made_once_and_shows(bank: BankOffice, visitor: Visitor) -> None:
    page = await visitor.sign_in("Customer 1", "/wallet/pay")
    response = await pay(visitor, page, amount="1,234.50", note="May")
    assert response.status_code == 303
    again = await pay(visitor, page, amount="1,234.50", note="May")
    assert again.headers["location"] == response.headers["location"]
    assert await bank.intents() == [("funding", 123_450), ("payment", 123_450)]
    shown = (await visitor.get(response.headers["location"])).text
    assert "The payment was accepted." in shown
    wallet = (await visitor.get("/wallet")).text
    assert "1,234.50 on its way" in wallet
    for page_of_it in (shown, wallet):
        assert "Gas &amp; Water" in page_of_it
        assert "May" in page_of_it
        assert 'aria-current="step">accepted' in page_of_it


async def test_a_payment_can_go_to_an_address(bank: BankOffice, visitor: Visitor) -> None:
    await bank.add_customer(2)
    page = await visitor.sign_in("Customer 1", "/wallet/pay")
    address = "0x" + (await bank.address_of("w-2")).hex()
    assert (await pay(visitor, page, payee="address", address=address)).status_code == 303
    assert (await bank.intents())[-1] == ("payment", 1_000)
    async for other in visit(bank):
        assert "From Customer 1" in (await other.sign_in("Customer 2")).text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"amount": "999,999.00"}, "The available money is less"),
        ({"amount": "0"}, "must be above zero"),
        ({"amount": "1.001"}, "decimal digits"),
        ({"amount": "ten"}, "is not an amount"),
        ({"amount": ""}, "Enter an amount"),
        ({"payee": ""}, "Choose a payee"),
        ({"payee": "biller:nobody"}, "no such payee"),
        ({"payee": "biller:\0"}, "Choose a payee"),
        ({"payee": "address", "address": "0x12"}, "40 hexadecimal digits"),
        ({"note": "n" * 141}, "140 characters"),
    ],
)
async def test_a_refused_payment_shows_why_and_keeps_what_was_typed(
    bank: BankOffice, visitor: Visitor, fields: dict[str, str], words: str
) -> None:
    page = await visitor.sign_in("Customer 1", "/wallet/pay")
    before = await bank.state(without=["payments"])
    response = await pay(visitor, page, **fields)
    assert response.status_code == 422
    assert words in response.text
    assert f'value="{fields.get("amount", "10.00")}"' in response.text
    assert await bank.state(without=["payments"]) == before


async def test_a_review_tells_where_the_money_would_come_from(bank: BankOffice, visitor: Visitor) -> None:
    await bank.chain.fund(bank.chart, "w-1", 400)
    page = await visitor.sign_in("Customer 1", "/wallet/pay")
    before = await bank.state()

    async def review(**fields: str) -> str:
        hidden = dict(HIDDEN.findall(form_of(page.text, "/wallet/payments")))
        typed = {"payee": "biller:b-1", "amount": "10.00"} | fields
        response = await visitor.client.post("/wallet/preflight", data=hidden | typed)
        assert response.status_code == 200
        return response.text

    reviewed = await review()
    assert "4.00 CZK" in reviewed
    assert "6.00 CZK" in reviewed
    assert "available money is less" in await review(amount="900000")
    assert "is not an amount" in await review(amount="x")
    assert "What will be taken" in await review(amount="")
    assert await bank.state() == before


async def test_hostile_names_and_notes_are_text(bank: BankOffice, visitor: Visitor) -> None:
    await bank.bulk("/v1/customers:bulk", [{"reference": "c-5", "name": HOSTILE}])
    await bank.bulk("/v1/wallets:bulk", [{"reference": "w-5", "customer_reference": "c-5", "tier": 1}])
    address = "0x" + "c2" * 20
    await bank.bulk("/v1/billers:bulk", [{"reference": HOSTILE, "name": HOSTILE, "address": address}])
    await bank.chain.register_requested_wallets()
    body = payment(note=HOSTILE, payee={"biller_reference": HOSTILE})
    await bank.post("/v1/payments", body)
    pages = [
        await visitor.get("/"),
        await visitor.get("/?search=%22%3E%3Cscript%3E"),
        await visitor.sign_in("Customer 1"),
        await visitor.get("/wallet?search=%22%3E%3Cscript%3E"),
        await visitor.get("/wallet?wallet=%22%3E%3Cscript%3E"),
        await visitor.sign_in("&lt;script&gt;"),
    ]
    for page in pages:
        assert "<script>" not in page.text
    assert "&lt;script&gt;alert(1)" in pages[2].text


async def test_the_language_is_the_browsers_or_chosen(visitor: Visitor) -> None:
    assert 'lang="en"' in (await visitor.get("/")).text
    chinese = (await visitor.get("/", **{"Accept-Language": "fr;q=0.9, zh-TW;q=0.8, en;q=0.7"})).text
    assert 'lang="zh-Hans"' in chinese
    assert "以示例客户身份登录" in chinese
    chosen = await visitor.get("/language/zh?next=/wallet")
    assert chosen.headers["location"] == "/wallet"
    assert 'lang="zh-Hans"' in (await visitor.get("/")).text
    assert (await visitor.get("/language/xx")).status_code == 404


async def test_a_wish_that_cannot_be_read_is_no_wish(visitor: Visitor) -> None:
    assert 'lang="en"' in (await visitor.get("/", **{"Accept-Language": "zh;q=x, ;q=, fr"})).text


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example", "https://evil.example", "/\\evil.example", "/%0d%0aX: y"]
)
async def test_the_way_back_stays_here(visitor: Visitor, elsewhere: str) -> None:
    response = await visitor.get(f"/language/en?next={elsewhere}")
    assert response.headers["location"] == "/"


async def test_every_page_has_strict_headers_and_nothing_foreign(
    bank: BankOffice, visitor: Visitor, citizen: Visitor
) -> None:
    wallet = await visitor.sign_in("Customer 1")
    for page in (
        await visitor.get("/"),
        wallet,
        await citizen.get("/"),
        await visitor.get("/wallet?wallet=x"),
    ):
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["cache-control"] == "no-store"
        assert not re.search(r"""(?:src|href|action)=["'](?:https?:)?//""", page.text)
        assert not re.search(r"<style|\sstyle=|<script(?! src=)|\son[a-z]+=", page.text)
        for source in re.findall(r'(?:src|href)="(/static/[^"]*)"', page.text):
            assert (await visitor.get(source)).status_code == 200


async def test_a_browser_that_goes_astray_gets_a_page(visitor: Visitor) -> None:
    for method, path, status, code in [
        ("GET", "/nowhere", 404, "NotFound"),
        ("DELETE", "/", 405, "MethodNotAllowed"),
        ("GET", "/?search=" + "x" * 101, 400, "MalformedRequest"),
    ]:
        page = await visitor.client.request(method, path, headers=BROWSER)
        assert page.status_code == status, path
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert code in page.text
    page = await visitor.get("/nowhere", **BROWSER, **{"Accept-Language": "zh"})
    assert "此处没有内容。" in page.text


async def test_a_program_that_goes_astray_gets_a_problem(visitor: Visitor) -> None:
    for path, headers in (("/nowhere", {}), ("/v1/nowhere", BROWSER)):
        answer = await visitor.get(path, **headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "NotFound")
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_failure_inside_is_a_page_with_its_incident_number(
    bank: BankOffice, visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    await visitor.sign_in("Customer 1")
    owner = await asyncpg.connect(bank.database.owner_url)
    await owner.execute("DROP TABLE billers CASCADE")
    await owner.close()
    page = await visitor.get("/wallet")
    assert page.status_code == 500
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "billers" not in page.text
    (incident,) = re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", page.text)
    assert incident in caplog.text


async def test_a_customer_with_several_wallets_is_listed_once(bank: BankOffice, visitor: Visitor) -> None:
    wallet = {
        "reference": "w-another",
        "customer_reference": "c-1",
        "account_reference": "a-1",
        "tier": CUSTOMER_TIER,
    }
    assert (await bank.post("/v1/wallets", wallet | {"tier": CUSTOMER_TIER})).status_code == 202
    await bank.chain.register_requested_wallets()
    assert (await visitor.get("/")).text.count("Customer 1") == 1


async def test_open_pages_get_news(bank: BankOffice, visitor: Visitor) -> None:
    await visitor.sign_in("Customer 1")
    events: list[str] = []
    arrived = asyncio.Event()

    async def receive() -> dict[str, object]:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async def send(message: dict[str, object]) -> None:
        body = message.get("body", b"")
        assert isinstance(body, bytes)
        events.append(body.decode())
        arrived.set()

    cookie = "; ".join(f"{name}={value}" for name, value in visitor.client.cookies.items())
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1",
        "method": "GET", "scheme": "http", "path": "/wallet/events", "raw_path": b"/wallet/events",
        "query_string": b"", "root_path": "", "headers": [(b"cookie", cookie.encode())],
        "server": ("bank", 80), "client": ("::1", 1),
    }  # fmt: skip

    async def until(words: str) -> None:
        async with asyncio.timeout(15):
            while not any(words in event for event in events):
                arrived.clear()
                await arrived.wait()

    stream = asyncio.create_task(bank.app(scope, receive, send))
    try:
        await until("event: balances")
        await until("event: payments")
        assert not any("on its way" in event for event in events)
        await bank.post("/v1/payments", payment(4_321))
        await until("43.21 on its way")
        await bank.institution.pool.execute("DELETE FROM sessions")
        await asyncio.wait_for(stream, 15)
    finally:
        stream.cancel()


async def test_the_central_bank_shows_the_currency(central_bank: Office, citizen: Visitor) -> None:
    address = "0x" + "aa" * 20
    await central_bank.chain.set_tier(INSTITUTION_TIER, TIERS[INSTITUTION_TIER])
    await central_bank.put(
        "/v1/participants/1", {"institution_address": address, "name": HOSTILE, "tier": 3, "tier_mask": 6}
    )
    await central_bank.post("/v1/reserve-deposits", {"participant_id": 1, "amount_minor": 7_654_321})
    page = (await citizen.get("/")).text
    assert "76,543.21" in page
    assert "<script>" not in page.replace('<script src="', "")
    assert "Not compared yet" in page
    assert CURRENCY in page


async def test_a_chosen_payee_that_cannot_be_one_is_no_choice(visitor: Visitor) -> None:
    await visitor.sign_in("Customer 1")
    for choice in ("biller:%00", "biller:a%20b", "biller:", "biller:" + "x" * 101):
        found = await visitor.get(f"/wallet/payees?payee={choice}")
        assert found.status_code == 200, choice


def test_one_customer_watches_a_few_pages_and_leaves_room_for_others() -> None:
    news = News()
    watching = [news.watch("alice") for _ in range(MAX_WATCHERS_EACH)]
    with pytest.raises(TooManyListeners):
        news.watch("alice")
    news.watch("bob")
    news.forget(watching[0])
    news.watch("alice")
