"""People are told by the notifications room.

A stranger who registers gets the code there, and is reached there from then on.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.api.identity.people import ANNA, PASSWORD, quick_passwords
from tests.api.offices import BankOffice


async def ask(bank: BankOffice, path: str, body: Any, token: str = "") -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    return await bank.client.post(path, json=body, headers=headers)


async def code_sent_to(bank: BankOffice, address: str) -> str:
    """The code in the newest delivery to this address, as the worker would send it."""
    row = await bank.institution.pool.fetchrow(
        "SELECT kind, args FROM notification_deliveries WHERE address = $1 ORDER BY created_at DESC", address
    )
    assert row is not None, address
    found = re.search(r'"code": ?"([0-9]{6})"', row["args"])
    assert found is not None
    return found[1]


@pytest.fixture
def people_bank(bank: BankOffice) -> BankOffice:
    desk = bank.app.state.people
    object.__setattr__(desk, "passwords", quick_passwords())
    return bank


async def test_a_stranger_is_reached_by_what_they_registered_with(people_bank: BankOffice) -> None:
    bank = people_bank
    begun = await ask(bank, "/v1/registrations", ANNA)
    assert begun.status_code == 202, begun.text
    registration = begun.json()["registration_id"]
    code = await code_sent_to(bank, ANNA["contact"])
    verified = await ask(bank, f"/v1/registrations/{registration}/verification", {"code": code})
    assert verified.status_code == 200, verified.text
    done = await ask(
        bank,
        f"/v1/registrations/{registration}/completion",
        {"token": verified.json()["token"], "password": PASSWORD},
    )
    assert done.status_code == 201, done.text
    row = await bank.institution.pool.fetchrow("SELECT email, phone, language FROM notification_people")
    assert tuple(row) == (ANNA["contact"], None, "en")
