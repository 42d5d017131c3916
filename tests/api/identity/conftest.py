"""An open bank and an open central bank; and a bank for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.identity.people import People, open_people
from tests.api.offices import bank, central_bank, furnished_template

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.api.conftest import Database

__all__ = ["bank", "central_bank", "furnished_template"]


@pytest.fixture
async def people(database: Database) -> AsyncIterator[People]:
    """A bank that nobody knows yet."""
    async with open_people(database) as opened:
        yield opened
