"""Wallets whose address somebody else has on chain before this bank: none of its money, nobody else's wait.

a wallet whose address another participant registered
├── before its registration is prepared is left out of it, with one case; the others are registered
│   ├── also when that participant changes the account again, and after a person has closed the case
│   └── also when its address is derived only then
├── while its registration is on its way is left out when that is tried again, without a person
│   ├── whoever else takes the next one
│   └── but after some tries that all revert a person must look; who lifts the freeze gets one more
├── and that its owner moves to this bank is registered then
└── and that is funded all the same takes no deposit: it waits in transit, and the books reconcile
    └── and whoever books it on the deposit afterwards is found
a wallet whose address became the system's is left out likewise
a wallet that this bank registered before its database was set back is registered, and not sent again
└── also when that becomes final in the moment in which the address is stored
a registration that reverts for another cause while an address was taken before is not tried again
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from api.chain.rebuilding import rebuild
from api.chain.taken_addresses import MAX_REVERTED_IN_A_ROW
from api.database import transaction
from contracts.abi import AccountFlag, encode_register, encode_set_participant
from tests.api.chain.bank import CONFIRMATIONS, OTHER_BANK, OWN_BANK, Bank, Wallet
from tests.api.chain.operator import mine, succeed
from tests.api.chain.owners import call
from tests.api.chain.test_outside_acts import Story, tampered

if TYPE_CHECKING:
    from pathlib import Path

    import asyncpg

    from tests.api.chain.conftest import Chain, SignerHome
    from tests.api.conftest import Database

LINKED = int(AccountFlag.LINKED)
IS_ANYBODY_WAITING = """
SELECT EXISTS (SELECT FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock')"""
ON_THE_DEPOSIT = """
UPDATE ledger_legs SET account_id = (SELECT ledger_account_id FROM accounts)
 WHERE account_id = (SELECT id FROM ledger_accounts WHERE code = 'in_transit:unidentified')"""


class Country:
    """A bank with wallets that wait, and everybody who may take their addresses."""

    def __init__(self, bank: Bank, chain: Chain) -> None:
        self.bank, self._chain = bank, chain

    async def wallets(self, count: int, tier: int = 1) -> list[Wallet]:
        """Wallets that have an address and are not registered yet."""
        async with transaction(self.bank.pool) as connection:
            wallets = await self.bank.add_wallets(connection, count, 0, tier)
        await self.bank.relay.registering.derive()
        return [Wallet(each.wallet_id, each.account_id, each.deposit_id, await self.address(each))
                for each in wallets]  # fmt: skip

    async def address(self, wallet: Wallet) -> bytes:
        """A wallet's address."""
        address: bytes = await self.bank.pool.fetchval(
            "SELECT address FROM outbox_registrations WHERE wallet_id = $1", wallet.wallet_id
        )
        return address

    async def send(self, who: str, data: bytes) -> None:
        """One call that must succeed."""
        operator = self._chain.operators[who]
        await succeed(self.bank.rpc, await operator.send(self.bank.rpc, self.bank.deployment.contract, data))

    async def take(self, address: bytes, tier: int = 1) -> None:
        """The other bank registers an address, linked to an account of its own."""
        await self.send("other-bank", encode_register([address], tier, LINKED))

    async def make_final(self) -> None:
        """What is in blocks becomes final, and nothing new is sent."""
        await mine(self.bank.rpc, CONFIRMATIONS)
        await self.bank.indexer.run_once()

    async def outpace(self, address: bytes) -> None:
        """The next registration is prepared, and the other bank takes an address before it is mined."""
        assert await self.bank.relay.registering.prepare(await self.bank.rpc.latest()) is not None
        await self.take(address)
        await self.bank.relay.submitting.submit_prepared(await self.bank.rpc.latest())
        await mine(self.bank.rpc)
        await self.make_final()

    async def registered(self) -> list[bool]:
        """Which wallets are registered, in their order."""
        rows = await self.bank.pool.fetch(
            "SELECT registered_block IS NOT NULL AS yes FROM outbox_registrations ORDER BY seq"
        )
        return [row["yes"] for row in rows]

    async def cases(self) -> list[tuple[str, dict[str, Any]]]:
        """All cases that ever were."""
        rows = await self.bank.pool.fetch("SELECT kind, detail::text AS detail FROM chain_cases ORDER BY id")
        return [(row["kind"], json.loads(row["detail"])) for row in rows]

    async def frozen(self) -> list[str]:
        """The flows that are stopped."""
        return [row["flow"] for row in await self.bank.pool.fetch("SELECT flow FROM chain_freezes")]


@pytest.fixture
def country(bank: Bank, chain: Chain) -> Country:
    return Country(bank, chain)


def case_of(wallet: Wallet, participant: int = OTHER_BANK) -> tuple[str, dict[str, Any]]:
    """The case that names wallet, address and participant."""
    detail = {
        "wallet_id": str(wallet.wallet_id),
        "address": "0x" + wallet.address.hex(),
        "participant": participant,
    }
    return "AddressOfAnotherParticipant", detail


async def test_an_address_that_is_taken_before_is_left_out_with_one_case(country: Country) -> None:
    wallets = await country.wallets(3)
    await country.take(wallets[1].address)
    await country.make_final()
    assert await country.registered() == [False] * 3
    await country.bank.finish()

    assert await country.registered() == [True, False, True]
    assert await country.frozen() == []
    assert await country.cases() == [case_of(wallets[1])]

    await country.bank.pool.execute("UPDATE chain_cases SET closed_at = now()")
    await country.take(wallets[1].address, tier=2)
    await country.bank.finish()
    assert await country.cases() == [case_of(wallets[1])]
    assert not await country.bank.relay.run_once(), "nothing is left to do"
    await country.bank.assert_reconciled()


async def test_an_address_that_is_derived_only_after_it_was_taken_is_left_out(country: Country) -> None:
    wallets = await country.wallets(2)
    # a database that was restored from before the signer was asked
    await country.bank.pool.execute("UPDATE outbox_registrations SET address = NULL")
    await country.take(wallets[0].address)
    await country.make_final()
    assert await country.cases() == []
    await country.bank.finish()

    assert await country.registered() == [False, True]
    assert await country.cases() == [case_of(wallets[0])]


async def test_a_wallet_that_is_registered_before_its_address_is_known_is_ours(country: Country) -> None:
    await country.wallets(1)
    relay = country.bank.relay
    assert await relay.registering.prepare(await country.bank.rpc.latest()) is not None
    await relay.submitting.submit_prepared(await country.bank.rpc.latest())
    await mine(country.bank.rpc)
    # a database that was restored from before the signer was asked
    await country.bank.pool.execute("UPDATE outbox_registrations SET address = NULL, transaction_id = NULL")
    await country.make_final()
    assert await country.registered() == [False]
    await country.bank.finish()

    assert await country.registered() == [True]
    assert await country.cases() == []
    assert await country.bank.pool.fetchval("SELECT count(*) FROM chain_transactions") == 1


async def test_a_registration_that_becomes_final_while_its_address_is_derived_is_seen(
    country: Country,
) -> None:
    (wallet,) = await country.wallets(1)
    await country.make_final()  # the participants are known
    pool = country.bank.pool
    await pool.execute("UPDATE outbox_registrations SET address = NULL")
    async with pool.acquire() as finality, finality.transaction():
        # what the final range does: it has the cursor, finds nobody with this address, and projects it
        await finality.execute("SELECT FROM chain_cursor FOR UPDATE")
        await finality.execute(
            "INSERT INTO chain_accounts (address, participant, tier, flags) VALUES ($1, $2, 1, $3)",
            wallet.address, OWN_BANK, int(AccountFlag.REGISTERED | AccountFlag.LINKED),
        )  # fmt: skip
        deriving = asyncio.create_task(country.bank.relay.registering.derive())
        async with asyncio.timeout(10):
            while not (deriving.done() or await pool.fetchval(IS_ANYBODY_WAITING)):
                await asyncio.wait([deriving], timeout=0.01)
    assert await deriving == 1
    assert await country.registered() == [True]


async def test_a_lot_that_reverts_for_taken_addresses_is_tried_again_without_them(country: Country) -> None:
    wallets = await country.wallets(4)
    await country.outpace(wallets[2].address)
    await country.outpace(wallets[0].address)
    reverted = await country.bank.pool.fetch("SELECT state, outcome_code FROM chain_transactions")
    assert [tuple(row) for row in reverted] == [("reverted", "AccountOfAnotherParticipant")] * 2
    assert await country.frozen() == []
    await country.bank.finish()

    assert await country.registered() == [False, True, False, True]
    assert await country.cases() == [case_of(wallets[2]), case_of(wallets[0])]
    await country.bank.assert_reconciled()

    before = await country.bank.everything()
    async with transaction(country.bank.pool) as connection:
        await rebuild(connection, country.bank.rpc)
    assert await country.bank.everything() == before


async def test_lots_that_all_revert_for_taken_addresses_stop_in_the_end(country: Country) -> None:
    wallets = await country.wallets(MAX_REVERTED_IN_A_ROW + 3)
    for wallet in wallets[:MAX_REVERTED_IN_A_ROW]:
        await country.outpace(wallet.address)
        assert await country.frozen() == []
    await country.outpace(wallets[MAX_REVERTED_IN_A_ROW].address)
    assert await country.frozen() == ["registration"]
    kinds = [kind for kind, _ in await country.cases()]
    assert sorted(kinds) == ["AddressOfAnotherParticipant"] * (MAX_REVERTED_IN_A_ROW + 1) + [
        "TransactionReverted"
    ]
    assert not await country.bank.relay.run_once()

    await country.bank.pool.execute("DELETE FROM chain_freezes")
    await country.bank.finish()
    assert await country.registered() == [False] * (MAX_REVERTED_IN_A_ROW + 1) + [True] * 2


async def test_a_lot_that_reverts_for_another_cause_waits_for_a_person(country: Country) -> None:
    wallets = await country.wallets(3)
    await country.take(wallets[0].address)
    await country.make_final()
    governor_takes = encode_set_participant(OWN_BANK, country.bank.institution, 9, 0b100)
    await country.send("governor", governor_takes)
    await country.bank.step()
    await country.make_final()

    (state,) = await country.bank.pool.fetch("SELECT state, outcome_code FROM chain_transactions")
    assert tuple(state) == ("reverted", "TierNotGranted")
    assert await country.frozen() == ["registration"]
    assert not await country.bank.relay.run_once()
    assert await country.registered() == [False] * 3


async def test_an_address_that_became_the_systems_is_left_out(country: Country) -> None:
    wallets = await country.wallets(2)
    await country.send("governor", call("setSystemAccount(address,uint8)", wallets[0].address, 1))
    await country.make_final()
    await country.bank.finish()

    assert await country.registered() == [False, True]
    assert await country.cases() == [case_of(wallets[0], participant=0)]


async def test_a_taken_wallet_that_its_owner_moves_here_is_registered_then(
    country: Country, chain: Chain, signer_home: SignerHome
) -> None:
    wallets = await country.wallets(2)
    await country.take(wallets[0].address)
    await country.bank.finish()
    assert await country.registered() == [False, True]

    story = Story(country.bank, chain, signer_home)
    await story.send_as_bank(story.owner(0).move(OWN_BANK, 1, nonce=0))
    await country.bank.finish()

    assert await country.registered() == [True, True]
    await country.bank.assert_reconciled()


async def test_a_funding_of_a_taken_wallet_takes_no_deposit(
    bank: Bank,
    chain: Chain,
    signer_home: SignerHome,
    database: Database,
    tmp_path: Path,
    superuser: asyncpg.Connection[asyncpg.Record],
) -> None:
    story, country = Story(bank, chain, signer_home), Country(bank, chain)
    (alice,) = await story.customers(1, 100_000)
    (taken,) = await country.wallets(1)
    # a second wallet on Alice's account
    await superuser.execute(
        "UPDATE outbox_registrations SET deposit_ledger_account_id = $1 WHERE wallet_id = $2",
        alice.deposit_id,
        taken.wallet_id,
    )
    await bank.pool.execute(
        """INSERT INTO wallets (id, reference, customer_id, account_id, currency, tier, key_index,
                                ledger_account_id)
           SELECT $1, '1', customer_id, account_id, currency, tier, 1, $2 FROM wallets""",
        taken.wallet_id,
        taken.account_id,
    )
    await country.take(taken.address)
    await story.settle_down()
    # the rules refuse it; this one was accepted by something that did not know them
    in_books = Wallet(taken.wallet_id, taken.account_id, alice.deposit_id, taken.address)
    funding = await bank.fund(in_books, 20_000)
    payment = await bank.pay(alice, taken.address, 5_000)
    await story.settle_down()

    assert await bank.state(funding) == ("final", None)
    assert await bank.state(payment) == ("final", None)
    assert await bank.on_chain(taken.address) == 25_000
    assert await bank.posted(alice.deposit_id) == 2_000_000 - 100_000
    assert await bank.held(alice.deposit_id) == 0
    assert await bank.posted(taken.account_id) == 0
    assert await bank.posted(bank.chart.in_transit_unidentified) == -20_000
    assert await story.cases() == {"AddressOfAnotherParticipant", "UnidentifiedTransfer"}
    await story.assert_nothing_differs(database, tmp_path)

    # who books it on the deposit after all is found
    async with tampered(superuser, ON_THE_DEPOSIT):
        verdict = await story.verdict(database, tmp_path)
    assert "entry is what its event says" in {finding.check for finding in verdict.findings}
