"""Wallets from the outbox: derived by the signer in lots, then registered on chain in lots of one tier."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from api.chain.alarms import frozen_flows
from api.chain.batching import MAX_RECORDS, max_registrations, register_gas
from api.chain.settling import INSTITUTION_KEY
from api.chain.taken_addresses import open_cases_of_taken
from api.database import transaction
from contracts.abi import encode_register

if TYPE_CHECKING:
    from uuid import UUID

    from api.chain.rpc import Header
    from api.chain.signer_client import SignerClient
    from api.database import Pool


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
        """Derive the addresses of one lot of new wallets; how many there were."""
        rows = await self._pool.fetch(
            """SELECT key_index, credential FROM outbox_registrations
                WHERE transaction_id IS NULL AND address IS NULL ORDER BY seq LIMIT $1""",
            MAX_RECORDS,
        )
        indices = [row["key_index"] for row in rows]
        if not indices:
            return 0
        addresses = await self._signer.derive(indices, [row["credential"] for row in rows])
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
        return len(indices)

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
