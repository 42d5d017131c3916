"""The bank's page in a real browser: sign in, review, pay, and watch the payment become final.

With scripts: the review and each step of the payment show without reloading
Without scripts: the same payment by plain forms
At 320 pixels nothing is cut off; and no page asks for anything from elsewhere, or breaks its own policy
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import uvicorn

from tests.api.offices import BankOffice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed")

playwright.expect.set_options(timeout=30_000)  # a busy machine of two cores may need it

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]


@pytest.fixture
async def site(bank: BankOffice) -> AsyncIterator[str]:
    """The bank's pages on a port of this machine."""
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        config = uvicorn.Config(bank.app, lifespan="off", log_level="error", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        bank.app.state.news.is_stopping = lambda: server.should_exit
        chosen.listen()
        serving = asyncio.create_task(server.serve(sockets=[chosen]))
        yield f"http://127.0.0.1:{chosen.getsockname()[1]}"
        server.should_exit = True
        await serving


@contextlib.asynccontextmanager
async def opened(site: str, **options: Any) -> AsyncIterator[Any]:
    """A browser's page that fails the test when it breaks its policy or asks for anything from elsewhere."""
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=["--no-sandbox"])
        page = await browser.new_page(**options)
        complaints: list[str] = []
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type == "error" else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None
                if urlsplit(request.url).netloc == urlsplit(site).netloc
                else complaints.append(request.url)
            ),
        )
        yield page
        await browser.close()
    assert complaints == []


async def sign_in(page: Any, site: str) -> None:
    await page.goto(site)
    await page.get_by_role("button", name="Customer 1").click()
    await page.get_by_role("heading", name="Customer 1").wait_for()


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


async def test_a_payment_is_watched_until_it_is_final(bank: BankOffice, site: str) -> None:
    async with opened(site, viewport={"width": 390, "height": 844}) as page:
        await sign_in(page, site)
        await page.get_by_text("Gas & Water").click()
        await page.get_by_label("Amount").fill("12.50")
        await page.locator("#review").get_by_text("From the account").wait_for()
        await page.get_by_label("Amount").fill("999999")
        await page.locator("#review").get_by_text("The available money is less").wait_for()
        await page.get_by_label("Amount").fill("12.50")
        await page.locator("#review").get_by_text("12.50 CZK").wait_for()
        await page.get_by_role("button", name="Pay", exact=True).click()
        steps = page.locator(".payment [aria-current=step]")
        await playwright.expect(steps).to_have_text("accepted")
        await playwright.expect(page.locator(".balances")).to_contain_text("12.50 on its way")
        await page.evaluate("window.wasNotReloaded = true")
        for step in ("submitted", "included", "final"):
            await move_on(bank, step)
            await playwright.expect(steps).to_have_text(step)
        await playwright.expect(page.locator(".payment")).to_contain_text("Block 777")
        assert await page.evaluate("window.wasNotReloaded")


async def test_the_same_without_scripts(bank: BankOffice, site: str) -> None:
    async with opened(site, java_script_enabled=False) as page:
        await sign_in(page, site)
        await page.get_by_role("searchbox", name="Find a payee").fill("gas")
        await page.get_by_role("button", name="Find").click()
        await page.get_by_text("Gas & Water").click()
        await page.get_by_label("Amount").fill("12.50")
        await page.get_by_role("button", name="Pay", exact=True).click()
        await page.get_by_text("The payment was accepted").wait_for()
        assert await bank.intents() == [("funding", 1_250), ("payment", 1_250)]
        await page.get_by_role("button", name="Sign out").click()
        await page.get_by_role("heading", name="Bank A").wait_for()


async def test_nothing_is_cut_off_on_the_smallest_screen(bank: BankOffice, site: str) -> None:
    long = {"reference": "long", "name": "W" * 200, "address": "0x" + "c2" * 20}
    await bank.bulk("/v1/billers:bulk", [long])
    async with opened(site, viewport={"width": 320, "height": 640}) as page:
        await sign_in(page, site)
        for path in ("/", "/wallet"):
            await page.goto(site + path)
            assert await page.evaluate("document.documentElement.scrollWidth") <= 320
