"""What final events mean in a bank's books: the table of the ledger's plan, as pure decisions.

Money moved as the events say, whatever the books expected: a bank's own digital currency is `inventory`, its
customers' is `custody` against their `wallet` accounts, and what nothing explains waits in
`in_transit:unidentified` with a case.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from api.chain.matching import BatchedPayment, LogKey, excess_transfers, key_of
from api.chain.projection import NOBODY
from api.chain.transfer_causes import forced_transfers, settled_transactions
from api.ledger.journal import Entry, Hold, Leg
from contracts.abi import (
    AccountMoved,
    AccountRegistered,
    Event,
    ParticipantSet,
    Transfer,
    TransferForced,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from api.chain.alarms import Flow
    from api.ledger.chart import BankChart


@dataclass(frozen=True, slots=True)
class OwnWallet:
    """A customer's wallet in the books; no deposit account where none is linked.

    `is_registered`: whether this bank ever had it on chain; another participant can register an address
    first.
    """

    wallet_account_id: int
    deposit_account_id: int | None
    is_registered: bool = True


@dataclass(frozen=True, slots=True)
class Case:
    """Something for a person to look into; `freezes` is the flow that stops until then.

    `adds_up`: one that is open already grows by the detail's `in_transit_minor`, instead of another one.
    """

    kind: str
    detail: dict[str, Any]
    freezes: Flow | None = None
    adds_up: bool = False


@dataclass(frozen=True, slots=True)
class PlannedEntry:
    """An entry, the business whose holds it resolves, and the hold that it makes possible."""

    entry: Entry
    resolves: UUID | None = None
    then_hold: Hold | None = None


@dataclass(slots=True)
class Plan:
    """What a range of final blocks books, in the order of its events.

    `receipts` are what customers' wallets were paid by no payment of this bank.
    """

    entries: list[PlannedEntry] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    receipts: list[Transfer] = field(default_factory=list)

    def account_ids(self) -> set[int]:
        """Every account that the plan touches."""
        legs = {leg.account_id for planned in self.entries for leg in planned.entry.legs}
        return legs | {planned.then_hold.account_id for planned in self.entries if planned.then_hold}


def source_of(event: Event) -> str:
    """An event's name in the journal: it posts once, whoever reads it again."""
    return f"event:0x{event.block_hash.hex()}:{event.log_index}"


@dataclass(slots=True)
class BankPlanner:
    """Plans a bank's entries.

    `institution` is the bank's own account and `keepers` the participant of each account, as of the first
    event; `payments` tells which payment each transfer was; `transactions` which of one's own calls a
    transaction hash is; `moved_minor` what each moved account held; `open_payments` which served payments are
    undecided. `wallets` are all that the bank ever made: one that its owner moved away, or that another
    participant registered first, is that one's.
    """

    chart: BankChart
    participant: int
    institution: bytes | None
    wallets: Mapping[bytes, OwnWallet]
    payments: Mapping[LogKey, BatchedPayment]
    transactions: Mapping[bytes, UUID]
    keepers: dict[bytes, int]
    moved_minor: Mapping[LogKey, int] = field(default_factory=dict)
    open_payments: frozenset[UUID] = frozenset()
    _forced: Mapping[LogKey, TransferForced] = field(init=False, default_factory=dict)
    _settled: frozenset[bytes] = field(init=False, default=frozenset())
    _waiting: dict[bytes, Case] = field(init=False, default_factory=dict)

    def plan(self, events: Sequence[Event]) -> Plan:
        """The entries of these events."""
        plan = Plan()
        excess = excess_transfers(events)
        self._forced = forced_transfers(events)
        self._settled = settled_transactions(events, self.participant)
        for event in events:
            if isinstance(event, ParticipantSet) and event.participant == self.participant:
                self.institution = event.institution
            elif isinstance(event, AccountRegistered):
                self.keepers[event.account] = event.participant
            elif isinstance(event, AccountMoved):
                self._move(plan, event)
            elif isinstance(event, Transfer) and self._concerns(event):
                self._transfer(plan, event, key_of(event) in excess)
        return plan

    def _concerns(self, event: Transfer) -> bool:
        return (
            self._own_wallet(event.payer) is not None
            or self._own_wallet(event.payee) is not None
            or self.institution in {event.payer, event.payee}
        )

    def _own_wallet(self, address: bytes) -> OwnWallet | None:
        """The wallet at this address, while it is with this bank."""
        return self.wallets.get(address) if self.keepers.get(address) == self.participant else None

    def _move(self, plan: Plan, event: AccountMoved) -> None:
        """The wallet's money leaves custody with it, or comes with it."""
        if self.participant not in {event.former_participant, event.participant}:
            return
        wallet, amount_minor = self.wallets.get(event.account), self.moved_minor[key_of(event)]
        detail = {
            "account": "0x" + event.account.hex(),
            "former_participant": event.former_participant,
            "participant": event.participant,
        }
        plan.cases.append(Case("WalletMoved" if wallet is not None else "AccountWithoutWallet", detail))
        if wallet is None or not amount_minor:
            return
        leaves = event.former_participant == self.participant
        debit, credit = self.chart.custody, wallet.wallet_account_id
        if leaves:
            debit, credit = credit, debit
        legs = (self._leg(debit, amount_minor), self._leg(credit, -amount_minor))
        plan.entries.append(PlannedEntry(Entry("move", source_of(event), None, legs)))

    def _transfer(self, plan: Plan, event: Transfer, is_excess: bool) -> None:
        if event.payer == NOBODY:
            self._supply(plan, event, "issuance", self.chart.inventory, self.chart.reserves)
        elif event.payee == NOBODY:
            self._supply(plan, event, "return", self.chart.reserves, self.chart.inventory)
        else:
            self._movement(plan, event, is_excess)

    def _supply(self, plan: Plan, event: Transfer, kind: str, debit: int, credit: int) -> None:
        business_id = self.transactions.get(event.transaction_hash)
        if business_id is None:
            plan.cases.append(_case("UnmatchedTransfer", event, freezes="settle"))
        legs = (self._leg(debit, event.amount_minor), self._leg(credit, -event.amount_minor))
        plan.entries.append(PlannedEntry(Entry(kind, source_of(event), business_id, legs), business_id))

    def _movement(self, plan: Plan, event: Transfer, is_excess: bool) -> None:
        payment = self.payments.get(key_of(event))
        payer, payee = self._own_wallet(event.payer), self._own_wallet(event.payee)
        forced = self._forced.get(key_of(event))
        legs = [
            *self._memo_legs(event.amount_minor, payer, payee),
            *self._own_legs(plan, event, payment, is_excess),
        ]
        leaves_here = payer is not None or event.payer == self.institution
        if leaves_here and payment is None and not is_excess:
            plan.cases.append(self._unasked(event, forced))
        if payment is not None and payment.state != "batched":
            plan.cases.append(_case("PaidAfterFailing", event, freezes="settle"))
        business_id = None if payment is None else payment.payment_id
        kind = _kind_of(payment, is_excess=is_excess, is_forced=forced is not None)
        if kind == "receipt" and payee is not None and event.payer != self.institution:
            plan.receipts.append(event)
        entry = Entry(kind, source_of(event), business_id, tuple(legs))
        plan.entries.append(PlannedEntry(entry, business_id, self._served(event, payment, payee)))

    def _unasked(self, event: Transfer, forced: TransferForced | None) -> Case:
        """Money left that this bank was not asked to move.

        An order explains it. A customer who pays on the single path needs no bank, and must not be able to
        stop one: one case for the wallet says so. Anything else means that records are lost or a key is used
        elsewhere.
        """
        if forced is not None:
            case = _case("TransferForced", event)
            case.detail["order"] = "0x" + forced.order.hex()
            return case
        if event.payer != self.institution and event.transaction_hash not in self._settled:
            return Case("PaidOnTheSinglePath", {"wallet": "0x" + event.payer.hex()})
        return _case("UnmatchedTransfer", event, freezes="settle")

    def _memo_legs(self, amount_minor: int, payer: OwnWallet | None, payee: OwnWallet | None) -> list[Leg]:
        """What customers hold: from wallet to wallet, or against custody where the other side is not a
        customer's.
        """
        if payer is None and payee is None:
            return []
        debit = self.chart.custody if payer is None else payer.wallet_account_id
        credit = self.chart.custody if payee is None else payee.wallet_account_id
        return [self._leg(debit, amount_minor), self._leg(credit, -amount_minor)]

    def _own_legs(
        self, plan: Plan, event: Transfer, payment: BatchedPayment | None, is_excess: bool
    ) -> list[Leg]:
        """What the bank itself holds, against the customer's deposit where the event explains it.

        A customer has nothing of what went to an address that was never a wallet of this bank on chain.
        """
        if event.payer == self.institution:
            expected, wallet, side = "funding", self.wallets.get(event.payee), -1
        elif event.payee == self.institution:
            expected, wallet, side = "redemption", self.wallets.get(event.payer), 1
        else:
            return []
        is_explained = is_excess or (payment is not None and payment.kind == expected)
        is_wallet = wallet is not None and wallet.is_registered
        counter = wallet.deposit_account_id if wallet is not None and is_wallet and is_explained else None
        if counter is None:
            counter = self.chart.in_transit_unidentified
            self._unidentified(plan, event, side)
        return [
            self._leg(self.chart.inventory, side * event.amount_minor),
            self._leg(counter, -side * event.amount_minor),
        ]

    def _unidentified(self, plan: Plan, event: Transfer, side: int) -> None:
        """What waits in transit: each transfer that went out is a case, and each payer of what came in.

        Anybody can pay the bank, as often as they like; only its own key, or an order, takes from it.
        """
        if side < 0:
            case = _case("UnidentifiedTransfer", event)
            case.detail["in_transit_minor"] = -event.amount_minor
            plan.cases.append(case)
            return
        known = self._waiting.get(event.payer)
        if known is None:
            detail = {"payer": "0x" + event.payer.hex(), "in_transit_minor": 0}
            known = self._waiting[event.payer] = Case("UnidentifiedTransfer", detail, adds_up=True)
            plan.cases.append(known)
        known.detail["in_transit_minor"] += event.amount_minor

    def _served(
        self, event: Transfer, payment: BatchedPayment | None, payee: OwnWallet | None
    ) -> Hold | None:
        """A funding that serves a payment not decided yet: nothing else may spend its money."""
        if payment is None or payee is None or payment.serves_payment_id not in self.open_payments:
            return None
        assert payment.serves_payment_id is not None
        return Hold(payee.wallet_account_id, event.amount_minor, payment.serves_payment_id)

    def _leg(self, account_id: int, amount_minor: int) -> Leg:
        return Leg(account_id, self.chart.currency, amount_minor)


def _kind_of(payment: BatchedPayment | None, *, is_excess: bool, is_forced: bool) -> str:
    if is_excess:
        return "waterfall"
    if is_forced:
        return "forced_transfer"
    return "receipt" if payment is None else payment.kind


def _case(kind: str, event: Transfer, *, freezes: Flow | None = None) -> Case:
    detail: dict[str, Any] = {
        "source": source_of(event),
        "payer": "0x" + event.payer.hex(),
        "payee": "0x" + event.payee.hex(),
        "amount_minor": event.amount_minor,
    }
    return Case(kind, detail, freezes)
