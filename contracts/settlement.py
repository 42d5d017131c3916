"""How the Settlement contract is called: call data, packed net cycles, and what its views return.

Participants are the currency's ids, amounts integers in minor units. Its events are in
contracts.settlement_events, the search for payments that can settle together in contracts.gridlock.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

from eth_hash.auto import keccak

from contracts.call_data import (
    creation_code,
    encode_arguments,
    encode_bytes,
    encode_words,
    require_fits,
    selectors_of,
)
from contracts.words import split_words

MAX_RESOLUTION = 256
MAX_CYCLE_PARTICIPANTS = 128
MAX_CYCLE_PAYMENTS = 4_096
POSITION_BYTES = 12
PARTICIPANT_BYTES = 2
PAYMENT_BYTES = 10

AMOUNT_BITS = 64
NO_NET_DEBIT_CAP = (1 << 47) - 1
NEVER_EXPIRES_S = (1 << 64) - 1

OPERATOR_ROLE = keccak(b"OPERATOR")
SELECTORS = selectors_of("Settlement")


class Priority(IntEnum):
    """The order in which a payer's queued payments settle; the highest first."""

    NORMAL = 0
    URGENT = 1
    HIGHLY_URGENT = 2


class PaymentState(IntEnum):
    """Where a payment is. The last three are for ever."""

    NONE = 0
    QUEUED = 1
    HELD = 2
    SETTLED = 3
    CANCELLED = 4
    EXPIRED = 5


class MalformedCycle(ValueError):
    """A net cycle that cannot be packed, or bytes that are not one."""

    code = "MalformedCycle"


class Payment(NamedTuple):
    """A payment as ``payment(paymentId)`` returns it."""

    amount_minor: int
    expiry_s: int
    payer: int
    payee: int
    priority: int
    state: PaymentState


class Participant(NamedTuple):
    """A settlement account; ``queued`` counts its unheld payments by priority, the standing is of now."""

    balance_minor: int
    net_debit_cap_minor: int
    is_in_standing: bool
    queued: tuple[int, int, int]


class CyclePayment(NamedTuple):
    """One payment of a gross list."""

    payer: int
    payee: int
    amount_minor: int


# ------------------------------------------------------------------------------------------ creation


def settlement_creation_code(currency: bytes, operator: bytes) -> bytes:
    """Return the data of the transaction that creates the settlement of one currency."""
    return creation_code("Settlement", currency, operator)


# ------------------------------------------------------------------------------------------ accounts


def encode_deposit(amount_minor: int) -> bytes:
    """Move currency of the calling institution in; it must have approved the settlement before."""
    amount = require_fits(amount_minor, AMOUNT_BITS, "amount")
    return SELECTORS["deposit(uint64)"] + encode_arguments(amount)


def encode_withdraw(amount_minor: int) -> bytes:
    """Move currency out to the calling institution."""
    amount = require_fits(amount_minor, AMOUNT_BITS, "amount")
    return SELECTORS["withdraw(uint64)"] + encode_arguments(amount)


def encode_set_net_debit_cap(net_debit_cap_minor: int) -> bytes:
    """Consent to net debits of at most this much a cycle; NO_NET_DEBIT_CAP for all of the balance."""
    cap = require_fits(net_debit_cap_minor, AMOUNT_BITS, "net debit cap")
    return SELECTORS["setNetDebitCap(uint64)"] + encode_arguments(cap)


# ------------------------------------------------------------------------------------------ gross and queue


def payment_id(payer: int, reference: bytes) -> bytes:
    """Return a payment's id: the payer's participant id, then 30 bytes of its own (hashed if longer).

    A reference of up to 30 bytes is kept as it is (a UETR has 16), so distinct references give distinct ids.
    """
    own = reference.rjust(30, b"\0") if len(reference) <= 30 else keccak(reference)[:30]
    return require_fits(payer, 16, "participant").to_bytes(2, "big") + own


def encode_submit(
    identifier: bytes, payee: int, amount_minor: int, priority: int, expiry_s: int = NEVER_EXPIRES_S
) -> bytes:
    """Pay from the caller's settlement account, at once or through the queue."""
    return SELECTORS["submit(bytes32,uint16,uint64,uint8,uint64)"] + encode_arguments(
        identifier,
        require_fits(payee, 16, "participant"),
        require_fits(amount_minor, AMOUNT_BITS, "amount"),
        require_fits(priority, 8, "priority"),
        require_fits(expiry_s, 64, "expiry"),
    )


def encode_hold(identifier: bytes) -> bytes:
    """Take a queued payment aside."""
    return SELECTORS["hold(bytes32)"] + encode_arguments(identifier)


def encode_resume(identifier: bytes) -> bytes:
    """Put a held payment back into the queue."""
    return SELECTORS["resume(bytes32)"] + encode_arguments(identifier)


def encode_reprioritise(identifier: bytes, priority: int) -> bytes:
    """Give a queued or held payment another priority."""
    selector = SELECTORS["reprioritise(bytes32,uint8)"]
    return selector + encode_arguments(identifier, require_fits(priority, 8, "priority"))


def encode_cancel(identifier: bytes) -> bytes:
    """Withdraw a queued or held payment for ever."""
    return SELECTORS["cancel(bytes32)"] + encode_arguments(identifier)


def encode_expire(identifiers: Sequence[bytes]) -> bytes:
    """Take payments whose time has passed off the queue."""
    return SELECTORS["expire(bytes32[])"] + encode_arguments(encode_words(identifiers))


def encode_resolve(identifiers: Sequence[bytes]) -> bytes:
    """Propose queued payments that settle together (contracts.gridlock finds them)."""
    return SELECTORS["resolve(bytes32[])"] + encode_arguments(encode_words(identifiers))


# ------------------------------------------------------------------------------------------ net cycles


def pack_positions(positions: Mapping[int, int]) -> bytes:
    """Return the bytes of net positions by participant, as ``settleNet`` takes them; positive receives.

    Raises MalformedCycle where there are too many, or one does not fit.
    """
    if len(positions) > MAX_CYCLE_PARTICIPANTS:
        raise MalformedCycle(f"{len(positions)} participants are more than {MAX_CYCLE_PARTICIPANTS}")
    try:
        return b"".join(
            participant.to_bytes(2, "big") + positions[participant].to_bytes(10, "big", signed=True)
            for participant in sorted(positions)
        )
    except OverflowError as overflow:
        raise MalformedCycle("a participant has 16 bits, a position 80") from overflow


def unpack_positions(packed: bytes) -> dict[int, int]:
    """Return net positions by participant. Raises MalformedCycle for other bytes."""
    if len(packed) % POSITION_BYTES != 0:
        raise MalformedCycle(f"{len(packed)} bytes are not whole records of {POSITION_BYTES}")
    positions: dict[int, int] = {}
    last = -1
    for start in range(0, len(packed), POSITION_BYTES):
        participant = int.from_bytes(packed[start : start + 2], "big")
        if participant <= last:
            raise MalformedCycle(f"participant {participant} comes after {last}")
        positions[participant] = int.from_bytes(packed[start + 2 : start + 12], "big", signed=True)
        last = participant
    return positions


def net_positions(payments: Iterable[CyclePayment]) -> dict[int, int]:
    """Net payments into one position for each participant that is in any; positive receives."""
    positions: dict[int, int] = {}
    for payer, payee, amount_minor in payments:
        positions[payer] = positions.get(payer, 0) - amount_minor
        positions[payee] = positions.get(payee, 0) + amount_minor
    return positions


def pack_payments(payments: Sequence[CyclePayment]) -> tuple[bytes, bytes]:
    """Return the participants and the payments of a gross list, as ``settleGross`` takes them.

    Raises MalformedCycle where there are too many, or one does not fit.
    """
    participants = sorted({side for payer, payee, _ in payments for side in (payer, payee)})
    if len(participants) > MAX_CYCLE_PARTICIPANTS or len(payments) > MAX_CYCLE_PAYMENTS:
        raise MalformedCycle(f"{len(payments)} payments of {len(participants)} participants are too many")
    places = {participant: place for place, participant in enumerate(participants)}
    try:
        listed = b"".join(participant.to_bytes(PARTICIPANT_BYTES, "big") for participant in participants)
        packed = b"".join(
            amount_minor.to_bytes(8, "big") + bytes((places[payer], places[payee]))
            for payer, payee, amount_minor in payments
        )
    except OverflowError as overflow:
        raise MalformedCycle("a participant has 16 bits, an amount 64") from overflow
    return listed, packed


def unpack_payments(participants: bytes, payments: bytes) -> list[CyclePayment]:
    """Return the payments of a packed gross list. Raises MalformedCycle for other bytes."""
    if len(participants) % PARTICIPANT_BYTES != 0 or len(payments) % PAYMENT_BYTES != 0:
        raise MalformedCycle(f"{len(participants)} and {len(payments)} bytes are not whole records")
    listed = [
        int.from_bytes(participants[start : start + 2], "big") for start in range(0, len(participants), 2)
    ]
    try:
        return [
            CyclePayment(
                listed[payments[start + 8]],
                listed[payments[start + 9]],
                int.from_bytes(payments[start : start + 8], "big"),
            )
            for start in range(0, len(payments), PAYMENT_BYTES)
        ]
    except IndexError as missing:
        raise MalformedCycle(f"a payment names more than the {len(listed)} participants") from missing


def encode_settle_net(cycle: int, payments_root: bytes, positions: bytes) -> bytes:
    """Settle packed net positions (operator). ``cycle`` is one more than the last settled."""
    number = require_fits(cycle, 64, "cycle")
    selector = SELECTORS["settleNet(uint64,bytes32,bytes)"]
    return selector + encode_arguments(number, payments_root, encode_bytes(positions))


def encode_settle_gross(cycle: int, participants: bytes, payments: bytes) -> bytes:
    """Net a packed gross list on chain and settle it (operator)."""
    number = require_fits(cycle, 64, "cycle")
    selector = SELECTORS["settleGross(uint64,bytes,bytes)"]
    return selector + encode_arguments(number, encode_bytes(participants), encode_bytes(payments))


# ------------------------------------------------------------------------------------------ views


def encode_participant(participant: int) -> bytes:
    """Read a settlement account; the answer goes through ``decode_participant``."""
    return SELECTORS["participant(uint16)"] + encode_arguments(require_fits(participant, 16, "participant"))


def decode_participant(returned: bytes) -> Participant:
    """Decode a settlement account. Raises ValueError for other bytes."""
    balance, cap, is_in_standing, normal, urgent, highly_urgent = split_words(returned, 6)
    return Participant(balance, cap, bool(is_in_standing), (normal, urgent, highly_urgent))


def encode_payment(identifier: bytes) -> bytes:
    """Read a payment; the answer goes through ``decode_payment``."""
    return SELECTORS["payment(bytes32)"] + encode_arguments(identifier)


def decode_payment(returned: bytes) -> Payment:
    """Decode a payment. Raises ValueError for other bytes."""
    amount, expiry, payer, payee, priority, state = split_words(returned, 6)
    return Payment(amount, expiry, payer, payee, priority, PaymentState(state))


def encode_last_cycle() -> bytes:
    """Read the last settled cycle; one word."""
    return SELECTORS["lastCycle()"]
