"""A lost credential is replaced by the officers, at the signer.

A change from the outbox
├── waits while officers think about it, and is asked again only after a while
├── is done when enough of them have approved, and binds the new credential
└── is refused when one of them withdraws it, and for good where the signer refuses it
"""

from __future__ import annotations

import json
import uuid
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from api.chain.outbox import CredentialChangeIntent, enqueue_credential_change
from api.database import transaction
from scripts.country.authenticator import SoftwareAuthenticator
from scripts.country.officers import Officer
from scripts.country.quorum import OfficersDesk
from tests.api.chain.bank import Bank, Wallet
from tests.api.chain.conftest import POLICIES, running_signer
from tests.api.chain.test_waiting_for_officers import NAMES, approve_all

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import asyncpg

    from api.chain.rpc import RpcClient
    from tests.api.chain.conftest import Chain, SignerHome
    from tests.api.conftest import Database

PASSKEYS = SoftwareAuthenticator(b"s" * 32)


@asynccontextmanager
async def officered(
    tmp_path: Path, chain: Chain, rpc: RpcClient, keys: SignerHome, database: Database
) -> AsyncIterator[tuple[Bank, OfficersDesk, list[Officer]]]:
    """A bank whose signer asks two officers before it changes a credential."""
    officers = [Officer.open(tmp_path / "officers", name) for name in NAMES]
    listed = "".join(f"\n  - {{name: {each.name}, key: '{each.policy_key}'}}" for each in officers)
    both = "{name: both, approvals: 2, officers: [first, second], valid_s: 3600}"
    text = POLICIES.joinpath("no-proof.yaml").read_text()
    text += f"\nofficers:{listed}\nquorums:\n  - {both}\nchanges:\n  credentials: both\n"
    policy = tmp_path / "policy.yaml"
    policy.write_text(text)
    async with (
        running_signer(tmp_path / "node", chain.deployment, keys, policy) as socket,
        OfficersDesk(tmp_path / "node" / "o.sock") as desk,
        Bank.opened(database.app_url, chain.url, rpc, chain.deployment, socket) as bank,
    ):
        yield bank, desk, officers


async def file(bank: Bank, wallet: Wallet, passkey: str, unbind: str | None = None) -> uuid.UUID:
    intent = CredentialChangeIntent(
        change_id=uuid.uuid4(),
        wallet_id=wallet.wallet_id,
        recovery_id=uuid.uuid4(),
        address=wallet.address,
        bind=json.dumps(PASSKEYS.credential_fields(passkey)),
        unbind=unbind,
    )
    async with transaction(bank.pool) as connection:
        assert await enqueue_credential_change(connection, intent)
    return intent.change_id


async def state_of(bank: Bank, change_id: uuid.UUID) -> tuple[str, str | None]:
    row = await bank.pool.fetchrow(
        "SELECT state, outcome_code FROM outbox_credential_changes WHERE change_id = $1", change_id
    )
    assert row is not None
    return row["state"], row["outcome_code"]


async def test_a_change_waits_for_officers_and_is_done_when_they_approved(
    tmp_path: Path,
    chain: Chain,
    rpc: RpcClient,
    signer_home: SignerHome,
    database: Database,
    owner: asyncpg.Connection[asyncpg.Record],
) -> None:
    async with officered(tmp_path, chain, rpc, signer_home, database) as (bank, desk, officers):
        (wallet,) = await bank.open_wallets(1)
        change = await file(bank, wallet, "new phone")
        await bank.relay.run_once()
        assert await state_of(bank, change) == ("waiting", None)
        assert await approve_all(desk, officers) == 1
        await bank.relay.run_once()
        assert await state_of(bank, change) == ("waiting", None), "it is not asked again at once"
        await owner.execute("UPDATE outbox_credential_changes SET ask_at = now()")
        assert await bank.relay.run_once()
        assert await state_of(bank, change) == ("done", None)

        again = await file(bank, wallet, "new phone")
        await bank.relay.run_once()
        assert await state_of(bank, again) == ("refused", "CredentialAlreadyBound")


async def test_a_change_that_an_officer_withdraws_is_refused(
    tmp_path: Path,
    chain: Chain,
    rpc: RpcClient,
    signer_home: SignerHome,
    database: Database,
    owner: asyncpg.Connection[asyncpg.Record],
) -> None:
    async with officered(tmp_path, chain, rpc, signer_home, database) as (bank, desk, officers):
        (wallet,) = await bank.open_wallets(1)
        change = await file(bank, wallet, "new phone")
        unknown = await file(bank, wallet, "tablet", unbind="AAAA")
        await bank.relay.run_once()
        assert await state_of(bank, unknown) == ("refused", "CredentialUnknown")
        (operation,) = await desk.operations()
        await desk.withdraw(operation, officers[0])
        await owner.execute("UPDATE outbox_credential_changes SET ask_at = now()")
        await bank.relay.run_once()
        assert await state_of(bank, change) == ("refused", "OperationWithdrawn")
