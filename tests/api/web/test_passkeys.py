"""Passkeys in a real browser, with its virtual authenticator.

A payment from a wallet with a passkey
├── is shown as it will be signed: payee, amount in digits and words, wallet, number, time
├── approved: goes on its way with an assertion over exactly that, as an independent reading finds
├── refused by the authenticator: nothing is signed and nothing paid, and it can be tried again
├── cancelled: back at the form
└── changed on its way, too late, or with an answer that is none: refused, and nothing is paid
A payment that would be refused anyway is refused without asking
A redemption is approved in the same way; a funding and a small amount need no approval
A browser without passkeys, or without scripts, says so
A new passkey: the browser's answer to the options is what a relying party can verify
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from html import escape, unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from contracts.customer_approvals import PaymentApproval
from contracts.typed_data import PaymentDomain
from tests.api.web.gallery import bind_passkey
from tests.api.web.site import PHONE, browser_marks, browsing, opened, served, sign_in
from tests.api.web.virtual_passkey import PRIVATE_KEY, VIRTUAL_CREDENTIAL, give_passkey

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.offices import BankOffice
    from tests.api.web.conftest import Visitor

playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")


def with_browser(test: Any) -> Any:
    """Marks a test that needs Chromium."""
    for mark in browser_marks:
        test = mark(test)
    return test


DOMAIN = PaymentDomain("Florin Crown", 1, b"\x02" * 20)
PROOFS = "SELECT proof, payer, payee, amount_minor, payment_id FROM outbox_payments WHERE kind = $1"


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def require_signed(row: Any) -> None:
    """The stored proof is the passkey's signature over exactly this payment, with its user verified."""
    proof = json.loads(row["proof"])
    approval = PaymentApproval(
        row["payment_id"].bytes, row["payer"], row["payee"], row["amount_minor"], proof["expires_at_s"]
    )
    data = json.loads(decoded(proof["client_data_json"]))
    assert decoded(data["challenge"]) == approval.digest(DOMAIN.separator)
    assert data["type"] == "webauthn.get"
    authenticator_data = decoded(proof["authenticator_data"])
    assert authenticator_data[:32] == hashlib.sha256(b"localhost").digest()
    assert authenticator_data[32] & 0b101 == 0b101
    signed = authenticator_data + hashlib.sha256(decoded(proof["client_data_json"])).digest()
    signature = decoded(proof["signature"])
    PRIVATE_KEY.public_key().verify(signature, signed, ec.ECDSA(hashes.SHA256()))
    assert 0 < proof["expires_at_s"] - time.time() <= 300


async def ask_to_pay(page: Any, site: str, amount: str = "1234.50") -> None:
    await page.goto(site + "/wallet/pay")
    await page.get_by_text("Gas & Water").click()
    await page.get_by_label("Amount").fill(amount)
    await page.locator("form.form button[type=submit]").click()


@with_browser
async def test_what_is_shown_is_what_is_signed(bank: BankOffice, tmp_path: Path) -> None:
    await bind_passkey(bank, tmp_path)
    async with served(bank) as site, browsing() as browser, opened(browser, site, viewport=PHONE) as page:
        session, authenticator = await give_passkey(page)
        await sign_in(page, site)
        await ask_to_pay(page, site)
        shown = page.locator("main")
        wallet = "0x" + (await bank.address_of("w-1")).hex()
        for words in (
            "1,234.50 CZK",
            "one thousand two hundred thirty-four and 50/100 Czech korunas",
            "Gas & Water",
        ):
            await playwright.expect(shown).to_contain_text(words)
        text = (await shown.inner_text()).lower()
        assert "0x" + "c1" * 20 in text
        assert wallet in text

        verified = {"authenticatorId": authenticator, "isUserVerified": False}
        await session.send("WebAuthn.setUserVerified", verified)
        await page.get_by_role("button", name="Approve with your passkey").click()
        await page.get_by_text("Nothing was signed. You can try again.").wait_for()
        assert await bank.intents() == []
        await session.send("WebAuthn.setUserVerified", {**verified, "isUserVerified": True})
        await page.get_by_role("button", name="Approve with your passkey").click()
        await page.get_by_text("The payment was accepted").wait_for()
        number = page.url.split("?")[0].rsplit("/", 1)[1]
        row = await bank.institution.pool.fetchrow(PROOFS, "payment")
        assert row is not None
        assert (str(row["payment_id"]), row["amount_minor"]) == (number, 123_450)
        assert number in text
        require_signed(row)

        await bank.chain.fund(bank.chart, "w-1", 10_000)
        await page.goto(site + "/wallet/redeem")
        await page.get_by_label("Amount").fill("70.00")
        await page.locator("form.form button[type=submit]").click()
        await page.get_by_role("button", name="Approve with your passkey").click()
        await page.get_by_text("The payment was accepted").wait_for()
        require_signed(await bank.institution.pool.fetchrow(PROOFS, "redemption"))


@with_browser
async def test_cancelling_and_browsers_that_cannot(bank: BankOffice, tmp_path: Path) -> None:
    await bind_passkey(bank, tmp_path)
    async with served(bank) as site, browsing() as browser:
        async with opened(browser, site) as page:
            await sign_in(page, site)
            await ask_to_pay(page, site)
            await page.get_by_role("link", name="Cancel").click()
            await page.get_by_role("heading", name="Pay").wait_for()
            await page.add_init_script("delete window.PublicKeyCredential")
            await ask_to_pay(page, site)
            await page.get_by_text("This browser cannot use passkeys.").wait_for()
            button = page.get_by_role("button", name="Approve with your passkey")
            await playwright.expect(button).to_be_disabled()
        async with opened(browser, site, java_script_enabled=False) as page:
            await sign_in(page, site)
            await ask_to_pay(page, site)
            await page.get_by_text("A passkey needs scripts").wait_for()
    assert await bank.intents() == []


@with_browser
async def test_a_new_passkey_is_one_that_can_be_verified(bank: BankOffice) -> None:
    from webauthn import generate_registration_options, options_to_json, verify_registration_response

    options = generate_registration_options(
        rp_id="localhost", rp_name="Bank A", user_id=b"c-1", user_name="customer-1"
    )
    shown = escape(options_to_json(options))
    form = (
        f'<form method="post" action="/echo" data-passkey="create" data-options="{shown}">'
        '<input name="credential" type="hidden"><button data-passkey-button disabled>Create</button></form>'
        '<script src="/static/passkey.js"></script>'
    )
    async with served(bank) as site, browsing() as browser, opened(browser, site) as page:
        sent: list[str] = []

        async def echo(route: Any) -> None:
            sent.append(route.request.post_data)
            await route.fulfill(body="received", content_type="text/plain")

        await page.route("**/a-form", lambda route: route.fulfill(body=form, content_type="text/html"))
        await page.route("**/echo", echo)
        await give_passkey(page)
        await page.goto(site + "/a-form")
        await page.get_by_role("button", name="Create").click()
        await page.get_by_text("received").wait_for()
        (credential,) = parse_qs(sent[0])["credential"]
        verified = verify_registration_response(
            credential=credential,
            expected_challenge=options.challenge,
            expected_rp_id="localhost",
            expected_origin=site,
        )
        assert verified.credential_id == decoded(json.loads(credential)["id"])


async def approval_form(visitor: Visitor) -> tuple[dict[str, str], dict[str, Any]]:
    """The fields of an approval's form, and the options for the passkey."""
    form = await visitor.sign_in("Customer 1", "/wallet/pay")
    page = await visitor.submit(form, "/wallet/payments", payee="biller:b-1", amount="60.00", note="May")
    assert page.status_code == 200
    approval = page.text[page.text.index("data-passkey") :]
    fields = dict(re.findall(r'type="hidden" name="([a-z_]+)" value="([^"]*)"', approval))
    options = re.search(r'data-options="([^"]*)"', page.text)
    assert options is not None
    return fields, json.loads(unescape(options[1]))


def answer(options: dict[str, Any], **changes: str) -> str:
    """An assertion as a browser sends it; who signed it is for the signer to judge."""
    data = json.dumps({"type": "webauthn.get", "challenge": changes.get("challenge", options["challenge"])})
    encoded = base64.urlsafe_b64encode(data.encode()).rstrip(b"=").decode()
    response = {"authenticatorData": "AAAA", "clientDataJSON": encoded, "signature": "AAAA"}
    return json.dumps({"id": changes.get("id", VIRTUAL_CREDENTIAL), "response": response})


async def test_an_approval_of_something_else_pays_nothing(
    bank: BankOffice, visitor: Visitor, tmp_path: Path
) -> None:
    await bind_passkey(bank, tmp_path)
    fields, options = await approval_form(visitor)
    right = {**fields, "credential": answer(options)}
    before = await bank.state()
    for change, words in [
        ({"amount": "60.01"}, "approved something else"),
        ({"payee": "address", "address": "0x" + "aa" * 20}, "approved something else"),
        ({"expires_at_s": str(int(fields["expires_at_s"]) - 1)}, "approved something else"),
        ({"credential": answer(options, challenge="AAAA")}, "approved something else"),
        ({"credential": answer(options, id="AAAA")}, "approved something else"),
        ({"expires_at_s": str(int(time.time()) - 1)}, "time to approve is over"),
        ({"expires_at_s": str(int(time.time()) + 3_600)}, "time to approve is over"),
        ({"expires_at_s": "soon"}, "cannot be read"),
        ({"credential": ""}, "cannot be read"),
        ({"credential": "[]"}, "cannot be read"),
        ({"credential": answer(options).replace("AAAA", "A A")}, "cannot be read"),
    ]:
        page = await visitor.client.post("/wallet/payments", data=right | change)
        assert (page.status_code, words in page.text) == (422, True), change
    assert await bank.state() == before
    assert (await visitor.client.post("/wallet/payments", data=right)).status_code == 303
    assert [kind for kind, _ in await bank.intents()] == ["funding", "payment"]


async def test_what_would_be_refused_is_not_asked_for(
    bank: BankOffice, visitor: Visitor, tmp_path: Path
) -> None:
    await bind_passkey(bank, tmp_path)
    form = await visitor.sign_in("Customer 1", "/wallet/pay")
    page = await visitor.submit(form, "/wallet/payments", payee="biller:b-1", amount="99,999.00")
    assert page.status_code == 422
    assert "data-passkey" not in page.text
    assert "available money is less" in page.text
    funding = await visitor.get("/wallet/fund")
    sent = await visitor.submit(funding, "/wallet/fund", amount="60.00")
    assert sent.status_code == 303
    assert await bank.intents() == [("funding", 6_000)]
    for amount, asks in (("50.00", False), ("50.01", True)):
        form = await visitor.get("/wallet/pay")
        page = await visitor.submit(form, "/wallet/payments", payee="biller:b-1", amount=amount)
        assert (page.status_code, "data-passkey" in page.text) == ((200, True) if asks else (303, False))
    assert (await bank.intents())[-1] == ("payment", 5_000)
