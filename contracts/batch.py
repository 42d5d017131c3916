"""The packed payments of ``settle`` and the reasons for which the contract skips one.

A record has 93 bytes: payee 20 | amount 5 | nonce 4 | r 32 | vs 32 (EIP-2098). The payer is recovered.
"""

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import NamedTuple

RECORD_BYTES = 93
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


def pack(records: Iterable[Record]) -> bytes:
    """Return the bytes that ``settle`` takes. Raises MalformedBatch where a field does not fit."""
    parts = []
    for payee, amount_minor, nonce, r, vs in records:
        if len(payee) != 20 or len(r) != 32 or len(vs) != 32:
            raise MalformedBatch("a payee has 20 bytes, r and vs have 32 each")
        try:
            parts.append(payee + amount_minor.to_bytes(5, "big") + nonce.to_bytes(4, "big") + r + vs)
        except OverflowError as overflow:
            raise MalformedBatch(
                f"amount {amount_minor} or nonce {nonce} does not fit 40 and 32 bits"
            ) from overflow
    return b"".join(parts)


def unpack(packed: bytes) -> list[Record]:
    """Return the records of packed bytes. Raises MalformedBatch where bytes are missing or left over."""
    if len(packed) % RECORD_BYTES != 0:
        raise MalformedBatch(f"{len(packed)} bytes are not whole records of {RECORD_BYTES}")
    return [
        Record(
            packed[at : at + 20],
            int.from_bytes(packed[at + 20 : at + 25], "big"),
            int.from_bytes(packed[at + 25 : at + 29], "big"),
            packed[at + 29 : at + 61],
            packed[at + 61 : at + 93],
        )
        for at in range(0, len(packed), RECORD_BYTES)
    ]


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
