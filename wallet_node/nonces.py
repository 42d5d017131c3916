"""The nonce and attempt rules: pure, so that every branch is a test.

An intent has one nonce for ever. It is allocated when its id is first seen: max(the node's own next, the
floor that the caller reports), and a floor may jump ahead by a bounded number only. Under that nonce the
same payment may be signed again with a later `valid_before` as a later attempt; the same attempt gives the
same bytes; any other content under a known id is refused. A transaction is bound to (key, to, value, data,
gas, listed accounts): only its fees may rise.
"""

from dataclasses import dataclass, field

import msgspec

from wallet_node.errors import Refusal


class PaymentTerms(msgspec.Struct, frozen=True, gc=False):
    """What one attempt of a payment adds to its content."""

    valid_before_s: int


class Fees(msgspec.Struct, frozen=True, gc=False):
    """What one attempt of a transaction adds to its content; wei per gas."""

    max_fee_per_gas: int
    max_priority_fee_per_gas: int


class Content(msgspec.Struct, frozen=True, gc=False):
    """What an id is bound to for ever: a payment's payer, payee and amount, or a transaction's equivalent.

    `calldata_hash` is empty for a payment; for a transaction it commits to the data, the gas limit and the
    accounts that its access list names.
    """

    signer: bytes
    counterparty: bytes
    amount: int
    calldata_hash: bytes = b""


@dataclass(slots=True)
class KnownIntent:
    """An id that the node has already given a nonce, and every attempt at it, oldest first."""

    content: Content
    domain: int
    nonce: int
    attempts: dict[int, PaymentTerms | Fees] = field(default_factory=dict)

    @property
    def last_attempt(self) -> int:
        return next(reversed(self.attempts))


class Signing(msgspec.Struct, frozen=True):
    """Sign under `nonce` with these terms; `is_new` when the attempt must be journaled first."""

    nonce: int
    attempt: int
    terms: PaymentTerms | Fees
    is_new: bool


def allocate_nonce(own_next: int, floor: int, longest_jump: int, highest: int) -> int | Refusal:
    """The nonce of an id seen for the first time."""
    if floor - own_next > longest_jump:
        return Refusal(
            "NonceFloorTooFar",
            f"the floor {floor} is more than {longest_jump} above the node's own next nonce {own_next}",
        )
    nonce = max(own_next, floor)
    if nonce > highest:
        return Refusal("NonceExhausted", f"nonce {nonce} is above the highest usable one, {highest}")
    return nonce


def decide_payment_attempt(
    known: KnownIntent, content: Content, domain: int, attempt: int, terms: PaymentTerms
) -> Signing | Refusal:
    """What to do with a payment id that already has its nonce."""
    if known.domain != domain or known.content != content:
        return Refusal("PaymentIdReused", "this payment id already stands for other content")
    seen = known.attempts.get(attempt)
    if seen is not None:
        if seen != terms:
            return Refusal(
                "AttemptReused", f"attempt {attempt} was already signed with another valid_before_s"
            )
        return Signing(known.nonce, attempt, seen, is_new=False)
    last = known.last_attempt
    if attempt < last:
        return Refusal("AttemptOutOfOrder", f"attempt {attempt} comes after attempt {last}")
    last_terms = known.attempts[last]
    assert isinstance(last_terms, PaymentTerms)
    if terms.valid_before_s <= last_terms.valid_before_s:
        return Refusal(
            "ValidBeforeNotLater",
            f"attempt {attempt} must be valid beyond {last_terms.valid_before_s}, the end of attempt {last}",
        )
    return Signing(known.nonce, attempt, terms, is_new=True)


def decide_transaction_attempt(
    known: KnownIntent, content: Content, domain: int, fees: Fees
) -> Signing | Refusal:
    """What to do with a transaction id that already has its nonce.

    Fees that do not rise give the bytes that were signed last: a caller that died between asking and
    storing, and has since seen a lower base fee, gets the transaction that may already be under way.
    """
    if known.domain != domain or known.content != content:
        return Refusal("TransactionIdReused", "this transaction id already stands for other content")
    last = known.last_attempt
    last_fees = known.attempts[last]
    assert isinstance(last_fees, Fees)
    is_rise = (
        fees != last_fees
        and fees.max_fee_per_gas >= last_fees.max_fee_per_gas
        and fees.max_priority_fee_per_gas >= last_fees.max_priority_fee_per_gas
    )
    if is_rise:
        return Signing(known.nonce, last + 1, fees, is_new=True)
    return Signing(known.nonce, last, last_fees, is_new=False)
