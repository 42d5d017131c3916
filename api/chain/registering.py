"""Wallets from the outbox: derived by the signer in lots, then registered on chain in lots of one tier."""

from __future__ import annotations

import logging
import uuid
from typing import TYPE_CHECKING, Final

from api.chain.alarms import frozen_flows
from api.chain.batching import MAX_RECORDS, max_registrations, register_gas
from api.chain.settling import INSTITUTION_KEY
from api.chain.signer_client import RefusedKey
from api.chain.taken_addresses import open_cases_of_taken
from api.database import transaction
from contracts.abi import encode_register

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from api.chain.rpc import Header
    from api.chain.signer_client import SignerClient
    from api.database import Connection, Pool

logger = logging.getLogger(__name__)

_IS_ANY_LEFT: Final = """
SELECT EXISTS (SELECT FROM outbox_registrations
                WHERE transaction_id IS NULL AND address IS NOT NULL AND registered_block IS NULL)
"""

_FROM_WAITING: Final = """
  FROM outbox_registrations r
 WHERE r.transaction_id IS NULL AND r.address IS NOT NULL AND r.registered_block IS NULL
   AND NOT EXISTS (SELECT FROM chain_accounts n LEFT JOIN chain_participants p USING (participant)
                    WHERE n.address = r.address AND p.institution IS DISTINCT FROM $1)
"""
_IS_ANY_WAITING: Final = f"SELECT EXISTS (SELECT {_FROM_WAITING})"
_WAITING: Final = f"""
SELECT r.wallet_id, r.address, r.tier, r.flags {_FROM_WAITING} ORDER BY r.seq LIMIT $2 FOR UPDATE OF r
"""


class Registering:
    """Gives wallets their address and prepares their registration."""

    def __init__(self, pool: Pool, signer: SignerClient) -> None:
        self._pool = pool
        self._signer = signer
        self._institution: bytes | None = None

    async def derive(self) -> int:
        """Derive the addresses of one lot of new wallets; how many there were.

        A wallet that the signer makes no key for is left behind with a case: it holds up no other.
        """
        rows = await self._pool.fetch(
            """SELECT key_index, credential FROM outbox_registrations
                WHERE transaction_id IS NULL AND address IS NULL AND refusal IS NULL ORDER BY seq LIMIT $1""",
            MAX_RECORDS,
        )
        if not rows:
            return 0
        asked = [row["key_index"] for row in rows]
        answers = await self._signer.derive(asked, [row["credential"] for row in rows])
        derived = {index: each for index, each in zip(asked, answers, strict=True) if isinstance(each, bytes)}
        refused = {
            index: each for index, each in zip(asked, answers, strict=True) if isinstance(each, RefusedKey)
        }
        indices, addresses = list(derived), list(derived.values())
        institution = await self._own_institution()
        async with transaction(self._pool) as connection:
            # a registration that becomes final is seen here, or sees the address there
            await connection.execute("SELECT FROM chain_cursor FOR SHARE")
            await connection.execute(
                """
                UPDATE outbox_registrations r SET address = derived.address
                  FROM unnest($1::bigint[], $2::bytea[]) AS derived (key_index, address)
                 WHERE r.key_index = derived.key_index AND r.address IS NULL
                """,
                indices,
                addresses,
            )
            participant = await connection.fetchval(
                "SELECT participant FROM chain_participants WHERE institution = $1", institution
            )
            # a database that was set back: the wallets were registered before their addresses were lost
            await connection.execute(
                """
                UPDATE outbox_registrations r
                   SET registered_block = (SELECT final_number FROM chain_cursor)
                  FROM chain_accounts n
                 WHERE n.address = r.address AND n.participant = $2 AND r.address = ANY($1::bytea[])
                   AND r.registered_block IS NULL
                """,
                addresses,
                participant,
            )
            await open_cases_of_taken(connection, participant, addresses)
            await _leave_behind(connection, refused)
        return len(asked)

    async def prepare(self, head: Header) -> UUID | None:
        """Store one registration of the leading derived wallets that share tier and flags.

        Addresses that another participant has are left out: one of them would revert the whole lot. Its id,
        or None.
        """
        if not await self._pool.fetchval(_IS_ANY_LEFT):
            return None  # at a central bank always: it has no customers, and no key that registers
        institution = await self._own_institution()
        if not await self._pool.fetchval(_IS_ANY_WAITING, institution):
            return None
        transaction_id = uuid.uuid4()
        async with transaction(self._pool) as connection:
            if "registration" in await frozen_flows(connection):
                return None
            rows = await connection.fetch(_WAITING, institution, max_registrations(head.limit_gas))
            if not rows:
                return None
            tier, flags = rows[0]["tier"], rows[0]["flags"]
            lot = [row for row in rows if (row["tier"], row["flags"]) == (tier, flags)]
            await connection.execute(
                """INSERT INTO chain_transactions (id, key_name, kind, data, gas)
                   VALUES ($1, $2, 'register', $3, $4)""",
                transaction_id,
                INSTITUTION_KEY,
                encode_register([row["address"] for row in lot], tier, flags),
                register_gas(len(lot)),
            )
            await connection.execute(
                "UPDATE outbox_registrations SET transaction_id = $1 WHERE wallet_id = ANY($2::uuid[])",
                transaction_id,
                [row["wallet_id"] for row in lot],
            )
        return transaction_id

    async def _own_institution(self) -> bytes:
        """The address of the key that registers."""
        if self._institution is None:
            self._institution = (await self._signer.keys()).named[INSTITUTION_KEY]
        return self._institution


async def _leave_behind(connection: Connection, refused: Mapping[int, RefusedKey]) -> None:
    """Wallets that get no address, each with a case for a person."""
    if not refused:
        return
    rows = await connection.fetch(
        """
        WITH left_behind AS (
            UPDATE outbox_registrations r SET refusal = refused.code
              FROM unnest($1::bigint[], $2::text[]) AS refused (key_index, code)
             WHERE r.key_index = refused.key_index AND r.address IS NULL AND r.refusal IS NULL
            RETURNING jsonb_build_object('wallet_id', r.wallet_id, 'key_index', r.key_index,
                                         'code', r.refusal) AS detail)
        INSERT INTO chain_cases (kind, detail) SELECT 'KeyRefused', detail FROM left_behind
        RETURNING detail::text
        """,
        list(refused),
        [each.code for each in refused.values()],
    )
    for row in rows:
        logger.error("case KeyRefused: %s", row["detail"])
