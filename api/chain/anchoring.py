"""What was written down so far, committed to on chain: the roots of the ledger and of the signer's journal.

Each anchor covers its whole log from the beginning, so a missed day loses nothing. The anchor's row and the
intent to send it commit together; the rest is the way of every transaction of the institution.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from api.chain.alarms import frozen_flows
from api.chain.deployment import ANCHOR
from api.chain.errors import FlowFrozen, LedgerUnsettled
from api.chain.outbox import TransactionIntent, enqueue_transaction
from api.database import transaction
from api.ledger.log import BEFORE_ALL, Fence, is_passed, read_fence, read_leaves
from contracts.merkle import Frontier
from contracts.notary import LEDGER_LOG, SIGNER_LOG, encode_anchor

if TYPE_CHECKING:
    from api.chain.signer_client import JournalHead, SignerClient
    from api.database import Connection, Pool

Log = Literal["ledger", "signer"]

FENCE_POLL_S: Final = 0.05
FENCE_PATIENCE_S: Final = 10.0

_NAMES: Final[dict[Log, bytes]] = {"ledger": LEDGER_LOG, "signer": SIGNER_LOG}

_LAST: Final = """
SELECT a.log, a.size, a.last_entry_id, a.peaks, t.state,
       extract(epoch FROM clock_timestamp() - a.anchored_at)::float AS age_s,
       (SELECT count(*) FROM chain_anchors b WHERE b.anchored_at >= a.anchored_at) AS since
  FROM (SELECT DISTINCT ON (log) * FROM chain_anchors ORDER BY log, seq DESC) a
  JOIN chain_transactions t ON t.id = a.transaction_id
"""


@dataclass(frozen=True, slots=True)
class LastAnchor:
    """The newest anchor of a log. `since` counts all anchors from its round on, itself included."""

    size: int
    state: str
    age_s: float
    since: int
    last_entry_id: int = BEFORE_ALL
    peaks: bytes = b""


@dataclass(frozen=True, slots=True)
class LogHead:
    """How long a log is and what commits to it; the ledger's also says where its tree goes on."""

    log: Log
    size: int
    root: bytes
    last_entry_id: int | None = None
    peaks: bytes | None = None


# ------------------------------------------------------------------------------------------ decisions


def is_due(anchors: dict[Log, LastAnchor], every_s: float) -> bool:
    """Whether it is time again: nothing is on its way, and the newest anchor is old enough."""
    if any(each.state in {"prepared", "signed"} for each in anchors.values()):
        return False
    return all(each.age_s >= every_s for each in anchors.values())


def is_news(head: LogHead, last: LastAnchor | None) -> bool:
    """Whether a log has more to commit to than its last anchor did.

    The signature of an anchor is itself a row of the signer's journal: an institution that does nothing but
    anchor would never come to rest.
    """
    if head.size == 0:
        return False
    if last is None or last.state not in {"prepared", "signed", "final"}:
        return True
    own = last.since if head.log == "signer" else 0
    return head.size - last.size > own


# ------------------------------------------------------------------------------------------ the verb


class Anchoring:
    """Anchors an institution's logs. One runs for an institution: `api.workers` holds the lease."""

    def __init__(self, pool: Pool, signer: SignerClient, key: str, participant: int, every_s: float) -> None:
        """`key` names the signer's key that the notary knows as the institution.

        A participant's is one once the central bank has said so; the central bank's own (0) holds a role.
        """
        self._pool = pool
        self._signer = signer
        self._key = key
        self._participant = participant
        self._every_s = every_s

    async def run_once(self) -> int:
        """Enqueue the anchors that are due; how many.

        Raises `FlowFrozen` after an anchor failed, `LedgerUnsettled`, and what the signer client raises.
        """
        if "anchoring" in await frozen_flows(self._pool):
            raise FlowFrozen("anchoring")
        anchors = await self._last_anchors()
        if not is_due(anchors, self._every_s) or not await self._is_institution():
            return 0
        heads = [await self._ledger_head(anchors.get("ledger")), _signer_head(await self._signer.journal())]
        news = [head for head in heads if is_news(head, anchors.get(head.log))]
        if news:
            async with transaction(self._pool) as connection:
                for head in news:
                    await self._enqueue(connection, head)
        return len(news)

    async def _is_institution(self) -> bool:
        """Whether the notary would take an anchor: a final block has made the key the participant's own."""
        if self._participant == 0:
            return True
        known: bytes | None = await self._pool.fetchval(
            "SELECT institution FROM chain_participants WHERE participant = $1", self._participant
        )
        return known is not None and known == (await self._signer.keys()).named.get(self._key)

    async def _last_anchors(self) -> dict[Log, LastAnchor]:
        return {
            row["log"]: LastAnchor(
                row["size"], row["state"], row["age_s"], row["since"],
                BEFORE_ALL if row["last_entry_id"] is None else row["last_entry_id"], row["peaks"] or b"",
            )
            for row in await self._pool.fetch(_LAST)
        }  # fmt: skip

    async def _ledger_head(self, last: LastAnchor | None) -> LogHead:
        """The tree of all entries that are settled in their order; only the new ones are read."""
        frontier = Frontier() if last is None else Frontier.from_bytes(last.size, last.peaks)
        last_id = BEFORE_ALL if last is None else last.last_entry_id
        async with self._pool.acquire() as connection:
            fence = await self._settled(connection)
            async for leaves in read_leaves(connection, last_id, fence.last_id):
                frontier.extend(hashed for _, hashed in leaves)
                last_id = leaves[-1][0]
        return LogHead("ledger", frontier.size, frontier.root(), last_id, frontier.to_bytes())

    async def _settled(self, connection: Connection) -> Fence:
        """A fence that has been passed. Raises `LedgerUnsettled` where a transaction stays open for long."""
        fence = await read_fence(connection)
        deadline = time.monotonic() + FENCE_PATIENCE_S
        while not await is_passed(connection, fence):
            if time.monotonic() > deadline:
                raise LedgerUnsettled(FENCE_PATIENCE_S)
            await asyncio.sleep(FENCE_POLL_S)
        return fence

    async def _enqueue(self, connection: Connection, head: LogHead) -> None:
        transaction_id = uuid.uuid4()
        await connection.execute(
            """INSERT INTO chain_anchors (log, size, root, last_entry_id, peaks, transaction_id)
               VALUES ($1, $2, $3, $4, $5, $6)""",
            head.log,
            head.size,
            head.root,
            head.last_entry_id,
            head.peaks,
            transaction_id,
        )
        call = encode_anchor(_NAMES[head.log], head.size, head.root)
        await enqueue_transaction(connection, TransactionIntent(transaction_id, self._key, ANCHOR, call))


def _signer_head(journal: JournalHead) -> LogHead:
    return LogHead("signer", journal.size, journal.root)
