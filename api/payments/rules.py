"""Whether a payment, a redemption or a funding can be made: pure decisions that give every reason at once.

The rules are the contract's own (DigitalCurrency, `settle`), asked before it on the projection of what is
final and on what this bank has accepted since; and the bank's: the shortfall of a wallet comes from the
linked deposit. A reason's code is the contract's word where the contract has one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from contracts.accounts import AccountFlag

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind = Literal["payment", "funding", "redemption"]

UNLIMITED_DAILY_MINOR: Final = 2**64 - 1
# as plain integers: an IntFlag's operators are slow, and these run for every payment
REGISTERED: Final = int(AccountFlag.REGISTERED)
FROZEN: Final = int(AccountFlag.FROZEN)
LINKED: Final = int(AccountFlag.LINKED)
INSTITUTION: Final = int(AccountFlag.INSTITUTION)
SYSTEM: Final = int(AccountFlag.SYSTEM)
CLOSED: Final = int(AccountFlag.CLOSED)
SUSPENDED: Final = int(AccountFlag.SUSPENDED)

# in the order in which the contract asks (contracts.batch.RULE_ORDER)
_PAYER_REFUSED: Final = (
    (FROZEN, "PayerFrozen", "The payer's account is frozen."),
    (CLOSED, "PayerClosed", "The payer's account is closed."),
    (SUSPENDED, "PayerSuspended", "The payer is a bank that the central bank has suspended."),
)
_PAYEE_REFUSED: Final = (
    (FROZEN, "PayeeFrozen", "The payee's account is frozen."),
    (CLOSED, "PayeeClosed", "The payee's account is closed."),
    (SUSPENDED, "PayeeSuspended", "The payee is a bank that the central bank has suspended."),
    (SYSTEM, "PayeeIsSystem", "The payee is an account of the system, which is paid only as it asks."),
)


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason for a refusal; `values` explain it, amounts in minor units."""

    code: str
    detail: str
    values: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The reason as callers see it."""
        return {"code": self.code, "detail": self.detail, **self.values}


@dataclass(frozen=True, slots=True)
class Tier:
    """The central bank's limits for a kind of account."""

    holding_limit_minor: int
    per_payment_limit_minor: int
    daily_limit_minor: int


@dataclass(frozen=True, slots=True)
class ChainAccount:
    """An address as the final chain knows it. `spent_minor` is what it spent on the chain's present day."""

    address: bytes
    flags: int
    tier: Tier
    balance_minor: int
    spent_minor: int
    held_minor: int = 0
    """What orders hold of the balance; it may be more than there is."""

    @property
    def is_open(self) -> bool:
        """Registered, and neither frozen, closed, suspended nor the system's: what a waterfall may reach."""
        refused = FROZEN | CLOSED | SUSPENDED | SYSTEM
        return bool(self.flags & REGISTERED) and not self.flags & refused


@dataclass(frozen=True, slots=True)
class Conditions:
    """What holds for every payment at this moment; `institution_flags` are of the bank's own account."""

    is_paused: bool
    frozen_flow_reason: str | None
    institution_flags: int = REGISTERED


@dataclass(frozen=True, slots=True)
class Mandate:
    """A standing authority as this bank passed it on to its signer, which alone keeps its cap."""

    state: str
    payer: bytes
    payee: bytes
    cap_minor: int
    starts_at_s: int
    expires_at_s: int


@dataclass(slots=True)
class Funds:
    """What a payer can spend now. `deposit_minor` is None without a linked account."""

    wallet_minor: int
    deposit_minor: int | None
    inventory_minor: int
    unsettled_fundings_minor: int = 0
    """Accepted fundings of the wallet on its owner's wish, which it will hold beside what it holds now."""


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that a decision needs. Each account is None where the chain does not know it (yet)."""

    kind: Kind
    amount_minor: int
    conditions: Conditions
    payer: ChainAccount | None
    payee: ChainAccount | None
    payee_bank: ChainAccount | None
    funds: Funds
    is_payee_known: bool = True
    is_wallet_own: bool = True
    """Whether the wallet is still with this bank: its owner can move it to another one."""
    was_wallet_own: bool = True
    """Whether it ever was: another participant can register an address first."""
    is_payee_taken: bool = False
    """Whether the payee is a wallet of this bank whose address another participant registered first."""
    unsettled_spending_minor: int = 0
    unsettled_receipts_minor: int = 0
    names_mandate: bool = False
    """Whether it is asked for under a mandate; `mandate` is None where this bank knows no such."""
    mandate: Mandate | None = None
    now_s: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict: without reasons it can be made, with this much from the wallet and from the deposit."""

    reasons: tuple[Reason, ...]
    from_wallet_minor: int
    from_deposit_minor: int

    @property
    def is_accepted(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons


def decide(case: Case) -> Decision:
    """Decide one case. Reasons come in a fixed order: the moment, the two sides, the limits, the money."""
    from_wallet, from_deposit = _sources_of(case)
    reasons = (
        *_of_the_moment(case),
        *_of_the_sides(case),
        *_of_the_mandate(case),
        *_of_the_limits(case),
        *_of_the_payees_room(case),
        *_of_the_money(case, from_wallet, from_deposit),
    )
    return Decision(reasons, from_wallet, from_deposit)


def _sources_of(case: Case) -> tuple[int, int]:
    """A payment takes the wallet first, a funding only the deposit, a redemption only the wallet.

    What orders hold of the wallet is not taken.
    """
    if case.kind == "funding":
        return 0, case.amount_minor
    if case.kind == "redemption":
        return case.amount_minor, 0
    from_wallet = min(case.amount_minor, _spendable(case))
    return from_wallet, case.amount_minor - from_wallet


def _spendable(case: Case) -> int:
    """What the wallet can pay: neither accepted for something else nor held under an order."""
    return max(0, case.funds.wallet_minor - _held_of_wallet(case))


def _held_of_wallet(case: Case) -> int:
    return case.payer.held_minor if case.payer is not None and case.kind != "funding" else 0


def _of_the_moment(case: Case) -> Iterator[Reason]:
    if case.conditions.frozen_flow_reason is not None:
        yield Reason("FlowFrozen", f"Settlement is stopped for now: {case.conditions.frozen_flow_reason}.")
    if case.conditions.is_paused:
        yield Reason("CurrencyPaused", "The central bank has paused the currency.")
    if case.conditions.institution_flags & SUSPENDED:
        yield Reason("ParticipantSuspended", "The central bank has suspended this bank.")
    elif case.conditions.institution_flags & (FROZEN | CLOSED):
        yield Reason("ParticipantFrozen", "This bank's own account is frozen.")


def _of_the_sides(case: Case) -> Iterator[Reason]:
    yield from _of_the_payer(case)
    if not case.is_wallet_own and not case.was_wallet_own:
        yield _taken("The wallet's address")
    elif not case.is_wallet_own:
        code = "PayerNotOfParticipant" if case.kind != "funding" else "PayeeNotOfParticipant"
        yield Reason(code, "The wallet was moved to another bank.")
    yield from _of_the_payee(case)


def _taken(what: str) -> Reason:
    sentence = f"{what} was registered by another participant before this bank could: request another wallet."
    return Reason("AddressOfAnotherParticipant", sentence)


def _of_the_payer(case: Case) -> Iterator[Reason]:
    if case.payer is None:
        side = "wallet" if case.kind != "funding" else "bank's own account"
        yield Reason(
            "PayerNotRegistered", f"The {side} is not registered on chain yet: wait until it is ready."
        )
        return
    for flag, code, detail in _PAYER_REFUSED:
        if case.payer.flags & flag:
            yield Reason(code, detail)


def _of_the_payee(case: Case) -> Iterator[Reason]:
    if not case.is_payee_known:
        yield Reason("UnknownPayee", "This bank knows no such payee: check the reference.")
        return
    if case.payee is None:
        yield Reason("PayeeNotRegistered", "The payee's address is not registered for this currency.")
        return
    if case.payer is not None and case.payer.address == case.payee.address:
        yield Reason("SelfPayment", "Payer and payee are the same account.")
    if case.is_payee_taken and case.kind != "funding":
        # who registered it may have linked it, so that the money would flow on to them
        yield _taken("The address of the payee's wallet")
    for flag, code, detail in _PAYEE_REFUSED:
        if case.payee.flags & flag:
            yield Reason(code, detail)


_MANDATE_STATES: Final = {
    "queued": ("MandateNotReady", "The signer does not hold the mandate yet: wait until it is active."),
    "refused": ("MandateRefused", "The signer refused the mandate: the customer must give another one."),
    "revoking": ("MandateRevoked", "The mandate was revoked."),
    "revoked": ("MandateRevoked", "The mandate was revoked."),
}


def _of_the_mandate(case: Case) -> Iterator[Reason]:
    """What the signer would refuse anyway, said at once."""
    if not case.names_mandate:
        return
    mandate = case.mandate
    if mandate is None:
        yield Reason("MandateUnknown", "This bank knows no such mandate: check its id.")
        return
    if mandate.state in _MANDATE_STATES:
        yield Reason(*_MANDATE_STATES[mandate.state])
    if case.payer is not None and case.payer.address != mandate.payer:
        yield Reason("MandatePayerMismatch", "The mandate was given for another wallet.")
    if case.payee is not None and case.payee.address != mandate.payee:
        yield Reason("MandatePayeeMismatch", "The mandate was given for another payee.")
    if case.now_s < mandate.starts_at_s:
        yield Reason("MandateNotYetValid", "The mandate is not valid yet.")
    if case.now_s >= mandate.expires_at_s:
        yield Reason("MandateExpired", "The mandate is not valid any more.")
    if case.amount_minor > mandate.cap_minor:
        values = {"amount_minor": case.amount_minor, "limit_minor": mandate.cap_minor}
        yield Reason("MandateCapExceeded", "The amount is above the mandate's cap.", values)


def _of_the_limits(case: Case) -> Iterator[Reason]:
    """The payer's limits: for one payment, and for the chain's day with what is accepted but not final."""
    if case.payer is None:
        return
    tier, amount = case.payer.tier, case.amount_minor
    if amount > tier.per_payment_limit_minor:
        yield Reason(
            "PerPaymentLimitExceeded",
            "The amount is above the limit for one payment.",
            {"amount_minor": amount, "limit_minor": tier.per_payment_limit_minor},
        )
    if tier.daily_limit_minor >= UNLIMITED_DAILY_MINOR:
        return
    spent = case.payer.spent_minor + case.unsettled_spending_minor
    if spent + amount > tier.daily_limit_minor:
        yield Reason(
            "DailyLimitExceeded",
            "The amount is above what is left of today's limit.",
            {"amount_minor": amount, "spent_minor": spent, "limit_minor": tier.daily_limit_minor},
        )


def _of_the_payees_room(case: Case) -> Iterator[Reason]:
    """What the payee may not hold flows on to its bank account, if it has one and neither side is a bank."""
    payer, payee = case.payer, case.payee
    if payee is None or (payer is not None and payer.address == payee.address):
        return
    held = payee.balance_minor + case.unsettled_receipts_minor + case.amount_minor
    limit = payee.tier.holding_limit_minor
    if held <= limit:
        return
    flags_of_both = payee.flags | (payer.flags if payer is not None else 0)
    can_flow_on = (
        bool(payee.flags & LINKED)
        and not flags_of_both & (INSTITUTION | SYSTEM)
        and case.payee_bank is not None
        and case.payee_bank.is_open
    )
    if not can_flow_on:
        excess = min(held - limit, case.amount_minor)
        yield Reason(
            "HoldingLimitExceeded",
            "The payee may not hold that much, and the excess has no bank account to flow on to.",
            {"account": "payee", "excess_minor": excess, "limit_minor": limit},
        )


def _of_the_money(case: Case, from_wallet: int, from_deposit: int) -> Iterator[Reason]:
    funds = case.funds
    deposit = max(0, funds.deposit_minor or 0)
    wallet = max(0, funds.wallet_minor)
    if case.kind != "payment" and funds.deposit_minor is None:
        yield Reason("NoLinkedAccount", "The wallet is not linked to a bank account.")
        return
    if case.amount_minor > _money_of(case.kind, wallet, deposit):
        values: dict[str, Any] = {"amount_minor": case.amount_minor}
        if case.kind != "funding":
            values["wallet_available_minor"] = wallet
        if case.kind != "redemption":
            values["deposit_available_minor"] = deposit
        yield Reason("InsufficientFunds", "The available money is less than the amount.", values)
        return
    if _is_held(case, from_wallet, from_deposit):
        yield Reason(
            "FundsHeld",
            "An order holds money of the wallet that this would take.",
            {"amount_minor": case.amount_minor, "wallet_available_minor": _spendable(case)},
        )
        return
    if case.kind == "payment" and from_deposit:
        yield from _of_the_own_room(case, from_deposit)
    if from_deposit > funds.inventory_minor:
        yield Reason(
            "InsufficientInventory",
            "The bank has not enough digital currency at the moment to fund the wallet: try again later.",
        )


def _money_of(kind: Kind, wallet_minor: int, deposit_minor: int) -> int:
    """All that such a payment can draw on, but for orders."""
    if kind == "funding":
        return deposit_minor
    return wallet_minor if kind == "redemption" else wallet_minor + deposit_minor


def _is_held(case: Case, from_wallet: int, from_deposit: int) -> bool:
    """Whether only an order stands against it.

    Where orders hold more than the wallet has, they would hold what a funding brings for the payment, too.
    """
    held = _held_of_wallet(case)
    if not held:
        return False
    is_short = from_wallet > _spendable(case) or from_deposit > max(0, case.funds.deposit_minor or 0)
    return is_short or held > max(0, case.funds.wallet_minor)


def _of_the_own_room(case: Case, from_deposit: int) -> Iterator[Reason]:
    """A funding never flows on: with it, the wallet must stay within its own holding limit."""
    if case.payer is None:
        return
    limit = case.payer.tier.holding_limit_minor
    held = max(0, case.funds.wallet_minor) + case.funds.unsettled_fundings_minor + from_deposit
    if held > limit:
        yield Reason(
            "HoldingLimitExceeded",
            "Funding the shortfall would lift the payer's wallet above its own holding limit.",
            {"account": "payer", "excess_minor": held - limit, "limit_minor": limit},
        )
