"""The banks of these tests, and a person with a passkey at one of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from api.database import transaction
from api.identity.sessions import session_of
from api.proofs import CredentialBody
from api.wallets.opening import open_wallet
from tests.api.offices import BankOffice, bank, central_bank, furnished_template, open_office
from tests.api.passkeys import ORIGIN, Passkey
from tests.api.people import Person, sign_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

__all__ = ["bank", "central_bank", "furnished_template", "office", "passkey", "person"]

MANIFEST = {
    "chain_id": 31337,
    "genesis_hash": "0x" + "01" * 32,
    "contracts": {"proxy": "0x" + "02" * 20, "notary": "0x" + "03" * 20},
    "block_number": 1,
    "currency": {"name": "Czech koruna"},
}


@pytest.fixture
async def office(bank: BankOffice, tmp_path: Path) -> AsyncIterator[BankOffice]:
    """A furnished bank whose pages have an origin, and which knows its currency's contract."""
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps(MANIFEST))
    async with open_office(bank.database, page_origins=[ORIGIN], manifest_path=manifest) as opened:
        yield opened


@pytest.fixture
def passkey() -> Passkey:
    """The passkey of customer 1's second wallet."""
    return Passkey()


@pytest.fixture
async def person(office: BankOffice, passkey: Passkey) -> Person:
    """Customer 1, with a wallet `w-1` without passkey and another one, ready, with it."""
    person = await sign_in(office)
    async with transaction(office.institution.pool) as conn:
        signed_in = await session_of(conn, person.token)
        assert signed_in is not None
        account_id = await conn.fetchval("SELECT id FROM accounts WHERE reference = 'a-1'")
        credential = CredentialBody(**passkey.credential)
        opened = await open_wallet(
            conn, office.institution, signed_in, credential, name="1", account_id=account_id
        )
    await office.chain.register_requested_wallets()
    person.wallet_id = opened["wallet_id"]
    return person
