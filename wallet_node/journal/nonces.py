"""The nonce and attempt rules: pure, so that every branch is a test.

An intent has one nonce for ever. It is allocated when its id is first seen: max(the node's own next, the
floor that the caller reports), and a floor may jump ahead by a bounded number only. Under that nonce the
same payment may be signed again with a later `valid_before` as a later attempt; the same attempt gives the
same bytes; any other content under a known id is refused. A transaction is bound to (key, to, value, data,
gas, listed accounts): only its fees may rise. Nobody knows what became of bytes that left the node, so
nothing here ever answers an ambiguous send with a new nonce.

A transaction that was never mined may be replaced by a transfer of nothing to oneself under its own nonce:
the one case in which two contents share a nonce, on purpose, by an operator's approval. An id whose first
decision was a journalled refusal stays refused.
"""

import msgspec

from wallet_node.errors import Refusal

PAYMENT = "payment"
PERMIT = "permit"
TRANSACTION = "transaction"
AUTHORIZATION = "authorization"
CANCELLATION = "cancellation"
"""The spaces. An authorization (EIP-3009) has 32 random bytes as its nonce, and a cancellation those of what
it cancels; the others count."""


class Space(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where a nonce is good. A transaction's belongs to the account whatever it calls: no contract there."""

    chain_id: int
    contract: bytes
    name: str


class PaymentTerms(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one attempt of a payment adds to its content."""

    valid_before_s: int


class Fees(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one attempt of a transaction adds to its content; wei per gas."""

    max_fee_per_gas: int
    max_priority_fee_per_gas: int


class Content(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an id is bound to for ever: a payment's payer, payee and amount, or a transaction's equivalent.

    `calldata_hash` is empty for a payment; for a transaction it commits to the data, the gas limit and the
    accounts that its access list names; for typed data it is the hash of the whole structure.
    """

    signer: bytes
    counterparty: bytes
    amount: int
    calldata_hash: bytes = b""


class KnownIntent(msgspec.Struct, gc=False):
    """An id that the node has already given a nonce, and every attempt at it, oldest first.

    `repairs` are the fees of each transfer of nothing that was signed under the same nonce, `repaired_by` the
    operation that allowed them. `is_proved`: its first signature had the customer's proof; `first_signed_s`:
    the node's time in that signature's row.
    """

    content: Content
    space: Space
    nonce: int | bytes
    attempts: dict[int, PaymentTerms | Fees] = {}
    repairs: dict[int, Fees] = {}
    repaired_by: bytes = b""
    is_proved: bool = False
    first_signed_s: int = 0

    @property
    def last_attempt(self) -> int:
        return next(reversed(self.attempts))


class RefusedIntent(msgspec.Struct, frozen=True):
    """An id whose first decision was a refusal: it gets the same refusal for ever."""

    reasons: tuple[Refusal, ...]


Known = KnownIntent | RefusedIntent


class Signing(msgspec.Struct, frozen=True, gc=False):
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
    known: KnownIntent, content: Content, space: Space, attempt: int, terms: PaymentTerms
) -> Signing | Refusal:
    """What to do with a payment id that already has its nonce."""
    if known.space != space or known.content != content:
        return Refusal("PaymentIdReused", "this payment id already stands for other content")
    assert isinstance(known.nonce, int)
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
    known: KnownIntent, content: Content, space: Space, fees: Fees
) -> Signing | Refusal:
    """What to do with a transaction id that already has its nonce.

    Fees that do not rise give the bytes that were signed last: a caller that died between asking and
    storing, and has since seen a lower base fee, gets the transaction that may already be under way. Once
    its nonce was repaired it is raised no more: it would race what was approved to replace it.
    """
    if known.space != space or known.content != content:
        return Refusal("TransactionIdReused", "this transaction id already stands for other content")
    assert isinstance(known.nonce, int)
    last = known.last_attempt
    last_fees = known.attempts[last]
    assert isinstance(last_fees, Fees)
    if not _is_rise(fees, last_fees):
        return Signing(known.nonce, last, last_fees, is_new=False)
    if known.repairs:
        return Refusal(
            "NonceRepaired", f"nonce {known.nonce} was repaired; ask for this call under a new transaction id"
        )
    return Signing(known.nonce, last + 1, fees, is_new=True)


def decide_gap_repair(known: KnownIntent, signer: bytes, chain_id: int, fees: Fees) -> Signing | Refusal:
    """What to do about a transaction that was signed and, as an operator says, never mined.

    The answer is for a transfer of nothing from `signer` to itself under the stuck transaction's nonce. It
    must outbid what it replaces, or it would be no replacement; asked again with fees that do not rise, the
    repair signed last comes back. That the operators approved it is for the caller of this rule to know: it
    holds no nonce that was never given out, so an approval can open no new one.
    """
    if known.space != Space(chain_id, b"", TRANSACTION) or known.content.signer != signer:
        return Refusal("NothingToRepair", "this id has no transaction nonce of that key on that chain")
    assert isinstance(known.nonce, int)
    if known.repairs:
        last = max(known.repairs)
        if not _is_rise(fees, known.repairs[last]):
            return Signing(known.nonce, last, known.repairs[last], is_new=False)
        return Signing(known.nonce, last + 1, fees, is_new=True)
    replaced = known.attempts[known.last_attempt]
    assert isinstance(replaced, Fees)
    if (
        fees.max_fee_per_gas <= replaced.max_fee_per_gas
        or fees.max_priority_fee_per_gas <= replaced.max_priority_fee_per_gas
    ):
        return Refusal(
            "RepairFeesTooLow",
            f"a repair must offer more than {replaced.max_fee_per_gas} and"
            f" {replaced.max_priority_fee_per_gas} wei, what the stuck transaction offers",
        )
    return Signing(known.nonce, 1, fees, is_new=True)


def decide_authorization(
    known: KnownIntent | None, content: Content, space: Space, nonce: bytes, taken_by: bytes | None
) -> bool | Refusal:
    """Whether an authorization under a random nonce of the caller's choice is new.

    `taken_by` is the id that this (space, signer, nonce) already belongs to, if any.
    """
    if known is not None:
        if (known.space, known.content, known.nonce) != (space, content, nonce):
            return Refusal("AuthorizationIdReused", "this id already stands for other content")
        return False
    if taken_by is not None:
        return Refusal("NonceTaken", "this nonce already belongs to another authorization of the signer")
    return True


def _is_rise(fees: Fees, before: Fees) -> bool:
    return (
        fees != before
        and fees.max_fee_per_gas >= before.max_fee_per_gas
        and fees.max_priority_fee_per_gas >= before.max_priority_fee_per_gas
    )
