"""The packed payments of a batch and the reasons for which the contract skips one.

- flat: a record has 93 bytes: payee 20 | amount 5 | nonce 4 | r 32 | vs 32 (EIP-2098), the payer recovered;
- grouped by payee: payee 20 | count 2, then so many records of 73 bytes: amount 5 | nonce 4 | r 32 | vs 32;
  behind a head of zeros, flat records may follow;
- fan-out, under one signature of the payer: an entry has 25 bytes: payee 20 | amount 5.
"""

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import NamedTuple

RECORD_BYTES = 93
GROUP_HEAD_BYTES = 22
GROUPED_RECORD_BYTES = 73
ENTRY_BYTES = 25
MAX_GROUP_RECORDS = (1 << 16) - 1
MAX_AMOUNT_MINOR = (1 << 40) - 1
# The contract stores nonce + 1 in 32 bits, so the last one is never usable.
MAX_NONCE = (1 << 32) - 2

# What opens every reason that consumes its nonce (Reason.sol).
_FIRST_RULE = 16


class SkipReason(IntEnum):
    """Why a record was skipped; the names are the contract's custom errors and the API's codes."""

    BadSignature = 1
    PayerNotOfParticipant = 2
    NonceUsed = 3
    PayerFrozen = 16
    PayeeNotRegistered = 17
    PayeeFrozen = 18
    PerPaymentLimitExceeded = 19
    DailyLimitExceeded = 20
    InsufficientBalance = 21
    HoldingLimitExceeded = 22
    ZeroAmount = 23
    SelfPayment = 24
    PayerClosed = 25
    PayeeClosed = 26
    PayerSuspended = 27
    PayeeSuspended = 28
    PayeeIsSystem = 29
    FundsHeld = 30

    @property
    def consumes_nonce(self) -> bool:
        """True if the payment can no longer execute: a rule refused it and its nonce is gone."""
        return self >= _FIRST_RULE


# The order in which the contract asks its rules: the first that fails is the reason.
RULE_ORDER = (
    SkipReason.ZeroAmount,
    SkipReason.SelfPayment,
    SkipReason.PayerFrozen,
    SkipReason.PayerClosed,
    SkipReason.PayerSuspended,
    SkipReason.PayeeNotRegistered,
    SkipReason.PayeeFrozen,
    SkipReason.PayeeClosed,
    SkipReason.PayeeSuspended,
    SkipReason.PayeeIsSystem,
    SkipReason.PerPaymentLimitExceeded,
    SkipReason.DailyLimitExceeded,
    SkipReason.InsufficientBalance,
    SkipReason.FundsHeld,
    SkipReason.HoldingLimitExceeded,
)


class MalformedBatch(ValueError):
    """Bytes that are not whole records, or a field that does not fit its place."""

    code = "MalformedBatch"


class Record(NamedTuple):
    """One signed payment. ``payee`` has 20 bytes, ``r`` and ``vs`` 32 each."""

    payee: bytes
    amount_minor: int
    nonce: int
    r: bytes
    vs: bytes


class Entry(NamedTuple):
    """One payment of a fan-out. ``payee`` has 20 bytes."""

    payee: bytes
    amount_minor: int


def pack(records: Iterable[Record]) -> bytes:
    """Return the bytes that ``settle`` takes. Raises MalformedBatch where a field does not fit."""
    return b"".join(_packed_payee(record.payee) + _packed_signed(record) for record in records)


def unpack(packed: bytes) -> list[Record]:
    """Return the records of packed bytes. Raises MalformedBatch where bytes are missing or left over."""
    if len(packed) % RECORD_BYTES != 0:
        raise MalformedBatch(f"{len(packed)} bytes are not whole records of {RECORD_BYTES}")
    return [_unpacked(packed[at : at + 20], packed, at + 20) for at in range(0, len(packed), RECORD_BYTES)]


def pack_grouped(groups: Iterable[Sequence[Record]], flat: Sequence[Record] = ()) -> bytes:
    """Return the bytes that ``settleGrouped`` takes; the records of a group share their payee.

    The ``flat`` records come after all groups, in the batch and in time.

    Raises MalformedBatch for a group of none, of more than 65,535, or of several payees, and where a field
    does not fit.
    """
    parts = []
    for group in groups:
        if not 0 < len(group) <= MAX_GROUP_RECORDS:
            raise MalformedBatch(f"a group has 1 to {MAX_GROUP_RECORDS} records, not {len(group)}")
        payee = group[0].payee
        if any(record.payee != payee for record in group):
            raise MalformedBatch("the records of a group share their payee")
        parts.append(_packed_payee(payee) + len(group).to_bytes(2, "big"))
        parts += map(_packed_signed, group)
    if flat:
        parts += [bytes(GROUP_HEAD_BYTES), pack(flat)]
    return b"".join(parts)


def unpack_grouped(packed: bytes) -> tuple[list[list[Record]], list[Record]]:
    """Return the groups of packed bytes, and the flat records behind them.

    Raises MalformedBatch where bytes are missing or left over, and for a payee without records.
    """
    groups: list[list[Record]] = []
    at = 0
    while at < len(packed):
        payee = packed[at : at + 20]
        if packed[at : at + GROUP_HEAD_BYTES] == bytes(GROUP_HEAD_BYTES):
            return groups, unpack(packed[at + GROUP_HEAD_BYTES :])
        count = int.from_bytes(packed[at + 20 : at + GROUP_HEAD_BYTES], "big")
        start = at + GROUP_HEAD_BYTES
        at = start + count * GROUPED_RECORD_BYTES
        if count == 0 or at > len(packed):
            raise MalformedBatch(f"{len(packed)} bytes are not whole groups")
        groups.append([_unpacked(payee, packed, each) for each in range(start, at, GROUPED_RECORD_BYTES)])
    return groups, []


def pack_fan_out(entries: Iterable[Entry]) -> bytes:
    """Return the bytes that ``settleFanOut`` takes and its payer signs.

    Raises MalformedBatch where a field does not fit.
    """
    return b"".join(
        _packed_payee(payee) + _packed_integer(amount_minor, 5, "amount") for payee, amount_minor in entries
    )


def unpack_fan_out(packed: bytes) -> list[Entry]:
    """Return the entries of packed bytes. Raises MalformedBatch where bytes are missing or left over."""
    if len(packed) % ENTRY_BYTES != 0:
        raise MalformedBatch(f"{len(packed)} bytes are not whole entries of {ENTRY_BYTES}")
    return [
        Entry(packed[at : at + 20], int.from_bytes(packed[at + 20 : at + ENTRY_BYTES], "big"))
        for at in range(0, len(packed), ENTRY_BYTES)
    ]


def _packed_payee(payee: bytes) -> bytes:
    if len(payee) != 20:
        raise MalformedBatch("a payee has 20 bytes")
    return payee


def _packed_signed(record: Record) -> bytes:
    """A record without its payee."""
    if len(record.r) != 32 or len(record.vs) != 32:
        raise MalformedBatch("r and vs have 32 bytes each")
    amount = _packed_integer(record.amount_minor, 5, "amount")
    return amount + _packed_integer(record.nonce, 4, "nonce") + record.r + record.vs


def _packed_integer(value: int, length: int, name: str) -> bytes:
    try:
        return value.to_bytes(length, "big")
    except OverflowError as overflow:
        raise MalformedBatch(f"{name} {value} does not fit {8 * length} bits") from overflow


def _unpacked(payee: bytes, packed: bytes, at: int) -> Record:
    """The record of ``payee`` whose amount is at ``at``."""
    return Record(
        payee,
        int.from_bytes(packed[at : at + 5], "big"),
        int.from_bytes(packed[at + 5 : at + 9], "big"),
        packed[at + 9 : at + 41],
        packed[at + 41 : at + 73],
    )


def decode_skipped(bitmap: bytes, reasons: Sequence[int]) -> dict[int, SkipReason]:
    """Return the reason of each skipped record by its index in the batch, from the event's two fields.

    Bit i, least significant first in byte i // 8, is record i. Raises MalformedBatch if they disagree.
    """
    indices = [
        byte_index * 8 + bit for byte_index, byte in enumerate(bitmap) for bit in range(8) if byte >> bit & 1
    ]
    if len(indices) != len(reasons):
        raise MalformedBatch(
            f"{len(indices)} records are marked as skipped, {len(reasons)} reasons are given"
        )
    return {index: SkipReason(reason) for index, reason in zip(indices, reasons, strict=True)}
