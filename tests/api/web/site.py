"""A bank's pages on a port of this machine, and a browser that is strict about them."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import uvicorn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.api.offices import BankOffice

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 800}

browser_marks = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]


@contextlib.asynccontextmanager
async def served(bank: BankOffice) -> AsyncIterator[str]:
    """The bank's pages while the block runs. The name is one that passkeys can be bound to."""
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        config = uvicorn.Config(bank.app, lifespan="off", log_level="error", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        bank.app.state.news.is_stopping = lambda: server.should_exit
        chosen.listen()
        serving = asyncio.create_task(server.serve(sockets=[chosen]))
        try:
            yield f"http://localhost:{chosen.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


@contextlib.asynccontextmanager
async def browsing() -> AsyncIterator[Any]:
    """A browser while the block runs."""
    from playwright.async_api import async_playwright, expect

    expect.set_options(timeout=30_000)  # a busy machine of two cores may need it
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=["--no-sandbox"])
        yield browser
        await browser.close()


@contextlib.asynccontextmanager
async def opened(browser: Any, site: str, **options: Any) -> AsyncIterator[Any]:
    """A page that fails the test when it breaks its policy or asks for anything from elsewhere."""
    context = await browser.new_context(**options)
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda request: (
            None if urlsplit(request.url).netloc == urlsplit(site).netloc else complaints.append(request.url)
        ),
    )
    yield page
    await context.close()
    assert complaints == []


async def sign_in(page: Any, site: str, name: str = "Customer 1") -> None:
    """Become a sample customer by the way that people go."""
    await page.goto(site)
    await page.get_by_role("button", name=name).click()
    await page.get_by_role("heading", name=name).wait_for()
