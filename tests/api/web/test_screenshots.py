"""Pictures of every page, at both sizes, in both themes and languages: `make screenshots`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.api.web.gallery import bind_passkey, hang
from tests.api.web.site import DESK, PHONE, browser_marks, browsing, served, sign_in

if TYPE_CHECKING:
    from tests.api.offices import BankOffice

PICTURES = os.environ.get("FLORIN_SCREENSHOTS", "")
LOCALES = {"en": "en-GB", "zh": "zh-CN"}

pytestmark = [
    *browser_marks,
    pytest.mark.skipif(not PICTURES, reason="makes no pictures unless asked: make screenshots"),
]


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_every_page_is_pictured(bank: BankOffice, tmp_path: Path, language: str) -> None:
    gallery = await hang(bank)
    await bind_passkey(bank, tmp_path)
    directory = Path(PICTURES)
    async with served(bank) as site, browsing() as browser:
        context = await browser.new_context(locale=LOCALES[language], viewport=PHONE, reduced_motion="reduce")
        page = await context.new_page()
        await sign_in(page, site)
        made = 0
        for name, path in [*gallery.paths.items(), ("approve", "/wallet/pay")]:
            await page.goto(site + path)
            if name == "approve":
                await page.locator("input[value='biller:b-1']").check()
                await page.locator("#amount").fill("1234.50")
                await page.locator("form.form button[type=submit]").click()
                await page.locator("form[data-passkey]").wait_for()
            for size, viewport in {"phone": PHONE, "desk": DESK}.items():
                await page.set_viewport_size(viewport)
                height = await page.evaluate("document.documentElement.scrollHeight")
                if size == "phone" or name == "design":  # all of it, with what sticks at its foot
                    await page.set_viewport_size(viewport | {"height": max(height, viewport["height"])})
                for theme in ("light", "dark"):
                    await page.emulate_media(color_scheme=theme)
                    picture = directory / f"{name}.{size}.{theme}.{language}.png"
                    await page.screenshot(path=picture)
                    made += 1
        await context.close()
    assert made == 4 * (len(gallery.paths) + 1)
