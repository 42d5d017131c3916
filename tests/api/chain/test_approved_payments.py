"""A person's approval from the page to the chain, with the shipped policy, which asks for proofs.

A wallet is opened with a passkey, and its payment above the allowance approved: signed, and final
The same after the bank's own server changed the payee, the amount or the end: not signed, and it failed
Under a mandate that the passkey gave: signed; more than its cap: not
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from api.accounts.schemas import AccountBody
from api.accounts.service import open_deposit_accounts
from api.addresses import address_text
from api.database import transaction
from api.identity.customers import create_customers
from api.identity.schemas import CustomerBody
from api.identity.sessions import open_session, session_of
from api.institution import Institution
from api.payments.own_mandates import give_mandate, prepare_mandate
from api.payments.own_payments import TotpStanding, prepare_payment, submit_payment
from api.payments.own_schemas import ApprovedMandateBody, ApprovedPaymentBody, OwnMandateBody, OwnPaymentBody
from api.proofs import CredentialBody
from api.wallets.opening import open_wallet
from scripts.country.officers import Officer, complete_policy
from tests.api.chain.bank import Bank
from tests.api.chain.conftest import running_signer
from tests.api.offices import settings_for
from tests.api.passkeys import ORIGIN, Passkey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from api.chain.deployment import Deployment
    from api.chain.rpc import RpcClient
    from api.identity.sessions import SignedIn
    from tests.api.chain.conftest import Chain, SignerHome
    from tests.api.conftest import Database

ABOVE = 100_000


class Page:
    """A person with a passkey at a bank: what their browser would do."""

    def __init__(self, bank: Bank, here: Institution, person: SignedIn, wallet_id: str) -> None:
        self.bank, self.here, self.person, self.wallet_id = bank, here, person, wallet_id
        self.passkey = Passkey()

    async def pay(self, payee: bytes, amount: int, **changes: Any) -> uuid.UUID:
        """Prepare, approve and submit; the payment's id."""
        body = {
            "wallet_id": self.wallet_id,
            "payee": {"address": address_text(payee)},
            "amount_minor": amount,
            "currency": "CZK",
        } | changes
        async with transaction(self.bank.pool) as conn:
            found = await prepare_payment(
                conn,
                self.here,
                self.person,
                OwnPaymentBody(**body),
                kind="payment",
                reference=str(uuid.uuid4()),
                totp=TotpStanding(),
            )
        assert found["reasons"] == []
        body["payment_id"] = found["payment_id"]
        if found["requirement"] == "passkey":
            body["approval"] = self.yes(found, "expiresAt")
        async with transaction(self.bank.pool) as conn:
            outcome = await submit_payment(
                conn,
                self.here,
                self.person,
                ApprovedPaymentBody(**body),
                kind="payment",
                totp=TotpStanding(),
            )
        return outcome.require_accepted().payment_id

    async def allow(self, payee: bytes, cap: int) -> uuid.UUID:
        """Prepare, approve and give a mandate; its id."""
        body: dict[str, Any] = {
            "wallet_id": self.wallet_id,
            "payee": {"address": address_text(payee)},
            "cap_minor": cap,
            "period": "month",
            "starts_at_s": 1_000_000_000,
            "expires_at_s": 4_000_000_000,
        }
        async with transaction(self.bank.pool) as conn:
            found = await prepare_mandate(conn, self.here, self.person, "m", OwnMandateBody(**body))
        body |= {"mandate_id": found["mandate_id"], "approval": self.yes(found, "approvalExpiresAt")}
        async with transaction(self.bank.pool) as conn:
            await give_mandate(conn, self.here, self.person, ApprovedMandateBody(**body))
        return uuid.UUID(found["mandate_id"])

    def yes(self, found: dict[str, Any], end: str) -> dict[str, Any]:
        """The passkey's yes to what is shown."""
        expires_at_s = found["to_sign"]["message"][end]
        return {"expires_at_s": expires_at_s, **self.passkey.assertion(found["challenge"])}


@pytest.fixture
async def signer_socket(tmp_path: Path, chain: Chain, signer_home: SignerHome) -> AsyncIterator[Path]:
    """A signer with the policy that ships."""
    policy = tmp_path / "policy.yaml"
    officers = [Officer(f"{name}-officer", name.encode().ljust(32)) for name in ("first", "second", "third")]
    policy.write_bytes(complete_policy("sandbox-bank", officers))
    async with running_signer(tmp_path / "signer", chain.deployment, signer_home, policy) as path:
        yield path


@pytest.fixture
async def page(bank: Bank, database: Database, tmp_path: Path) -> Page:
    """A person whose wallet is ready, beside an account with money."""
    manifest = tmp_path / "manifest.json"
    manifest.write_text(manifest_of(bank.deployment))
    settings = settings_for(database.app_url, page_origins=[ORIGIN], manifest_path=manifest)
    here = Institution(settings, bank.pool, bank.chart)
    async with transaction(bank.pool) as conn:
        await create_customers(conn, here, [CustomerBody(reference="c-1", name="Customer 1")])
        line = AccountBody(
            reference="a-1", customer_reference="c-1", currency="CZK", opening_deposit_minor=10 * ABOVE
        )
        await open_deposit_accounts(conn, here, [line], may_bring_reserves=True)
        row = await conn.fetchrow("SELECT id, customer_id FROM accounts")
        person = await session_of(conn, await open_session(conn, row["customer_id"], "passkey"))
        assert person is not None
    await bank.mint(5 * ABOVE)
    await bank.finish()
    async with transaction(bank.pool) as conn:
        credential = CredentialBody(**Passkey().credential)
        opened = await open_wallet(conn, here, person, credential, name="1", account_id=row["id"])
    bank._next_index = 10  # the first keys belong to who opened a wallet above
    await bank.finish()
    return Page(bank, here, person, opened["wallet_id"])


def manifest_of(deployment: Deployment) -> str:
    """What is read of a deployment's manifest."""
    return json.dumps(
        {
            "chain_id": deployment.chain_id,
            "genesis_hash": "0x" + deployment.genesis_hash.hex(),
            "contracts": {
                "proxy": "0x" + deployment.contract.hex(),
                "notary": "0x" + deployment.notary.hex(),
            },
            "block_number": deployment.deployed_block,
            "currency": {"name": deployment.domain_name},
        }
    )


async def test_an_approved_payment_is_signed_and_final(page: Page, rpc: RpcClient) -> None:
    (shop,) = await page.bank.open_wallets(1)
    payment_id = await page.pay(shop.address, ABOVE)
    await page.bank.finish()
    assert await page.bank.state(payment_id) == ("final", None)
    assert await page.bank.on_chain(shop.address) == ABOVE
    await page.bank.assert_reconciled()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("payee = $2", "ChallengeMismatch"),
        ("amount_minor = amount_minor - 1", "ChallengeMismatch"),
        ("proof = jsonb_set(proof, '{expires_at_s}', '2000000000')", "ChallengeMismatch"),
        ("proof = NULL", "ProofRequired"),
    ],
)
async def test_what_the_banks_own_server_changed_is_not_signed(
    page: Page, database: Database, change: str, code: str
) -> None:
    shop, thief = await page.bank.open_wallets(2)
    payment_id = await page.pay(shop.address, ABOVE)
    superuser = await asyncpg.connect(database.superuser_url)
    values = [payment_id, thief.address] if "$2" in change else [payment_id]
    await superuser.execute(f"UPDATE outbox_payments SET {change} WHERE payment_id = $1", *values)
    await superuser.close()
    await page.bank.finish()
    state, outcome = await page.bank.state(payment_id)
    assert (state, outcome) == ("failed", code)
    assert await page.bank.on_chain(thief.address) == await page.bank.on_chain(shop.address) == 0


async def test_a_mandate_that_the_passkey_gave_covers_its_cap_and_no_more(page: Page) -> None:
    (shop,) = await page.bank.open_wallets(1)
    mandate_id = await page.allow(shop.address, ABOVE)
    await page.bank.relay_all()
    state = "SELECT state FROM outbox_mandates WHERE mandate_id = $1"
    assert await page.bank.pool.fetchval(state, mandate_id) == "active"
    first = await page.pay(shop.address, ABOVE, mandate_id=str(mandate_id))
    second = await page.pay(shop.address, 1, mandate_id=str(mandate_id))
    await page.bank.finish()
    assert await page.bank.state(first) == ("final", None)
    assert await page.bank.state(second) == ("failed", "MandateCapExceeded")
