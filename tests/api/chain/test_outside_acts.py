"""What owners, and those whom the law lets act, do to accounts past every bank: a bank's books follow it all,
and whoever changes them afterwards is found.

books
├── reconcile to the minor unit while orders freeze and hold, after forced transfers, payments by EIP-3009 and
│   by permit to an account of the system, a suspension, and a wallet that moved away and came back
│   ├── and nothing of it stops settlement
│   ├── and the projection rebuilt from block 0 is the same
│   └── and each change that somebody makes to them by hand is found
a payment
├── above what no order holds fails as FundsHeld, and its hold ends
├── to a suspended bank fails as PayeeSuspended
├── of a suspended bank's customer fails with its batch, which stops settlement
└── out of a wallet that its owner has moved away fails once its signature is worthless
a funding on its way to a wallet that moves meanwhile takes the deposit
a bank that comes to have a wallet learns its nonce from the move
a hold that somebody changes in the projection is found by a reconciliation
a currency that emits no Transfers for batches is refused by name, at the start and after an upgrade
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import pytest
from eth_account import Account
from rich.console import Console

from api.chain.deployment import require_own_chain
from api.chain.errors import TransfersNotEmitted
from api.chain.rebuilding import rebuild
from api.database import transaction
from api.ledger.journal import Entry, Leg, Posting
from api.settings import Settings
from contracts.abi import (
    AccountFlag,
    administration_creation_code,
    encode_propose_upgrade,
    encode_upgrade,
    implementation_creation_code,
)
from contracts.transactions import contract_address
from scripts.books.verify import Verdict, verify
from scripts.terminal.progress import Steps
from tests.api.chain.bank import CONFIRMATIONS, CURRENCY, OTHER_BANK, OWN_BANK, Bank, Wallet
from tests.api.chain.conftest import ROLES, deploy
from tests.api.chain.operator import CURRENCY_NAME, UPGRADE_DELAY_S, Operator, mine, succeed
from tests.api.chain.owners import NEVER_S, Owner, call
from tests.api.chain.test_wallet_payments import other_banks_customer
from wallet_node.keystore.derivation import HARDENED, ExtendedKey
from wallet_node.keystore.file_provider import CUSTOMER_PATH
from wallet_node.keystore.software_key import SoftwareKey

if TYPE_CHECKING:
    from pathlib import Path

    from api.chain.rpc import RpcClient
    from tests.api.chain.conftest import Chain, SignerHome
    from tests.api.conftest import Database

ORDER, LATER_ORDER = b"\x0d" * 32, b"\x0e" * 32
OPENING_MINOR = 2_000_000
HELD_MINOR = 50_000


class Story:
    """A bank with customers whose keys are known, and everybody who can act past it."""

    def __init__(self, bank: Bank, chain: Chain, home: SignerHome) -> None:
        self.bank, self.chain, self._home = bank, chain, home

    async def send(self, who: str, data: bytes) -> None:
        """One call of the currency by this operator, which must succeed."""
        operator = self.chain.operators[who]
        await succeed(self.bank.rpc, await operator.send(self.bank.rpc, self.bank.deployment.contract, data))

    async def send_as_bank(self, data: bytes) -> None:
        """One call by the bank's own key, past its signer: nothing of the relay may follow."""
        operator = Operator("bank")
        operator.account = Account.from_key(self._home.secrets.named["institution"]._key.secret)
        operator.address = self.bank.institution
        await succeed(self.bank.rpc, await operator.send(self.bank.rpc, self.bank.deployment.contract, data))

    def owner(self, index: int) -> Owner:
        """The key of the customer's wallet with this index."""
        parent = ExtendedKey.from_seed(self._home.secrets.seed).descend(CUSTOMER_PATH)
        return Owner(SoftwareKey(parent.child(HARDENED + index).secret), self.bank.deployment)

    async def customers(self, count: int, minor: int) -> list[Wallet]:
        """Customers as the features keep them, whose wallets hold `minor` each."""
        wallets = await self.bank.open_wallets(count)
        async with transaction(self.bank.pool) as connection:
            for index, wallet in enumerate(wallets):
                account_id = uuid.uuid4()
                posting = await Posting.open(connection, [self.bank.chart.reserves, wallet.deposit_id])
                legs = (
                    Leg(self.bank.chart.reserves, CURRENCY, OPENING_MINOR),
                    Leg(wallet.deposit_id, CURRENCY, -OPENING_MINOR),
                )
                posting.post(Entry("opening_deposit", f"opening:{account_id}", None, legs))
                await posting.write()
                await connection.execute(
                    "INSERT INTO customers (id, reference, name) VALUES ($1, $2, $2)", account_id, str(index)
                )
                await connection.execute(
                    """INSERT INTO accounts (id, reference, customer_id, currency, ledger_account_id,
                       opening_deposit_minor) VALUES ($1, $2, $1, $3, $4, $5)""",
                    account_id, str(index), CURRENCY, wallet.deposit_id, OPENING_MINOR,
                )  # fmt: skip
                await connection.execute(
                    """INSERT INTO wallets (id, reference, customer_id, account_id, currency, tier, key_index,
                       ledger_account_id) VALUES ($1, $2, $3, $3, $4, 1, $5, $6)""",
                    wallet.wallet_id, str(index), account_id, CURRENCY, index, wallet.account_id,
                )  # fmt: skip
        await self.bank.mint(1_000_000)
        await self.bank.finish()
        for wallet in wallets:
            await self.bank.fund(wallet, minor)
        await self.bank.finish()
        return wallets

    async def settle_down(self) -> None:
        """Everything that happened is final, and the features' requests are written beside their intents."""
        await self.bank.finish()
        await self.bank.pool.execute(
            """INSERT INTO payments (id, kind, amount_minor, currency, request_hash, caller)
               SELECT payment_id, kind, amount_minor, $1, '', 'test' FROM outbox_payments
                WHERE serves_payment_id IS NULL ON CONFLICT DO NOTHING""",
            CURRENCY,
        )

    async def verdict(self, database: Database, directory: Path) -> Verdict:
        """What `florin verify-books` says of this bank."""
        deployment = self.chain.deployment
        (directory / "m.json").write_text(
            json.dumps(
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
        )
        settings = Settings(
            institution="bank-a", institution_name="Bank A", kind="bank", participant_id=OWN_BANK,
            database_url=database.app_url, listen_port=0, signer_socket=directory / "s.sock",
            rpc_url=self.chain.url, manifest_path=directory / "m.json", currency=CURRENCY,
            currency_exponent=2,
        )  # fmt: skip
        with Steps(Console(stderr=True, quiet=True)) as steps:
            return await verify([settings], steps, {})

    async def assert_nothing_differs(self, database: Database, directory: Path) -> None:
        """Reconciliation and verify-books find nothing, and settlement goes on."""
        await self.bank.assert_reconciled()
        verdict = await self.verdict(database, directory)
        assert verdict.holds, (
            [check for check in verdict.checks if check.difference_minor],
            verdict.findings,
        )

    async def register_order(self, order: bytes, cap_minor: int = 10**9) -> None:
        """An order that the authority may use."""
        authority = self.chain.operators["authority"].address
        signature = "registerOrder(bytes32,address,uint96,uint64)"
        await self.send("registrar", call(signature, order, authority, cap_minor, NEVER_S))

    async def cases(self) -> set[str]:
        """The kinds of the open cases."""
        return {row["kind"] for row in await self.bank.pool.fetch("SELECT kind FROM chain_cases")}


@pytest.fixture
def story(bank: Bank, chain: Chain, signer_home: SignerHome) -> Story:
    return Story(bank, chain, signer_home)


async def under_orders(story: Story, alice: Wallet, bob: Wallet) -> None:
    """Alice is held, and pays a stranger under the order; Bob is frozen, freed, and held under two orders."""
    stranger = story.chain.operators["customer"].address
    await story.register_order(ORDER)
    await story.register_order(LATER_ORDER, cap_minor=2**91)
    held, use = "hold(bytes32,address,uint96)", "authority"
    await story.send(use, call(held, ORDER, alice.address, 5_000))
    await story.send(
        use, call("forceTransfer(bytes32,address,address,uint96)", ORDER, alice.address, stranger, 20_000)
    )
    await story.send(
        use, call("forceTransfer(bytes32,address,address,uint96)", ORDER, stranger, bob.address, 3_000)
    )
    await story.send(use, call("freeze(bytes32,address)", ORDER, bob.address))
    await story.send(use, call("unfreeze(bytes32,address)", ORDER, bob.address))
    await story.send(use, call("freeze(bytes32,address)", LATER_ORDER, alice.address))
    await story.send(use, call(held, ORDER, bob.address, HELD_MINOR))
    await story.send(use, call(held, LATER_ORDER, bob.address, 2**90))
    await story.send("registrar", call("release(bytes32,address,uint96)", LATER_ORDER, bob.address, 2**90))
    await story.send(use, call("release(bytes32,address,uint96)", ORDER, bob.address, 1_000))


async def by_their_owners(story: Story, carol: Wallet) -> None:
    """Carol pays by authorisation and by permit, and moves to the other bank, where she pays on."""
    stranger, system = (story.chain.operators[name].address for name in ("customer", "system"))
    owner = story.owner(2)
    assert owner.address == carol.address
    await story.send("governor", call("setSystemAccount(address,uint8)", system, 9))
    await story.send("customer", owner.authorization(stranger, 1_000, b"\x01" * 32))
    await story.send("customer", owner.permit(system, 700))
    await story.send("system", call("transferFrom(address,address,uint256)", carol.address, system, 700))
    await story.send("system", call("transfer(address,uint256)", carol.address, 200))
    await story.send("other-bank", owner.move(OTHER_BANK, 1, nonce=41))
    await story.send("customer", owner.authorization(stranger, 4_000, b"\x02" * 32))
    await story.send("customer", owner.authorization(story.bank.institution, 300, b"\x03" * 32))


async def test_books_follow_whatever_happens_past_the_bank(
    story: Story, database: Database, tmp_path: Path
) -> None:
    alice, bob, carol = await story.customers(3, 100_000)
    bank = story.bank
    await other_banks_customer(bank, story.chain, 10_000)
    await under_orders(story, alice, bob)
    await by_their_owners(story, carol)
    await story.send("supervisor", call("suspendParticipant(uint16)", OWN_BANK))
    await story.settle_down()

    await story.assert_nothing_differs(database, tmp_path)
    assert await bank.posted(alice.account_id) == 80_000
    assert await bank.posted(bob.account_id) == 103_000
    assert await bank.posted(carol.account_id) == 0
    assert await bank.posted(bank.chart.custody) == 183_000
    assert await story.cases() == {
        "TransferForced", "PaidOnTheSinglePath", "WalletMoved", "UnidentifiedTransfer",
    }  # fmt: skip
    receipts = await bank.pool.fetch("SELECT payee, amount_minor FROM chain_receipts ORDER BY seq")
    assert [(row["payee"], row["amount_minor"]) for row in receipts] == [(carol.address, 200)]
    suspended = await bank.pool.fetchval(
        "SELECT flags & $1 FROM chain_accounts WHERE address = $2",
        int(AccountFlag.SUSPENDED),
        bank.institution,
    )
    assert suspended

    # while the bank is suspended, its customers still pay; then it is reinstated, and Carol comes back
    await story.send("customer", story.owner(1).authorization(carol.address, 2_000, b"\x05" * 32))
    await story.send("supervisor", call("reinstateParticipant(uint16)", OWN_BANK))
    await story.send_as_bank(story.owner(2).move(OWN_BANK, 1, nonce=77))
    await story.settle_down()

    await story.assert_nothing_differs(database, tmp_path)
    assert await bank.posted(bob.account_id) == 101_000
    assert await bank.posted(carol.account_id) == 100_000 - 1_000 - 700 + 200 - 4_000 - 300 + 2_000
    nonce = await bank.pool.fetchval(
        "SELECT next_nonce FROM chain_accounts WHERE address = $1", carol.address
    )
    assert nonce == 78

    before = await bank.everything()
    assert before["chain_order_holds"] == [(bob.address, ORDER, HELD_MINOR - 1_000)]
    async with transaction(bank.pool) as connection:
        await rebuild(connection, bank.rpc)
    assert await bank.everything() == before


TAMPERINGS = {
    "a forced transfer's amount": """
        UPDATE ledger_legs SET amount_minor = amount_minor / 2 WHERE entry_id = (
               SELECT min(id) FROM ledger_entries WHERE kind = 'forced_transfer')""",
    "a move that is gone": "DELETE FROM ledger_entries WHERE kind = 'move'",
    "a move of somebody else's wallet": """
        UPDATE ledger_legs SET account_id = (SELECT min(id) FROM ledger_accounts WHERE kind = 'wallet')
         WHERE (entry_id, account_id) = (
               SELECT l.entry_id, l.account_id FROM ledger_legs l
                 JOIN ledger_accounts a ON a.id = l.account_id JOIN ledger_entries e ON e.id = l.entry_id
                WHERE e.kind = 'move' AND a.kind = 'wallet')""",
    "what an order holds": "UPDATE chain_order_holds SET held_minor = held_minor - 1",
    "a hold that no order asked for": """
        INSERT INTO chain_order_holds (address, order_id, held_minor)
        SELECT institution, decode(repeat('0f', 32), 'hex'), 1
          FROM chain_participants WHERE participant = 1""",
    "a payment on the single path that is gone": """
        DELETE FROM ledger_legs
         WHERE entry_id = (SELECT max(id) FROM ledger_entries WHERE kind = 'receipt')""",
    "a suspension": "UPDATE chain_accounts SET flags = flags & ~128 WHERE flags & 128 <> 0",
    "a freeze": "UPDATE chain_accounts SET flags = flags & ~2 WHERE flags & 2 <> 0",
    "the bank of a wallet that moved away": """
        UPDATE chain_accounts SET participant = 1
         WHERE participant = 2 AND flags & 16 = 0 AND next_nonce = 42""",
}


async def test_whoever_changes_such_books_afterwards_is_found(
    story: Story,
    database: Database,
    tmp_path: Path,
    superuser: asyncpg.Connection[asyncpg.Record],
) -> None:
    alice, bob, carol = await story.customers(3, 100_000)
    await other_banks_customer(story.bank, story.chain, 10_000)
    await under_orders(story, alice, bob)
    await by_their_owners(story, carol)
    await story.send("supervisor", call("suspendParticipant(uint16)", OWN_BANK))
    await story.settle_down()
    await story.assert_nothing_differs(database, tmp_path)

    for what, statement in TAMPERINGS.items():
        async with tampered(superuser, statement):
            verdict = await story.verdict(database, tmp_path)
        assert not verdict.holds, what
    await story.assert_nothing_differs(database, tmp_path)


@asynccontextmanager
async def tampered(superuser: asyncpg.Connection[asyncpg.Record], statement: str) -> AsyncIterator[None]:
    """Tables as somebody left them who may do anything, and then as they were."""
    tables = [
        "ledger_legs", "ledger_entries", "chain_order_holds", "chain_accounts",
    ]  # fmt: skip
    await superuser.execute("SET session_replication_role = replica")
    for table in tables:
        await superuser.execute(f"CREATE TEMP TABLE kept_{table} AS TABLE {table}")
    changed = await superuser.execute(statement)
    assert not changed.endswith(" 0"), statement
    yield
    for table in tables:
        await superuser.execute(f"TRUNCATE {table}")
        await superuser.execute(f"INSERT INTO {table} SELECT * FROM kept_{table}")
        await superuser.execute(f"DROP TABLE kept_{table}")
    await superuser.execute("SET session_replication_role = origin")


async def test_a_reconciliation_finds_a_hold_that_is_not_the_contracts(
    story: Story, superuser: asyncpg.Connection[asyncpg.Record]
) -> None:
    (alice,) = await story.customers(1, 100_000)
    await story.register_order(ORDER)
    await story.send("authority", call("hold(bytes32,address,uint96)", ORDER, alice.address, 5_000))
    await story.settle_down()
    await story.bank.assert_reconciled()

    await superuser.execute("UPDATE chain_order_holds SET held_minor = held_minor - 1")
    story.bank.reconciliation.touch({alice.address})
    reconciled = await story.bank.reconciliation.run_once()

    assert reconciled.mismatched == ("0x" + alice.address.hex(),)
    assert await story.bank.pool.fetchval("SELECT flow FROM chain_freezes") == "settle"


async def test_a_payment_above_what_no_order_holds_fails_and_its_hold_ends(story: Story) -> None:
    alice, bob = await story.customers(2, 100_000)
    await story.register_order(ORDER)
    await story.send("authority", call("hold(bytes32,address,uint96)", ORDER, alice.address, 60_000))

    above = await story.bank.pay(alice, bob.address, 40_001)
    within = await story.bank.pay(alice, bob.address, 40_000)
    await story.bank.finish()

    assert await story.bank.state(above) == ("failed", "FundsHeld")
    assert await story.bank.state(within) == ("final", None)
    assert await story.bank.held(alice.account_id) == 0
    await story.bank.assert_reconciled()


async def test_a_payment_to_a_suspended_bank_fails(story: Story) -> None:
    (alice,) = await story.customers(1, 100_000)
    await story.send("supervisor", call("suspendParticipant(uint16)", OTHER_BANK))

    payment = await story.bank.pay(alice, story.chain.operators["other-bank"].address, 1_000)
    await story.bank.finish()

    assert await story.bank.state(payment) == ("failed", "PayeeSuspended")
    assert await story.bank.held(alice.account_id) == 0
    await story.bank.assert_reconciled()


async def test_a_suspended_banks_batch_fails_and_stops_its_settlement(story: Story) -> None:
    alice, bob = await story.customers(2, 100_000)
    bank = story.bank
    payment = await bank.pay(alice, bob.address, 1_000)
    await story.send("supervisor", call("suspendParticipant(uint16)", OWN_BANK))
    await bank.relay_all()
    ends_s = await bank.pool.fetchval(
        "SELECT valid_before_s FROM outbox_payments WHERE payment_id = $1", payment
    )
    await mine(bank.rpc)
    await bank.rpc.call("evm_setNextBlockTimestamp", hex(ends_s))
    await mine(bank.rpc, CONFIRMATIONS)
    await bank.indexer.run_once()

    assert await bank.state(payment) == ("failed", "ParticipantSuspended")
    assert await bank.held(alice.account_id) == 0
    assert await bank.posted(alice.account_id) == 100_000
    assert await bank.pool.fetchval("SELECT flow FROM chain_freezes") == "settle"
    assert await story.cases() == {"TransactionReverted"}


async def test_payments_of_a_wallet_that_moved_away_end_when_their_signatures_do(
    story: Story, database: Database, tmp_path: Path
) -> None:
    alice, bob = await story.customers(2, 100_000)
    bank = story.bank
    payment = await bank.pay(alice, bob.address, 30_000)
    await story.send("other-bank", story.owner(0).move(OTHER_BANK, 1, nonce=9))
    await bank.relay_all()
    await mine(bank.rpc, CONFIRMATIONS + 1)
    await bank.indexer.run_once()
    assert await bank.state(payment) == ("batched", "PayerNotOfParticipant")
    assert await bank.posted(alice.account_id) == 0
    assert await bank.held(alice.account_id) == 30_000

    ends_s = await bank.pool.fetchval(
        "SELECT valid_before_s FROM outbox_payments WHERE payment_id = $1", payment
    )
    await bank.rpc.call("evm_setNextBlockTimestamp", hex(ends_s))
    await mine(bank.rpc, CONFIRMATIONS)
    await bank.indexer.run_once()

    assert await bank.state(payment) == ("failed", "PayerNotOfParticipant")
    assert await bank.held(alice.account_id) == 0
    await story.settle_down()
    await story.assert_nothing_differs(database, tmp_path)


async def test_a_funding_of_a_wallet_that_moves_meanwhile_takes_the_deposit(
    story: Story, database: Database, tmp_path: Path
) -> None:
    (alice,) = await story.customers(1, 100_000)
    bank = story.bank
    funding = await bank.fund(alice, 5_000)
    await story.send("other-bank", story.owner(0).move(OTHER_BANK, 1, nonce=9))
    await story.settle_down()

    assert await bank.state(funding) == ("final", None)
    assert await bank.on_chain(alice.address) == 105_000
    assert await bank.posted(alice.deposit_id) == OPENING_MINOR - 105_000
    assert await bank.posted(bank.chart.custody) == 0
    await story.assert_nothing_differs(database, tmp_path)


async def test_a_currency_without_transfers_is_refused_at_the_start(chain: Chain, rpc: RpcClient) -> None:
    roles = [chain.operators[name].address for name in ROLES]
    deployment = await deploy(rpc, chain.operators, roles, emits_transfers=False)
    await require_own_chain(rpc, chain.deployment)
    with pytest.raises(TransfersNotEmitted):
        await require_own_chain(rpc, deployment)


async def test_a_currency_that_is_upgraded_to_one_without_transfers_stops_the_indexer(
    bank: Bank, chain: Chain
) -> None:
    deployer, upgrader = chain.operators["deployer"], chain.operators["upgrader"]
    nonce = await bank.rpc.transaction_count(deployer.address)
    administration, implementation = (contract_address(deployer.address, nonce + at) for at in range(2))
    for creation in (
        administration_creation_code(),
        implementation_creation_code(administration, CURRENCY_NAME, emits_transfers=False),
    ):
        await succeed(bank.rpc, await deployer.send(bank.rpc, None, creation, gas=15_000_000))
    contract = bank.deployment.contract
    await succeed(bank.rpc, await upgrader.send(bank.rpc, contract, encode_propose_upgrade(implementation)))
    head = await bank.rpc.latest()
    await bank.rpc.call("evm_setNextBlockTimestamp", hex(head.time_s + UPGRADE_DELAY_S))
    await succeed(bank.rpc, await upgrader.send(bank.rpc, contract, encode_upgrade(implementation)))
    await mine(bank.rpc, CONFIRMATIONS)

    with pytest.raises(TransfersNotEmitted):
        await bank.indexer.run_once()

    frozen = await bank.pool.fetch("SELECT flow FROM chain_freezes ORDER BY flow")
    assert [row["flow"] for row in frozen] == ["indexer", "settle"]
    assert await bank.pool.fetchval("SELECT kind FROM chain_cases") == "TransfersNotEmitted"
