"""Pure decisions of the relay.

Which records go together, until when they are valid, and what a transaction may cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from contracts.abi import encode_settle, encode_settle_grouped
from contracts.access_lists import accounts_to_list
from contracts.batch import Record, pack, pack_grouped
from contracts.grouping import group, is_grouped_cheaper

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

MAX_RECORDS: Final = 500
VALIDITY_S: Final = 600
VALIDITY_STEP_S: Final = 60
LEAST_REMAINING_S: Final = 120

# Upper bounds, in gas. Measured: 17,500 a settled payment, at most 9,000 more with a waterfall; 26,500 a
# registration.
SETTLE_FIXED_GAS: Final = 150_000
SETTLE_RECORD_GAS: Final = 33_200
REGISTER_FIXED_GAS: Final = 100_000
REGISTER_ACCOUNT_GAS: Final = 33_000
OTHER_GAS: Final = 400_000
# EIP-7825: what one transaction may use, whatever fits the block.
TRANSACTION_LIMIT_GAS: Final = 1 << 24

PRIORITY_FEE_WEI: Final = 1_000_000_000
LEAST_BUMP_PERCENT: Final = 13


@dataclass(frozen=True, slots=True)
class QueuedPayment:
    """A queued row of the outbox. `valid_before_s` is set when a signature was asked for and never stored."""

    payment_id: UUID
    kind: str
    serves_payment_id: UUID | None
    payer: bytes
    payee: bytes
    amount_minor: int
    attempt: int
    valid_before_s: int | None
    nonce_floor: int
    proof: str | None = None


def valid_before(block_time_s: int) -> int:
    """The next multiple of 60 s at least 10 minutes after the latest block's own time."""
    return -(-(block_time_s + VALIDITY_S) // VALIDITY_STEP_S) * VALIDITY_STEP_S


def choose_batch(
    queued: Sequence[QueuedPayment], block_time_s: int, max_records: int
) -> tuple[int, list[QueuedPayment]]:
    """The leading payments that can share one `valid_before_s`, and that time.

    A payment whose signature was asked for before a crash keeps its time while enough of it remains, so that
    the signer gives the same bytes again. One whose time is nearly over gets a later one (the caller counts
    the attempt): it was never in a stored transaction, so no earlier signature of it can reach the chain.
    """
    chosen: list[QueuedPayment] = []
    batch_time: int | None = None
    for payment in queued[:max_records]:
        wanted = _wanted_time(payment, block_time_s)
        if batch_time is None:
            batch_time = wanted
        if wanted != batch_time:
            break
        chosen.append(payment)
    return (valid_before(block_time_s) if batch_time is None else batch_time), chosen


def _wanted_time(payment: QueuedPayment, block_time_s: int) -> int:
    asked = payment.valid_before_s
    if asked is not None and asked >= block_time_s + LEAST_REMAINING_S:
        return asked
    return valid_before(block_time_s)  # later than what was asked for, as every attempt must be


def encode_settlement(
    payments: Sequence[tuple[bytes, Record]], valid_before_s: int
) -> tuple[bytes, list[int]]:
    """The cheaper call that settles (payer, record) pairs, and which of them is its first record, its second,
    and so on: grouped by payee where payees repeat, else flat in the order given.
    """
    grouping = group(payments)
    if is_grouped_cheaper(grouping):
        packed = pack_grouped(grouping.groups, grouping.flat)
        return encode_settle_grouped(packed, valid_before_s), grouping.sources
    flat = pack(record for _, record in payments)
    return encode_settle(flat, valid_before_s), list(range(len(payments)))


def list_accounts(payments: Sequence[tuple[bytes, Record]], call: bytes) -> bytes:
    """The accounts that this settlement's access list names, 20 bytes each; none where it would not pay."""
    accounts = {account for payer, record in payments for account in (payer, record.payee)}
    return b"".join(accounts_to_list(accounts, len(call)))


def max_records(block_limit_gas: int) -> int:
    """How many records a settlement may have on a chain with this block gas limit."""
    room = min(block_limit_gas, TRANSACTION_LIMIT_GAS) - SETTLE_FIXED_GAS
    return max(1, min(MAX_RECORDS, room // SETTLE_RECORD_GAS))


def max_registrations(block_limit_gas: int) -> int:
    """How many accounts one registration may have on a chain with this block gas limit."""
    room = min(block_limit_gas, TRANSACTION_LIMIT_GAS) - REGISTER_FIXED_GAS
    return max(1, min(MAX_RECORDS, room // REGISTER_ACCOUNT_GAS))


def settle_gas(records: int) -> int:
    """The gas limit of a settlement."""
    return SETTLE_FIXED_GAS + records * SETTLE_RECORD_GAS


def register_gas(accounts: int) -> int:
    """The gas limit of a registration."""
    return REGISTER_FIXED_GAS + accounts * REGISTER_ACCOUNT_GAS


def max_fee(base_fee: int) -> int:
    """The fee cap of a new transaction, wei for each unit of gas.

    Room for six full blocks (1.125^6 = 2.03).
    """
    return 2 * base_fee + PRIORITY_FEE_WEI


def priority_fee(max_fee_per_gas: int) -> int:
    """The tip that goes with a fee cap.

    It depends on nothing else, so that asking again gives the same bytes.
    """
    return max_fee_per_gas // 10


def raised_fee(max_fee_per_gas: int, base_fee: int) -> int:
    """The next fee cap of a transaction that waits.

    Enough for the chain, and for pools that want 10% more.
    """
    return max(max_fee(base_fee), max_fee_per_gas * (100 + LEAST_BUMP_PERCENT) // 100 + 1)
