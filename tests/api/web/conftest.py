"""An open bank and an open central bank, and visitors of their pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.api.offices import BankOffice, bank, central_bank, furnished_template

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.api.offices import Office

__all__ = ["bank", "central_bank", "furnished_template"]

HIDDEN = re.compile(r'type="hidden" name="([a-z_]+)" value="([^"]*)"')
"""A hidden field of a form: name and value."""


class Visitor:
    """A browser without scripts: cookies, forms, and nothing else."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """Open a page."""
        return await self.client.get(path, headers=headers)

    async def submit(self, page: httpx.Response, path: str, **fields: str) -> httpx.Response:
        """Send a form of `page` with its hidden fields and these."""
        hidden = HIDDEN.findall(form_of(page.text, path))
        return await self.client.post(path, data=dict(hidden) | fields)

    async def sign_in(self, name: str, at: str = "/wallet") -> httpx.Response:
        """Become the customer of this name, and open a page of theirs."""
        home = await self.get("/")
        form = next(form for form in forms_of(home.text, "/sandbox/sign-in") if name in form)
        hidden = HIDDEN.findall(form)
        response = await self.client.post("/sandbox/sign-in", data=dict(hidden))
        assert (response.status_code, response.headers["location"]) == (303, "/wallet")
        return await self.get(at)


def forms_of(html: str, action: str) -> list[str]:
    """The forms of a page that go to `action`."""
    forms = re.findall(r"<form.*?</form>", html, re.DOTALL)
    return [form for form in forms if f'action="{action}"' in form]


def form_of(html: str, action: str) -> str:
    """The first form of a page that goes to `action`."""
    return forms_of(html, action)[0]


async def visit(office: Office) -> AsyncIterator[Visitor]:
    """Somebody who opens the pages of an office."""
    transport = httpx.ASGITransport(office.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://bank") as client:
        yield Visitor(client)


@pytest.fixture
async def visitor(bank: BankOffice) -> AsyncIterator[Visitor]:
    """Somebody who opens the bank's pages."""
    async for each in visit(bank):
        yield each


@pytest.fixture
async def stranger(bank: BankOffice) -> AsyncIterator[Visitor]:
    """Somebody else, with cookies of their own."""
    async for each in visit(bank):
        yield each


@pytest.fixture
async def citizen(central_bank: Office) -> AsyncIterator[Visitor]:
    """Somebody who opens the central bank's page."""
    async for each in visit(central_bank):
        yield each
