"""Why money moved, as the events around a transfer tell: under an order, or in a settlement of one's own.

A transfer with neither was its payer's own act on the single path: a transfer, an approval that was used, or
an EIP-3009 authorisation. It needs nobody's record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.abi import BatchSettled, Event, TransferForced

if TYPE_CHECKING:
    from collections.abc import Iterable

    from api.chain.matching import LogKey


def forced_transfers(events: Iterable[Event]) -> dict[LogKey, TransferForced]:
    """The transfers under orders, each with the event that comes just after it."""
    return {
        (each.block_hash, each.log_index - 1): each for each in events if isinstance(each, TransferForced)
    }


def settled_transactions(events: Iterable[Event], participant: int) -> frozenset[bytes]:
    """The hashes of the transactions that settled batches of this participant.

    Another's do not count: its institution may be a contract, which settles a batch of its own and uses a
    customer's approval in one transaction.
    """
    return frozenset(
        each.transaction_hash
        for each in events
        if isinstance(each, BatchSettled) and each.participant == participant
    )
