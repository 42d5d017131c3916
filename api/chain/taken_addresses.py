"""Wallets whose address another participant registered first, or the central bank gave to the system.

Any participant may register any address that nobody has registered yet. A wallet that lost its address so is
none of this bank's on chain unless its owner moves it here: it waits outside of the queue, with a case, and
its customer gets another wallet.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from api.database import Connection

logger = logging.getLogger(__name__)

MAX_REVERTED_IN_A_ROW: Final = 8
"""Registrations that revert, none succeeding since, before a person must look: somebody may be taking an
address of each lot.
"""


async def open_cases_of_taken(
    connection: Connection, participant: int | None, addresses: Collection[bytes]
) -> None:
    """One case for each wallet among these addresses that another participant has.

    It is not opened again after a person has closed it. `participant` is the bank's own, None before it is
    one.
    """
    rows = await connection.fetch(
        """
        WITH taken AS (
            SELECT jsonb_build_object('wallet_id', r.wallet_id, 'address', '0x' || encode(r.address, 'hex'),
                                      'participant', n.participant) AS detail
              FROM outbox_registrations r JOIN chain_accounts n ON n.address = r.address
             WHERE r.address = ANY($1::bytea[]) AND r.registered_block IS NULL
               AND n.participant IS DISTINCT FROM $2)
        INSERT INTO chain_cases (kind, detail)
        SELECT 'AddressOfAnotherParticipant', detail FROM taken
         WHERE NOT EXISTS (SELECT FROM chain_cases c
                            WHERE c.kind = 'AddressOfAnotherParticipant' AND c.detail = taken.detail)
        RETURNING detail::text
        """,
        list(addresses),
        participant,
    )
    for row in rows:
        logger.error("case AddressOfAnotherParticipant: %s", row["detail"])


async def release_reverted(
    connection: Connection, participant: int, transaction_ids: Collection[UUID]
) -> frozenset[UUID]:
    """Let the wallets of reverted registrations wait for another one; those of which another goes at once.

    They are the registrations with an address that is taken by now. The next one leaves it out, so each try
    is for fewer wallets; and there are `MAX_REVERTED_IN_A_ROW` at most.
    """
    if not transaction_ids:
        return frozenset()
    rows = await connection.fetch(
        """
        UPDATE outbox_registrations r SET transaction_id = NULL
          FROM outbox_registrations lot LEFT JOIN chain_accounts n ON n.address = lot.address
         WHERE lot.seq = r.seq AND lot.transaction_id = ANY($1::uuid[]) AND lot.registered_block IS NULL
        RETURNING lot.transaction_id, n.address IS NOT NULL AND n.participant <> $2 AS is_taken
        """,
        list(transaction_ids),
        participant,
    )
    in_a_row = await connection.fetchval(
        """SELECT count(*) FROM chain_transactions WHERE kind = 'register' AND state = 'reverted'
              AND seq > coalesce((SELECT max(seq) FROM chain_transactions
                                   WHERE kind = 'register' AND state = 'final'), 0)"""
    )
    if in_a_row > MAX_REVERTED_IN_A_ROW:
        return frozenset()
    return frozenset(row["transaction_id"] for row in rows if row["is_taken"])
