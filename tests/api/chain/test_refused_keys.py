"""A customer's credential that the signer does not take holds up that customer alone.

refused keys
├── the other wallets of the lot get their addresses
├── the wallet is left behind with its reason and one case
├── what comes after it goes on
└── nobody waits for it to be registered
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from api.database import transaction
from api.operations.queries import unregistered_wallets

if TYPE_CHECKING:
    from tests.api.chain.bank import Bank

OFF_THE_CURVE = json.dumps({"credential_id": "AAAA", "algorithm": -7, "public_key": "A" * 86})


async def test_a_credential_that_is_no_key_holds_up_its_own_wallet_alone(bank: Bank) -> None:
    async with transaction(bank.pool) as connection:
        good, bad, last = await bank.add_wallets(connection, 3, 0, 1, [None, OFF_THE_CURVE, None])
    assert await bank.relay.registering.derive() == 3
    assert await bank.relay.registering.derive() == 0
    rows = await bank.pool.fetch(
        "SELECT wallet_id, address IS NOT NULL AS has_one, refusal FROM outbox_registrations"
    )
    assert {row["wallet_id"]: (row["has_one"], row["refusal"]) for row in rows} == {
        good.wallet_id: (True, None),
        bad.wallet_id: (False, "CredentialMalformed"),
        last.wallet_id: (True, None),
    }
    cases = await bank.pool.fetch("SELECT kind, detail->>'wallet_id' AS wallet FROM chain_cases")
    assert [tuple(case) for case in cases] == [("KeyRefused", str(bad.wallet_id))]

    await bank.open_wallets(1)  # derived, registered and final behind it
    assert await unregistered_wallets(bank.pool) == 0
