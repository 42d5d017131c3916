"""The bank's pages in a real browser.

A payment
├── with scripts: the review and each step of the payment show without reloading
├── without scripts: the same by plain forms
└── by keyboard alone, with a ring around where one is
No page is cut off on the smallest screen, asks for anything from elsewhere, or breaks its own policy
Every page, in both languages, sizes and themes: nothing that axe calls serious (WCAG 2.2 A and AA)
Home is light to load
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.web.gallery import bind_passkey, hang
from tests.api.web.site import DESK, PHONE, browser_marks, browsing, opened, served, sign_in

if TYPE_CHECKING:
    from tests.api.offices import BankOffice

playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")
pytestmark = browser_marks

AXE = Path(__file__).parents[3] / "node_modules" / "axe-core" / "axe.min.js"
RUN_AXE = """async () => (await axe.run({
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    resultTypes: ["violations"],
})).violations.map(v => [v.id, v.impact, v.nodes.map(n => n.target.join(" "))])"""
LOCALES = {"en": "en-GB", "zh": "zh-CN"}
VIEWS = {"en": [("phone", "light"), ("desk", "dark")], "zh": [("desk", "light"), ("phone", "dark")]}
"""Each size and each theme in each language; colours do not know of sizes, nor do sizes of colours."""


async def move_on(bank: BankOffice, step: str) -> None:
    """What the worker does to the newest payment, told as the worker tells it."""
    pool = bank.institution.pool
    if step == "submitted":
        transaction_id = uuid.uuid4()
        await pool.execute(
            """INSERT INTO chain_transactions (id, key_name, kind, data, gas, state, hash)
               VALUES ($1, 'institution', 'settle', '\\x', 0, 'signed', $2)""",
            transaction_id,
            b"\xab" * 32,
        )
        await pool.execute(
            "UPDATE outbox_payments SET state = 'batched', transaction_id = $1", transaction_id
        )
    elif step == "included":
        await pool.execute("UPDATE chain_transactions SET included_block = 777")
    else:
        await pool.execute("UPDATE outbox_payments SET state = 'final', final_block = 777, final_at = now()")
    await pool.execute("SELECT pg_notify('florin_final', '777')")


async def test_a_payment_is_watched_until_it_is_final(bank: BankOffice) -> None:
    async with served(bank) as site, browsing() as browser, opened(browser, site, viewport=PHONE) as page:
        await sign_in(page, site)
        await page.get_by_role("navigation", name="Wallet").get_by_role("link", name="Pay").click()
        await page.get_by_text("Gas & Water").click()
        await page.get_by_label("Amount").fill("12.50")
        await page.locator("#review").get_by_text("From the account").wait_for()
        await page.get_by_label("Amount").fill("999999")
        await page.locator("#review").get_by_text("The available money is less").wait_for()
        await page.get_by_label("Amount").fill("12.50")
        await page.locator("#review").get_by_text("12.50 CZK").wait_for()
        await page.get_by_role("button", name="Pay", exact=True).click()
        steps = page.locator(".track [aria-current=step]")
        await playwright.expect(steps).to_contain_text("accepted")
        await page.evaluate("window.wasNotReloaded = true")
        for step in ("submitted", "included", "final"):
            await move_on(bank, step)
            await playwright.expect(steps).to_contain_text(step)
        assert await page.evaluate("window.wasNotReloaded")
        await page.get_by_role("link", name="Show the proof").click()
        await playwright.expect(page.locator("main")).to_contain_text("0x" + "ab" * 32)


async def test_home_tells_news_by_itself(bank: BankOffice) -> None:
    async with served(bank) as site, browsing() as browser, opened(browser, site) as page:
        await sign_in(page, site)
        await page.evaluate("window.wasNotReloaded = true")
        await hang(bank)
        await playwright.expect(page.locator(".balances")).to_contain_text("on its way")
        await playwright.expect(page.get_by_role("region", name="On its way")).to_contain_text("Phone")
        assert await page.evaluate("window.wasNotReloaded")


async def test_the_same_without_scripts(bank: BankOffice) -> None:
    async with (
        served(bank) as site,
        browsing() as browser,
        opened(browser, site, java_script_enabled=False) as page,
    ):
        await sign_in(page, site)
        await page.get_by_role("link", name="Pay").first.click()
        await page.get_by_role("searchbox", name="Find a payee").fill("gas")
        await page.get_by_role("button", name="Find").click()
        await page.get_by_text("Gas & Water").click()
        await page.get_by_label("Amount").fill("12.50")
        await page.get_by_role("button", name="Pay", exact=True).click()
        await page.get_by_text("The payment was accepted").wait_for()
        assert await bank.intents() == [("funding", 1_250), ("payment", 1_250)]
        await page.get_by_role("button", name="Sign out").click()
        await page.get_by_role("heading", name="Bank A").wait_for()


async def reach(page: Any, name: str, *, limit: int = 40) -> None:
    """Press Tab until the element of this accessible name has the focus, and a ring around it."""
    asked = """() => { const e = document.activeElement; return [
        e.getAttribute("aria-label") || (e.labels && e.labels[0] ? e.labels[0].innerText : e.innerText) || "",
        getComputedStyle(e).outlineStyle] }"""
    for _ in range(limit):
        await page.keyboard.press("Tab")
        label, outline = await page.evaluate(asked)
        if label.strip().startswith(name):
            assert outline == "solid", name
            return
    raise AssertionError(f"Tab does not reach {name}")


async def test_a_payment_by_keyboard_alone(bank: BankOffice) -> None:
    async with served(bank) as site, browsing() as browser, opened(browser, site, viewport=DESK) as page:
        await page.goto(site)
        await reach(page, "Skip to the content")
        await page.keyboard.press("Enter")
        await reach(page, "C\nCustomer 1")
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="Customer 1").wait_for()
        await reach(page, "Pay")
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="Pay").wait_for()
        await reach(page, "Gas & Water")
        await page.keyboard.press("Space")
        await reach(page, "Amount")
        await page.keyboard.type("12.50")
        await page.locator("#review").get_by_text("12.50 CZK").wait_for()
        await reach(page, "Pay")
        await page.keyboard.press("Enter")
        await page.get_by_text("The payment was accepted").wait_for()
    assert await bank.intents() == [("funding", 1_250), ("payment", 1_250)]


async def test_nothing_is_cut_off_on_the_smallest_screen(bank: BankOffice) -> None:
    long = {"reference": "long", "name": "W" * 200, "address": "0x" + "c4" * 20}
    await bank.bulk("/v1/billers:bulk", [long])
    gallery = await hang(bank)
    async with (
        served(bank) as site,
        browsing() as browser,
        opened(browser, site, viewport={"width": 320, "height": 640}) as page,
    ):
        await sign_in(page, site)
        for name, path in gallery.paths.items():
            if name != "lost":  # the console would tell of its 404
                await page.goto(site + path)
                assert await page.evaluate("document.documentElement.scrollWidth") <= 320, name


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: npm install")
@pytest.mark.parametrize("language", ["en", "zh"])
async def test_every_page_is_accessible(bank: BankOffice, tmp_path: Path, language: str) -> None:
    gallery = await hang(bank)
    await bind_passkey(bank, tmp_path)
    async with served(bank) as site, browsing() as browser:
        context = await browser.new_context(locale=LOCALES[language], viewport=PHONE, reduced_motion="reduce")
        await context.add_init_script(path=AXE)  # over CDP: the pages' policy stays as it is
        page = await context.new_page()
        await sign_in(page, site)
        found = []
        for name, path in [*gallery.paths.items(), ("approve", "/wallet/pay")]:
            await page.goto(site + path)
            if name == "approve":
                await page.locator("input[value='biller:b-1']").check()
                await page.locator("#amount").fill("62.50")
                await page.locator("form.form button[type=submit]").click()
                await page.locator("form[data-passkey]").wait_for()
            for size, theme in VIEWS[language]:
                await page.set_viewport_size({"phone": PHONE, "desk": DESK}[size])
                await page.emulate_media(color_scheme=theme)
                found += [(name, size, theme, *each) for each in await page.evaluate(RUN_AXE)]
        await context.close()
    assert found == []


async def test_home_is_light_to_load(bank: BankOffice) -> None:
    await hang(bank)
    async with served(bank) as site, browsing() as browser, opened(browser, site, viewport=PHONE) as page:
        await sign_in(page, site)
        session = await page.context.new_cdp_session(page)
        transferred: dict[str, int] = {}  # of each request: the whole once it has ended (a stream does not)

        def note(event: dict[str, Any]) -> None:
            so_far = transferred.get(event["requestId"], 0)
            transferred[event["requestId"]] = max(so_far, int(event["encodedDataLength"]))

        session.on("Network.dataReceived", note)
        session.on("Network.loadingFinished", note)
        await session.send("Network.enable")
        await session.send("Network.setCacheDisabled", {"cacheDisabled": True})
        await page.goto(site + "/wallet")
        await page.get_by_role("heading", name="Customer 1").wait_for()
        await page.locator("[sse-swap=payments] .payment").first.wait_for()
        print(f"home: {sum(transferred.values()):,} bytes")
        assert 50_000 < sum(transferred.values()) < 150_000
