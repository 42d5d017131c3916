"""Outcomes into the journal.

Which accounts and holds a range of final blocks concerns, and one posting for all of it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

from api.chain.errors import BooksContradictChain
from api.chain.failures import unasked_served
from api.chain.issuing import CentralBankPlanner
from api.chain.matching import Executed, key_of
from api.chain.postings import BankPlanner, Case, OwnWallet, Plan, source_of
from api.chain.projection import NOBODY
from api.ledger.chart import BankChart, CentralBankChart, code_of, open_accounts
from api.ledger.errors import BalanceWouldBeNegative
from api.ledger.journal import Entry, Posting
from contracts.abi import AccountMoved, Event, MintAllowanceChanged, Transfer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from api.chain.projection import Projection
    from api.chain.reading import FinalRange
    from api.database import Connection


_RECEIPTS: Final = UUID("6d1f6a0e-94f7-5f0b-8f1d-2b7f0c6e5a31")


@dataclass(frozen=True, slots=True)
class Books:
    """Whose books these are."""

    chart: BankChart | CentralBankChart
    participant: int


@dataclass(slots=True)
class Outcomes:
    """What became of payments in a range.

    Executed, failed (code, block), or skipped and perhaps still executable.
    """

    executed: list[Executed] = field(default_factory=list)
    failed: dict[UUID, tuple[str, int]] = field(default_factory=dict)
    undecided: dict[UUID, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """Posts what happened in a range of blocks, and ends the holds of what failed.

    `institutions` are the participants' accounts and `keepers` the accounts' participants, both as they were
    before the range; `projection` is as of its end. `outcomes.failed` grows by the payments whose funding
    failed and that were never asked for.
    """

    connection: Connection
    books: Books
    blocks: FinalRange
    outcomes: Outcomes
    projection: Projection
    institutions: Mapping[int, bytes]
    keepers: Mapping[bytes, int]

    async def write(self) -> list[Case]:
        """Write to the journal; what a person must look into."""
        reverted = [each.id for each in self.blocks.own if each.code is not None and each.kind != "settle"]
        if isinstance(self.books.chart, CentralBankChart):
            return await self._central_bank(self.books.chart, reverted)
        served = await unasked_served(self.connection, list(self.outcomes.failed))
        for payment_id, funding_id in served.items():
            self.outcomes.failed[payment_id] = self.outcomes.failed[funding_id]
        voided = [*self.outcomes.failed, *reverted]
        if voided or any(isinstance(event, Transfer | AccountMoved) for event in self.blocks.events):
            return await self._bank(self.books.chart, voided)
        return []

    async def _bank(self, chart: BankChart, voided: Sequence[UUID]) -> list[Case]:
        payments = {key_of(each.transfer): each.payment for each in self.outcomes.executed}
        planner = BankPlanner(
            chart,
            self.books.participant,
            self.institutions.get(self.books.participant),
            await self._own_wallets(),
            payments,
            {each.hash: each.id for each in self.blocks.own if each.kind != "settle"},
            dict(self.keepers),
            self.projection.moved_minor,
            await self._open_payments(),
        )
        plan = planner.plan(self.blocks.events)
        resolved = {planned.resolves for planned in plan.entries if planned.resolves is not None}
        accounts = plan.account_ids() | {chart.in_transit_unidentified}
        posting = await Posting.open(self.connection, accounts, [*resolved, *voided])
        _post(posting, chart, plan)
        for business_id in voided:
            posting.void(business_id)
        await posting.write()
        await self._keep(plan.receipts)
        return plan.cases

    async def _keep(self, receipts: Sequence[Transfer]) -> None:
        """What wallets were paid from elsewhere, to be paid back; once, whoever reads it again."""
        await self.connection.executemany(
            """INSERT INTO chain_receipts
                      (receipt_id, payer, payee, amount_minor, transaction_hash, block_number)
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (receipt_id) DO NOTHING""",
            [
                (
                    uuid5(_RECEIPTS, source_of(event)),
                    event.payer,
                    event.payee,
                    event.amount_minor,
                    event.transaction_hash,
                    event.block_number,
                )
                for event in receipts
            ],
        )

    async def _own_wallets(self) -> dict[bytes, OwnWallet]:
        """The customers' wallets among the accounts that the events name, wherever they are kept now.

        Registrations up to the end of the range are noted by now: no wallet was paid before its own.
        """
        named: set[bytes] = set()
        for event in self.blocks.events:
            if isinstance(event, Transfer):
                named |= {event.payer, event.payee}
            elif isinstance(event, AccountMoved):
                named.add(event.account)
        rows = await self.connection.fetch(
            """SELECT address, wallet_ledger_account_id, deposit_ledger_account_id,
                      registered_block IS NOT NULL
                 FROM outbox_registrations WHERE address = ANY($1::bytea[])""",
            list(named),
        )
        return {row[0]: OwnWallet(row[1], row[2], row[3]) for row in rows}

    async def _open_payments(self) -> frozenset[UUID]:
        """The payments that this range's fundings serve and that are undecided after it, locked."""
        executed = self.outcomes.executed
        decided = {each.payment.payment_id for each in executed} | self.outcomes.failed.keys()
        served = {each.payment.serves_payment_id for each in executed} - decided - {None}
        if not served:
            return frozenset()
        rows = await self.connection.fetch(
            """SELECT payment_id FROM outbox_payments
                WHERE payment_id = ANY($1::uuid[]) AND state IN ('queued', 'batched')
                ORDER BY seq FOR NO KEY UPDATE""",
            list(served),
        )
        return frozenset(row["payment_id"] for row in rows)

    async def _central_bank(self, chart: CentralBankChart, voided: Sequence[UUID]) -> list[Case]:
        events = [event for event in self.blocks.events if _concerns_issuance(event)]
        if not (events or voided):
            return []
        participants = sorted(self.projection.participants)
        codes = [code_of("reserves_of", each) for each in participants]
        accounts = await open_accounts(self.connection, "reserves_of", codes, chart.currency)
        planner = CentralBankPlanner(
            chart,
            dict(zip(participants, accounts, strict=True)),
            {address: row.participant for address, row in self.projection.accounts.items()},
            {each.hash: each.id for each in self.blocks.own},
        )
        approvals = await planner.load(self.connection)
        posting = await Posting.open(
            self.connection, [*accounts, chart.assets, chart.circulation], [*approvals, *voided]
        )
        planner.post(posting, events)
        for business_id in voided:
            posting.void(business_id)
        await posting.write()
        return planner.cases


def _concerns_issuance(event: Event) -> bool:
    return isinstance(event, MintAllowanceChanged) or (
        isinstance(event, Transfer) and NOBODY in {event.payer, event.payee}
    )


def _post(posting: Posting, chart: BankChart, plan: Plan) -> None:
    """Post final events: what an own account cannot give is taken from unidentified, with a case.

    Memo accounts mirror the chain, and nothing may stand in for one. Raises `BooksContradictChain`.
    """
    for planned in plan.entries:
        entry = planned.entry
        for _ in entry.legs:
            try:
                posting.post(entry, planned.resolves)
                break
            except BalanceWouldBeNegative as overdrawn:
                if posting.account_class(overdrawn.account_id) == "memo":
                    raise BooksContradictChain(entry.source, overdrawn.account_id) from overdrawn
                diverted = [leg for leg in entry.legs if leg.account_id == overdrawn.account_id]
                detail = {
                    "source": entry.source,
                    "account_id": overdrawn.account_id,
                    "in_transit_minor": -sum(leg.amount_minor for leg in diverted),
                }
                plan.cases.append(Case("BooksBelowChain", detail, freezes="settle"))
                entry = _diverted(entry, overdrawn.account_id, chart.in_transit_unidentified)
        else:
            raise AssertionError(f"entry {entry.source} was diverted on every leg")
        if planned.then_hold is not None:
            posting.reserve_posted(planned.then_hold)


def _diverted(entry: Entry, account_id: int, instead: int) -> Entry:
    legs = [
        dataclasses.replace(leg, account_id=instead) if leg.account_id == account_id else leg
        for leg in entry.legs
    ]
    return dataclasses.replace(entry, legs=tuple(legs))
