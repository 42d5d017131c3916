"""Anchors of the ledger and of the signer's journal, from the books to the notary.

a round
├── anchors the tree of all settled entries and the head of the signer's journal, final on chain
├── reads only what is new, and commits to all of it
├── is not due before its time, nor while an anchor is on its way
├── has no news when nothing was written; an anchor's own signature is none
├── waits until a final block has made the key the participant's institution
├── is held back by a transaction that stays open, aloud, and goes on after it
├── killed at each of its steps leaves whole anchors or none, and the next one goes on
└── at the central bank is sent by the issuer
an anchor on its way
├── is sent again after its block was replaced, and counts once
├── that the chain refuses (a database that was set back) is a case and stops anchoring alone
└── that the signer's policy refuses likewise
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from api.chain import anchoring
from api.chain.anchoring import Anchoring, LastAnchor, LogHead, is_due, is_news
from api.chain.errors import FlowFrozen, LedgerUnsettled
from api.chain.outbox import TransactionIntent, enqueue_transaction
from api.database import transaction
from api.ledger.log import BEFORE_ALL, read_leaves
from contracts.merkle import root_of
from contracts.notary import (
    LEDGER_LOG,
    SIGNER_LOG,
    Anchor,
    decode_anchors,
    encode_anchor,
    encode_anchors,
)
from tests.api.chain.bank import CONFIRMATIONS, OTHER_BANK, OWN_BANK, Bank
from tests.api.chain.operator import mine
from tests.api.chain.test_central_bank import CentralBank, central_bank
from tests.api.chain.test_crashes import kill_at
from tests.api.chain.test_wallet_payments import funded

if TYPE_CHECKING:
    from api.chain.deployment import Deployment
    from api.chain.rpc import RpcClient
    from api.database import Pool

__all__ = ["central_bank"]

AGES_AGO = 0.0


def desk_of(bank: Bank, every_s: float = AGES_AGO) -> Anchoring:
    return Anchoring(bank.pool, bank.signer, "institution", OWN_BANK, every_s)


async def on_chain(rpc: RpcClient, deployment: Deployment, institution: bytes, log: bytes) -> list[Anchor]:
    return decode_anchors(
        await rpc.call_contract(deployment.notary, encode_anchors(institution, log, 0, 1_000))
    )


async def anchored(bank: Bank, log: bytes = LEDGER_LOG) -> list[Anchor]:
    return await on_chain(bank.rpc, bank.deployment, bank.institution, log)


async def leaves(pool: Pool) -> list[bytes]:
    """The leaves of the whole journal, read anew."""
    async with pool.acquire() as connection:
        return [hashed async for part in read_leaves(connection, BEFORE_ALL, 2**62) for _, hashed in part]


async def states(bank: Bank) -> list[tuple[str, str | None]]:
    rows = await bank.pool.fetch(
        "SELECT state, outcome_code FROM chain_transactions WHERE kind = 'anchor' ORDER BY seq"
    )
    return [(row[0], row[1]) for row in rows]


# ------------------------------------------------------------------------------------------ decisions


def last(size: int, state: str = "final", age_s: float = 100, since: int = 1) -> LastAnchor:
    return LastAnchor(size, state, age_s, since)


@pytest.mark.parametrize(
    ("ledger", "signer", "due"),
    [
        (None, None, True),
        (last(1, age_s=60), last(1, age_s=60), True),
        (last(1, age_s=59.9), last(1, age_s=1000), False),
        (last(1, age_s=1000), last(1, age_s=59.9), False),
        (last(1, "prepared", 1000), None, False),
        (last(1), last(1, "signed", 1000), False),
        (last(1, "reverted"), last(1, "refused"), True),
    ],
)
def test_a_round_is_due_when_the_newest_anchor_is_old_and_none_is_on_its_way(
    ledger: LastAnchor | None, signer: LastAnchor | None, due: bool
) -> None:
    anchors = {name: each for name, each in (("ledger", ledger), ("signer", signer)) if each is not None}
    assert is_due(anchors, 60) == due


@pytest.mark.parametrize(
    ("log", "size", "before", "news"),
    [
        ("ledger", 0, None, False),
        ("ledger", 1, None, True),
        ("ledger", 5, last(5), False),
        ("ledger", 6, last(5, since=2), True),
        ("ledger", 5, last(5, "reverted"), True),
        ("ledger", 5, last(5, "refused"), True),
        ("signer", 0, None, False),
        ("signer", 7, last(5, since=2), False),
        ("signer", 8, last(5, since=2), True),
        ("signer", 5, last(5, "refused", since=2), True),
    ],
)
def test_what_is_news(log: str, size: int, before: LastAnchor | None, news: bool) -> None:
    assert is_news(LogHead(log, size, bytes(32)), before) == news  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------ a round


async def test_it_anchors_the_journal_and_the_signers_root(bank: Bank) -> None:
    payer, payee = await funded(bank, 2, 50_000)
    await bank.pay(payer, payee.address, 20_000)
    await bank.finish()
    journal, signers = await leaves(bank.pool), await bank.signer.journal()

    assert await desk_of(bank).run_once() == 2
    await bank.finish()

    (of_ledger,), (of_signer,) = await anchored(bank), await anchored(bank, SIGNER_LOG)
    assert len(journal) > 3
    assert (of_ledger.size, of_ledger.root) == (len(journal), root_of(journal))
    assert (of_signer.size, of_signer.root) == (signers.size, signers.root)
    assert await states(bank) == [("final", None)] * 2
    await bank.assert_reconciled()


async def test_a_later_round_commits_to_all_and_reads_what_is_new(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    async def counting(*arguments: object) -> object:
        async for part in read_leaves(*arguments):  # type: ignore[arg-type]
            read.append(len(part))
            yield part

    monkeypatch.setattr(anchoring, "read_leaves", counting)
    payer, payee = await funded(bank, 2, 50_000)
    sizes = []
    for _ in range(3):
        await bank.pay(payer, payee.address, 1_000)
        await bank.finish()
        sizes.append(len(await leaves(bank.pool)))
        assert await desk_of(bank).run_once() == 2
        await bank.finish()

    journal = await leaves(bank.pool)
    assert [(each.size, each.root) for each in await anchored(bank)] == [
        (size, root_of(journal[:size])) for size in sizes
    ]
    assert [sum(read[:at]) for at in (1, 2, 3)] == sizes, "each entry was read once"


async def test_it_waits_for_its_time_and_for_the_anchor_on_its_way(bank: Bank) -> None:
    await funded(bank, 1, 50_000)
    assert await desk_of(bank).run_once() == 2
    assert await desk_of(bank).run_once() == 0, "an anchor is on its way"
    await bank.finish()
    await funded(bank, 1, 50_000)
    assert await desk_of(bank, every_s=3_600).run_once() == 0
    assert await desk_of(bank).run_once() == 2


async def test_an_institution_that_only_anchors_comes_to_rest(bank: Bank) -> None:
    assert await desk_of(bank).run_once() == 0, "nothing was written and nothing signed"
    await funded(bank, 1, 50_000)
    assert await desk_of(bank).run_once() == 2
    await bank.finish()
    assert await desk_of(bank).run_once() == 0
    await bank.mint(1_000)
    await bank.finish()
    assert await desk_of(bank).run_once() == 2
    await bank.finish()
    assert await desk_of(bank).run_once() == 0
    assert len(await anchored(bank)) == len(await anchored(bank, SIGNER_LOG)) == 2


async def test_it_waits_until_it_is_an_institution(bank: Bank) -> None:
    async with transaction(bank.pool) as connection:
        await bank.add_wallets(connection, 1, deposit_minor=1_000, tier=1)
    assert len(await leaves(bank.pool)) == 1
    assert await desk_of(bank).run_once() == 0, "its books follow no block yet"
    await mine(bank.rpc, CONFIRMATIONS)
    await bank.indexer.run_once()
    other = Anchoring(bank.pool, bank.signer, "institution", OTHER_BANK, AGES_AGO)
    assert await other.run_once() == 0, "that bank's key is another"
    assert await desk_of(bank).run_once() == 1
    await bank.finish()
    assert [each.size for each in await anchored(bank)] == [1]


async def test_a_transaction_that_stays_open_holds_it_back_aloud(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    await funded(bank, 1, 50_000)
    async with bank.pool.acquire() as slow, slow.transaction():
        monkeypatch.setattr(anchoring, "FENCE_PATIENCE_S", 0.2)
        await slow.execute("SELECT pg_current_xact_id()")
        with pytest.raises(LedgerUnsettled, match="pg_stat_activity"):
            await desk_of(bank).run_once()
        assert await states(bank) == []
        monkeypatch.undo()
    assert await desk_of(bank).run_once() == 2


async def test_killed_at_each_of_its_steps_it_leaves_whole_anchors_or_none(bank: Bank) -> None:
    payer, payee = await funded(bank, 2, 500_000)
    has_ended, rounds = False, 0
    for suspensions in range(1, 200):
        await bank.pay(payer, payee.address, 1_000)
        await bank.finish()
        has_ended = await kill_at(desk_of(bank).run_once(), suspensions)
        rounds += bool(await bank.open_intents())
        await bank.finish()
        if has_ended:
            break
    assert has_ended, "every step of a round was reached"

    journal = await leaves(bank.pool)
    kept, rows = await anchored(bank), await bank.pool.fetch("SELECT * FROM chain_anchors ORDER BY seq")
    assert len(kept) == len(await anchored(bank, SIGNER_LOG)) == rounds
    assert all(each.root == root_of(journal[: each.size]) for each in kept)
    assert len(rows) == 2 * rounds
    assert set(await states(bank)) == {("final", None)}
    assert await bank.pool.fetchval("SELECT count(*) FROM chain_cases") == 0


async def test_the_central_banks_anchors_are_the_issuers(central_bank: CentralBank, rpc: RpcClient) -> None:
    signer = central_bank.relay.submitting._signer
    desk = Anchoring(central_bank.pool, signer, "issuer", 0, AGES_AGO)
    assert await desk.run_once() == 2
    await central_bank.finish()
    issuer = (await signer.keys()).named["issuer"]
    journal = await leaves(central_bank.pool)
    (of_ledger,) = await on_chain(rpc, central_bank.deployment, issuer, LEDGER_LOG)
    assert (of_ledger.size, of_ledger.root) == (1, root_of(journal))
    assert len(await on_chain(rpc, central_bank.deployment, issuer, SIGNER_LOG)) == 1


# ------------------------------------------------------------------------------------------ on its way


async def test_after_its_block_was_replaced_it_is_sent_again_and_counts_once(bank: Bank) -> None:
    await funded(bank, 1, 50_000)
    await desk_of(bank).run_once()
    snapshot = await bank.rpc.call("evm_snapshot")
    await bank.relay_all()
    await mine(bank.rpc, 2)
    await bank.indexer.run_once()
    assert len(await anchored(bank)) == 1
    await bank.rpc.call("evm_revert", snapshot)
    await mine(bank.rpc, 3)
    assert await anchored(bank) == []

    await bank.indexer.run_once()
    await bank.finish_again()

    assert len(await anchored(bank)) == len(await anchored(bank, SIGNER_LOG)) == 1
    assert await states(bank) == [("final", None)] * 2


async def test_a_database_that_was_set_back_is_a_case_and_stops_anchoring_alone(bank: Bank) -> None:
    payer, payee = await funded(bank, 2, 50_000)
    ahead = TransactionIntent(
        uuid.uuid4(), "institution", "anchor", encode_anchor(LEDGER_LOG, 10_000, b"\x07" * 32)
    )
    async with transaction(bank.pool) as connection:
        await enqueue_transaction(connection, ahead)
    await bank.finish()

    assert await desk_of(bank).run_once() == 2
    await bank.finish()

    assert await states(bank) == [("final", None), ("reverted", "LogShrunk"), ("final", None)]
    case = await bank.pool.fetchrow("SELECT kind, detail->>'code' FROM chain_cases")
    assert tuple(case) == ("TransactionReverted", "LogShrunk")
    assert [row[0] for row in await bank.pool.fetch("SELECT flow FROM chain_freezes")] == ["anchoring"]
    with pytest.raises(FlowFrozen, match="anchoring"):
        await desk_of(bank).run_once()
    payment = await bank.pay(payer, payee.address, 20_000)
    await bank.finish()
    assert await bank.state(payment) == ("final", None)


async def test_an_anchor_that_the_signer_refuses_is_a_case_and_stops_anchoring_alone(bank: Bank) -> None:
    payer, payee = await funded(bank, 2, 50_000)
    made_up = TransactionIntent(
        uuid.uuid4(), "institution", "anchor", encode_anchor(SIGNER_LOG, 1, b"\x07" * 32)
    )
    async with transaction(bank.pool) as connection:
        await enqueue_transaction(connection, made_up)
    await bank.finish()

    assert await states(bank) == [("refused", "JournalDiffers")]
    assert [row[0] for row in await bank.pool.fetch("SELECT flow FROM chain_freezes")] == ["anchoring"]
    payment = await bank.pay(payer, payee.address, 20_000)
    await bank.finish()
    assert await bank.state(payment) == ("final", None)
