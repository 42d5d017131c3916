"""Paying: decide a batch of requests in order and, in one transaction, hold the money and state the intents.

load in sets, lock, decide in memory, write with one COPY or one statement for each table, return.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg

from api.chain.outbox import PaymentIntent, enqueue_payments
from api.database import TransactionConflict, run_in_transaction
from api.errors import FlorinError
from api.idempotency import IdempotencyKeyReused
from api.ledger.balances import read_balances
from api.ledger.journal import Hold, Posting
from api.money import UnknownCurrency
from api.payments import queries
from api.payments.errors import PaymentRefused
from api.payments.rules import Case, Decision, Funds, decide
from api.payments.situation import Directory, Resolved, Situation
from api.wallets.errors import UnknownWallet

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Sequence

    from api.database import Connection
    from api.institution import Institution
    from api.ledger.chart import BankChart
    from api.payments.requests import PaymentRequest

_COLUMNS = (
    "id", "reference", "kind", "payer_wallet_id", "payee_wallet_id", "biller_id", "payee", "amount_minor",
    "currency", "from_wallet_minor", "from_deposit_minor", "note", "refusals", "request_hash", "caller",
    "mandate_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was decided about a payment, now or when it was first asked for. No reason: it was accepted."""

    payment_id: uuid.UUID
    reasons: tuple[dict[str, Any], ...]
    from_wallet_minor: int
    from_deposit_minor: int

    @property
    def state(self) -> str:
        """`accepted` or `refused`."""
        return "refused" if self.reasons else "accepted"

    def require_accepted(self) -> Outcome:
        """Itself. Raises `PaymentRefused` with every reason."""
        if self.reasons:
            raise PaymentRefused(self.payment_id, self.reasons)
        return self


async def pay_all(
    institution: Institution, requests: Sequence[PaymentRequest]
) -> list[Outcome | FlorinError]:
    """Decide `requests` in their order, in one transaction of their own."""
    return await run_in_transaction(institution.pool, lambda conn: pay_in(conn, institution, requests))


async def pay_in(
    conn: Connection, institution: Institution, requests: Sequence[PaymentRequest]
) -> list[Outcome | FlorinError]:
    """Decide `requests` in their order, inside the caller's transaction; one outcome or error for each.

    An outcome is recorded, refused ones without any hold or intent. An error (`UnknownWallet`,
    `UnknownCurrency`, `IdempotencyKeyReused`) is not: nothing of that request remains. Raises
    `TransactionConflict` when another transaction records one of them at the same time.
    """
    moment = await queries.moment(conn, institution.settings.participant_id)
    directory = await Directory.load(conn, requests, moment["institution"])
    resolved = [directory.resolve(request) for request in requests]
    parties = [each for each in resolved if each is not None]
    chart = institution.bank_chart
    posting = await Posting.open(conn, _accounts_of(parties, chart) if parties else ())
    decided = await queries.decided_payments(conn, [request.payment_id for request in requests])
    situation = await Situation.load(conn, moment, parties)
    batch = _Batch(institution, directory, situation, posting, chart)
    for payment_id, row in decided.items():
        reasons = tuple(json.loads(row["refusals"])) if row["refusals"] else ()
        outcome = Outcome(payment_id, reasons, row["from_wallet_minor"], row["from_deposit_minor"])
        batch.known[payment_id] = (row["request_hash"], outcome)
    outcomes = [batch.decide(request, each) for request, each in zip(requests, resolved, strict=True)]
    await batch.write(conn)
    return outcomes


@dataclass(frozen=True, slots=True)
class Preflight:
    """What would be decided now on which case, and the two addresses, as far as they are known."""

    wallet_id: uuid.UUID
    case: Case
    decision: Decision
    payer: bytes | None
    payee: bytes | None


async def preflight(conn: Connection, institution: Institution, request: PaymentRequest) -> Preflight:
    """What would be decided now; changes nothing. Raises `UnknownWallet` and `UnknownCurrency`."""
    institution.require_currency(request.currency)
    moment = await queries.moment(conn, institution.settings.participant_id)
    directory = await Directory.load(conn, [request], moment["institution"])
    resolved = directory.resolve(request)
    if resolved is None:
        raise UnknownWallet(str(request.wallet))
    chart = institution.bank_chart
    balances = await read_balances(conn, _accounts_of([resolved], chart))
    funds = _funds_of(resolved, chart, lambda account_id: balances[account_id].available_minor)
    situation = await Situation.load(conn, moment, [resolved])
    case = situation.case(request, resolved, funds, directory)
    return Preflight(
        resolved.wallet.wallet_id, case, decide(case), resolved.wallet.address, resolved.payee_address
    )


class _Batch:
    """The requests of one transaction while they are decided: each sees what was accepted before it."""

    def __init__(
        self,
        institution: Institution,
        directory: Directory,
        situation: Situation,
        posting: Posting,
        chart: BankChart,
    ) -> None:
        self.known: dict[uuid.UUID, tuple[bytes, Outcome]] = {}
        self._institution = institution
        self._directory = directory
        self._situation = situation
        self._posting = posting
        self._chart = chart
        self._rows: list[tuple[Any, ...]] = []
        self._intents: list[PaymentIntent] = []

    def decide(self, request: PaymentRequest, resolved: Resolved | None) -> Outcome | FlorinError:
        """The outcome of one request, after everything that was accepted before it in this batch."""
        known = self.known.get(request.payment_id)
        if known is not None:
            return (
                known[1] if known[0] == request.hash else IdempotencyKeyReused(request.reference, "payment")
            )
        if request.currency != self._institution.settings.currency:
            return UnknownCurrency(request.currency)
        if resolved is None:
            return UnknownWallet(str(request.wallet))
        funds = _funds_of(resolved, self._chart, self._posting.available)
        case = self._situation.case(request, resolved, funds, self._directory)
        decision = decide(case)
        if decision.is_accepted:
            self._accept(request, case, decision, resolved)
        outcome = Outcome(
            request.payment_id,
            tuple(reason.as_json() for reason in decision.reasons),
            decision.from_wallet_minor if decision.is_accepted else 0,
            decision.from_deposit_minor if decision.is_accepted else 0,
        )
        self.known[request.payment_id] = (request.hash, outcome)
        self._rows.append(_row_of(request, resolved, case, outcome))
        return outcome

    def _accept(self, request: PaymentRequest, case: Case, decision: Decision, resolved: Resolved) -> None:
        """Hold the money and state the intents: a funding of the shortfall first, then the payment itself."""
        assert case.payer is not None, "nothing without a payer on chain is accepted"
        assert case.payee is not None, "nothing without a payee on chain is accepted"
        payment_id = request.payment_id
        if decision.from_wallet_minor:
            self._posting.reserve(
                Hold(resolved.wallet.ledger_account_id, decision.from_wallet_minor, payment_id)
            )
        if decision.from_deposit_minor:
            is_shortfall = case.kind == "payment"
            funding_id = self._institution.id_for("funding", str(payment_id)) if is_shortfall else payment_id
            deposit_account_id = resolved.wallet.deposit_account_id
            assert deposit_account_id is not None, "only a linked wallet is funded"
            self._posting.reserve(Hold(deposit_account_id, decision.from_deposit_minor, funding_id))
            self._posting.reserve(Hold(self._chart.inventory, decision.from_deposit_minor, funding_id))
            if is_shortfall:
                bank = self._situation.institution_address
                assert bank is not None, "a participant has an institution's address"
                self._intents.append(
                    PaymentIntent(
                        funding_id,
                        "funding",
                        payment_id,
                        bank,
                        case.payer.address,
                        decision.from_deposit_minor,
                    )
                )
        self._intents.append(
            PaymentIntent(
                payment_id,
                case.kind,
                None,
                case.payer.address,
                case.payee.address,
                case.amount_minor,
                request.proof,
            )
        )
        self._situation.accept(case)

    async def write(self, conn: Connection) -> None:
        """Everything that was decided: holds, payments, intents."""
        if not self._rows:
            return
        await self._posting.write()
        try:
            await conn.copy_records_to_table("payments", columns=_COLUMNS, records=self._rows)
        except asyncpg.UniqueViolationError as conflict:
            raise TransactionConflict from conflict
        await enqueue_payments(conn, self._intents)


def _accounts_of(resolved: Sequence[Resolved], chart: BankChart) -> set[int]:
    """The ledger accounts whose money the requests can take."""
    accounts = {chart.inventory}
    for each in resolved:
        accounts.add(each.wallet.ledger_account_id)
        if each.wallet.deposit_account_id is not None:
            accounts.add(each.wallet.deposit_account_id)
    return accounts


def _funds_of(resolved: Resolved, chart: BankChart, available: Callable[[int], int]) -> Funds:
    deposit_account_id = resolved.wallet.deposit_account_id
    return Funds(
        wallet_minor=available(resolved.wallet.ledger_account_id),
        deposit_minor=None if deposit_account_id is None else available(deposit_account_id),
        inventory_minor=available(chart.inventory),
    )


def _row_of(request: PaymentRequest, resolved: Resolved, case: Case, outcome: Outcome) -> tuple[Any, ...]:
    """The payment's row, in the order of `_COLUMNS`."""
    return (
        request.payment_id,
        request.reference,
        case.kind,
        resolved.wallet.wallet_id,
        None if resolved.payee_wallet is None else resolved.payee_wallet.wallet_id,
        resolved.biller_id,
        resolved.payee_address,
        request.amount_minor,
        request.currency,
        outcome.from_wallet_minor,
        outcome.from_deposit_minor,
        request.note,
        json.dumps(outcome.reasons) if outcome.reasons else None,
        request.hash,
        request.caller,
        request.mandate_id,
    )
