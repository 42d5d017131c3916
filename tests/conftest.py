"""What every test may use: one PostgreSQL for the session, as a newcomer's machine starts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.postgres import Server, start

if TYPE_CHECKING:
    from collections.abc import Iterator

NOT_DURABLE = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "64MB"}
"""Test databases need not survive a crash of the machine; a killed process loses nothing by this."""


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of this session's own, or the one that FLORIN_DATABASE_URL names."""
    server = start(tmp_path_factory.mktemp("postgres"), NOT_DURABLE)
    yield server
    server.stop()
