"""What a person sees and does on the pages of a wallet, as a browser without scripts meets them.

A payment's page
├── shows how far it has come, and the proof once a block has it
└── of somebody else, or of nobody: not found; a payee sees what was received, not where it came from
Funding and redeeming: reviewed with what is left of the limits, done once, refused with reasons
Receiving: a QR code that reads as the wallet's address
History
├── found by a part of a name or note, by state and by day; page after page
└── taken along: CSV that no spreadsheet runs, PDF with Chinese
Limits: what is spent and on its way counts; a wallet elsewhere has none
Mandates: shown with the payee's name, ended by their owner and by nobody else
Every page in both languages has strict headers, names its wallet only where there are several, shows hostile
names as text, and tells nobody's name in its address
Another language leads back to the same page and wallet, or to the form where one was sent
Outside a sandbox there is no page of the design; the manifest names what there is
"""

from __future__ import annotations

import csv
import io
import re
import uuid
from typing import TYPE_CHECKING

import pytest

from api.addresses import address_text
from api.web.amount_words import amount_in_words, chinese_number, english_number
from tests.api.offices import BankOffice, open_office, payment
from tests.api.web.conftest import HIDDEN, Visitor, form_of, visit
from tests.api.web.gallery import give_mandate, hang

if TYPE_CHECKING:
    from tests.api.conftest import Database

HOSTILE = '"><script>alert(1)</script>'


async def test_a_payment_has_a_page_and_a_proof(bank: BankOffice, visitor: Visitor) -> None:
    gallery = await hang(bank)
    await visitor.sign_in("Customer 1")
    pending = await visitor.get(f"/wallet/payments/{gallery.pending_payment}")
    assert 'aria-current="step">accepted' in pending.text
    assert (await visitor.get(f"/wallet/payments/{gallery.pending_payment}/proof")).status_code == 404
    refused = (await visitor.get(f"/wallet/payments/{gallery.refused_payment}")).text
    assert "Nothing was taken." in refused
    assert "above the limit for one payment" in refused
    final = (await visitor.get(f"/wallet/payments/{gallery.final_payment}")).text
    assert "Show the proof" in final
    proof = (await visitor.get(f"/wallet/payments/{gallery.final_payment}/proof")).text
    payer, payee = address_text(await bank.address_of("w-1")), address_text(b"\xc1" * 20)
    for words in (payer, payee, "0x" + "ab" * 32, "<dd>777</dd>", "<dd>4</dd>", address_text(b"\x02" * 20)):
        assert words in proof, words
    assert hex(125_000) in proof


async def test_a_payment_of_somebody_else_is_not_found(
    bank: BankOffice, visitor: Visitor, stranger: Visitor
) -> None:
    gallery = await hang(bank)
    await bank.add_customer(2)
    body = payment(1_500, payee={"wallet_reference": "w-2"}, note="Lunch")
    received = (await bank.post("/v1/payments", body)).json()["payment_id"]
    await visitor.sign_in("Customer 9")
    for end in ("", "/proof", "/events"):
        for number in (gallery.final_payment, str(uuid.uuid4()), "x"):
            assert (await visitor.get(f"/wallet/payments/{number}{end}")).status_code == 404
    await stranger.sign_in("Customer 2")
    page = (await stranger.get(f"/wallet/payments/{received}")).text
    assert "From Customer 1" in page
    assert "+15.00" in page
    assert "From the account" not in page


async def test_money_is_funded_and_redeemed(bank: BankOffice, visitor: Visitor) -> None:
    await bank.chain.fund(bank.chart, "w-1", 10_000)
    for way, kind, words in (
        ("fund", "funding", "From the account"),
        ("redeem", "redemption", "From the wallet"),
    ):
        page = await visitor.sign_in("Customer 1", f"/wallet/{way}")
        hidden = dict(HIDDEN.findall(form_of(page.text, f"/wallet/{way}")))
        reviewed = await visitor.client.post(f"/wallet/{way}/preflight", data=hidden | {"amount": "25.00"})
        assert words in reviewed.text
        assert ("Room in the wallet after it" in reviewed.text) == (way == "fund")
        assert ("29,875.00" if way == "fund" else "24,975.00") in reviewed.text
        refused = await visitor.submit(page, f"/wallet/{way}", amount="99,999,999.00")
        assert (refused.status_code, "available money is less" in refused.text) == (422, True)
        unread = await visitor.submit(page, f"/wallet/{way}", amount="much")
        assert (unread.status_code, "is not an amount" in unread.text) == (422, True)
        page = await visitor.get(f"/wallet/{way}")
        sent = [await visitor.submit(page, f"/wallet/{way}", amount="25.00") for _ in range(2)]
        assert {each.status_code for each in sent} == {303}
        assert (await bank.intents()).count((kind, 2_500)) == 1
    nothing = await visitor.client.post("/wallet/fund/preflight", data=hidden | {"amount": ""})
    assert "What will be taken" in nothing.text


async def test_the_code_reads_as_the_address(bank: BankOffice, visitor: Visitor) -> None:
    import segno

    page = (await visitor.sign_in("Customer 1", "/wallet/receive")).text
    address = address_text(await bank.address_of("w-1"))
    made = segno.make(address, error="m", micro=False)
    squares = re.search(r' d="([^"]+)"/></svg>', made.svg_inline(border=3, dark="#11211b", light="#ffffff"))
    assert squares is not None
    assert address in page
    assert squares[1] in page


async def test_history_is_searched_and_filtered(bank: BankOffice, visitor: Visitor) -> None:
    gallery = await hang(bank)
    await visitor.sign_in("Customer 1")

    async def found(query: str) -> set[str]:
        page = await visitor.get(f"/wallet/history?{query}")
        assert page.status_code == 200, query
        return set(re.findall(r'href="/wallet/payments/([0-9a-f-]{36})"', page.text))

    everything = {gallery.final_payment, gallery.pending_payment, gallery.refused_payment}
    assert await found("") == everything
    assert await found("search=rent") == {gallery.final_payment}
    assert await found("search=GAS+%26") == everything
    assert await found("search=%25") == set()
    assert await found("state=pending") == {gallery.pending_payment}
    assert await found("state=refused") == {gallery.refused_payment}
    assert await found("since=2020-01-01&until=2020-12-31") == set()
    assert await found("since=2020-01-01") == everything
    assert await found("since=2020-99-99") == everything  # a day that no calendar has is no wish
    for query in ("state=x", "since=x", "before=x", "search=" + "x" * 101):
        assert (await visitor.get(f"/wallet/history?{query}")).status_code == 400, query


async def test_history_goes_on_page_after_page(bank: BankOffice, visitor: Visitor) -> None:
    lines = [payment(100 + number, reference=f"p-{number}") for number in range(30)]
    answers = await bank.bulk("/v1/payments:bulk", lines)
    await visitor.sign_in("Customer 1")
    seen: list[str] = []
    path = "/wallet/history"
    while path:
        page = (await visitor.get(path)).text
        seen += re.findall(r'href="/wallet/payments/([0-9a-f-]{36})"', page)
        further = re.search(r'href="(/wallet/history\?[^"]*before=[^"]*)"', page)
        path = further[1].replace("&amp;", "&") if further else ""
    assert len(seen) == 30
    assert set(seen) == {each["payment_id"] for each in answers}


async def test_history_is_taken_along(bank: BankOffice, visitor: Visitor) -> None:
    await hang(bank)
    await bank.post("/v1/payments", payment(700, note='=HYPERLINK("http://evil")'))
    await bank.post("/v1/payments", payment(800, note="五月房租"))
    await visitor.sign_in("Customer 1")
    answer = await visitor.get("/wallet/history.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="payments.csv"'
    head, *rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert head == ["Number", "When", "What", "Who", "Note", "State", "Amount", "Currency"]
    assert len(rows) == 5
    assert [row[6] for row in rows if row[4] == "Rent for May"] == ["-1250.00"]
    assert [row[4] for row in rows if row[6] == "-7.00"] == ['\'=HYPERLINK("http://evil")']
    assert len((await visitor.get("/wallet/history.csv?search=rent")).text.splitlines()) == 2

    await visitor.get("/language/zh")
    paper = await visitor.get("/wallet/history.pdf")
    assert (paper.headers["content-type"], paper.content[:5]) == ("application/pdf", b"%PDF-")
    assert b"STSong-Light" in paper.content


async def test_limits_count_what_is_on_its_way(bank: BankOffice, visitor: Visitor) -> None:
    page = await visitor.sign_in("Customer 1", "/wallet/limits")
    assert "25,000.00" in page.text
    await bank.post("/v1/payments", payment(123_400))
    page = await visitor.get("/wallet/limits")
    assert "23,766.00" in page.text
    assert 'value="123400"' in page.text
    await bank.chain.change(await bank.address_of("w-1"), participant=2)
    for path, words in (("limits", "no limits yet"), ("receive", "cannot receive yet")):
        assert words in (await visitor.get(f"/wallet/{path}")).text


async def test_a_mandate_is_ended_by_its_owner_only(
    bank: BankOffice, visitor: Visitor, stranger: Visitor
) -> None:
    mandate_id = await give_mandate(bank)
    own = await visitor.sign_in("Customer 1", "/wallet/mandates")
    assert "Gas &amp; Water" in own.text
    assert "2,500.00 CZK each month" in own.text
    foreign = await stranger.sign_in("Customer 9", "/wallet/pay")
    assert "You have given no mandates." in (await stranger.get("/wallet/mandates")).text
    fields = dict(HIDDEN.findall(form_of(foreign.text, "/wallet/payments")))
    for wanted in (mandate_id, str(uuid.uuid4()), "x"):
        answer = await stranger.client.post(f"/wallet/mandates/{wanted}/revocation", data=fields)
        assert answer.status_code == 404
    assert (await bank.get(f"/v1/mandates/{mandate_id}")).json()["state"] == "active"
    answer = await visitor.submit(own, f"/wallet/mandates/{mandate_id}/revocation")
    assert (answer.status_code, answer.headers["location"]) == (303, "/wallet/mandates")
    assert (await bank.get(f"/v1/mandates/{mandate_id}")).json()["state"] == "revoked"
    assert "End this mandate" not in (await visitor.get("/wallet/mandates")).text


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_every_page_is_strict_and_shows_hostile_names_as_text(
    bank: BankOffice, visitor: Visitor, language: str
) -> None:
    address = "0x" + "c9" * 20
    await bank.bulk("/v1/billers:bulk", [{"reference": HOSTILE, "name": HOSTILE, "address": address}])
    gallery = await hang(bank)
    sent = (
        await bank.post("/v1/payments", payment(note=HOSTILE, payee={"biller_reference": HOSTILE}))
    ).json()
    await visitor.get(f"/language/{language}")
    await visitor.sign_in("Customer 1")
    paths = [
        *gallery.paths.values(),
        f"/wallet/payments/{sent['payment_id']}",
        "/wallet/history?search=%3Cscript",
    ]
    for path in paths:
        page = await visitor.get(path)
        assert page.status_code == (404 if path.endswith("/none") else 200), path
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert not re.search(r"<style|\sstyle=|<script(?! src=)|\son[a-z]+=", page.text), path
        assert not re.search(r"""(?:src|href|action)=["'](?:https?:)?//""", page.text), path
        for link in re.findall(r'(?:href|action|sse-connect|hx-[a-z]+)="(/[^"]*)"', page.text):
            assert not re.search(r"customer|Gas|c-1|w-1|Rent", link.split("?next=")[0], re.IGNORECASE) or (
                link == "/wallet/mandates" or "/sandbox/" in link
            ), link


async def test_links_name_the_wallet_where_there_are_several(bank: BankOffice, visitor: Visitor) -> None:
    assert "?wallet=" not in "".join(
        re.findall(r'href="[^"]*"', (await visitor.sign_in("Customer 1", "/wallet/more")).text)
    )
    body = {"reference": "w-1b", "customer_reference": "c-1", "account_reference": "a-1", "tier": 1}
    second = (await bank.post("/v1/wallets", body)).json()["wallet_id"]
    await bank.chain.register_requested_wallets()
    page = (await visitor.get(f"/wallet/more?wallet={second}")).text
    assert f'href="/wallet/limits?wallet={second}"' in page
    assert f'href="/wallet/pay?wallet={second}"' in page


async def test_another_language_leads_back_to_a_page_that_can_be_opened(
    bank: BankOffice, visitor: Visitor
) -> None:
    body = {"reference": "w-1b", "customer_reference": "c-1", "account_reference": "a-1", "tier": 1}
    second = (await bank.post("/v1/wallets", body)).json()["wallet_id"]
    await bank.chain.register_requested_wallets()
    form = await visitor.sign_in("Customer 1", f"/wallet/pay?wallet={second}")
    refused = await visitor.submit(form, "/wallet/payments", payee="biller:b-1", amount="99,999.00")
    for page, there in ((form, "pay"), (refused, "pay"), (await visitor.get("/wallet/limits"), "limits")):
        link = re.search(r'href="(/language/zh[^"]*)"', page.text)
        assert link is not None
        back = (await visitor.get(link[1])).headers["location"]
        assert back == f"/wallet/{there}" + (f"?wallet={second}" if there == "pay" else "")
        assert (await visitor.get(back)).status_code == 200
        await visitor.get("/language/en")


async def test_the_design_is_shown_in_a_sandbox_only(database: Database, visitor: Visitor) -> None:
    assert (await visitor.get("/design")).status_code == 200
    async with open_office(database, is_sandbox=False) as office:
        async for elsewhere in visit(office):
            assert (await elsewhere.get("/design")).status_code == 404


async def test_the_manifest_names_what_there_is(visitor: Visitor, citizen: Visitor) -> None:
    for each, start in ((visitor, "/wallet"), (citizen, "/")):
        manifest = await each.get("/manifest.webmanifest")
        assert manifest.headers["content-type"] == "application/manifest+json"
        assert manifest.json()["start_url"] == start
        for icon in manifest.json()["icons"]:
            assert (await each.get(icon["src"])).status_code == 200


def test_amounts_are_written_in_words() -> None:
    english = {
        0: "zero",
        13: "thirteen",
        40: "forty",
        105: "one hundred five",
        1_000_021: "one million twenty-one",
    }
    assert {number: english_number(number) for number in english} == english
    chinese = {
        0: "零", 10: "壹拾", 105: "壹佰零伍", 1_010: "壹仟零壹拾", 10_005: "壹万零伍", 120_000: "壹拾贰万",
        100_000_001: "壹亿零壹", 100_010_000: "壹亿零壹万", 2_030_405: "贰佰零叁万零肆佰零伍",
    }  # fmt: skip
    assert {number: chinese_number(number) for number in chinese} == chinese
    assert amount_in_words(123_450, 2, "Czech korunas", "en") == (
        "one thousand two hundred thirty-four and 50/100 Czech korunas"
    )
    assert amount_in_words(123_405, 2, "捷克克朗", "zh") == "捷克克朗壹仟贰佰叁拾肆点零伍"
    assert amount_in_words(500, 2, "捷克克朗", "zh") == "捷克克朗伍整"
    assert amount_in_words(7, 0, "Japanese yen", "en") == "seven Japanese yen"
