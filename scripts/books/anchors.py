"""What the institutions committed to on chain, recomputed from what they hold now.

An anchor commits to the first entries of a log, all of them and in their order. So the first anchor that
cannot be recomputed tells between which entries somebody changed, added or removed something.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from api.chain.deployment import Deployment, require_own_chain
from api.chain.rpc import RpcClient
from api.ledger.log import BEFORE_ALL, read_leaves
from api.ledger.verify import Difference
from api.settings import Settings
from contracts.abi import ROLES, AdministrativeEvent, Event, ParticipantSet
from contracts.merkle import Frontier
from contracts.notary import LEDGER_LOG, SIGNER_LOG, Anchored, decode_notary_logs
from scripts.books.chain_replay import BLOCKS_IN_ONE_CALL, ChainHistory
from scripts.books.reading import Connection
from wallet_node.errors import JournalBroken, JournalUnavailable, StoreOfOtherVersion
from wallet_node.journal.verification import verify
from wallet_node.store import Store

LEDGER_CHECK = "ledger is what was anchored"
SIGNER_CHECK = "signer's journal is what was anchored"
JOURNAL_CHECK = "signer's journal holds together"

CHAIN_TIMEOUT_S = 10.0

_TRANSACTION_SIGNERS = (
    "SELECT signer, last_nonce FROM signers JOIN domains USING (domain) WHERE space = 'transaction'"
    " ORDER BY signer"
)
_HIGHEST_ID = 2**63 - 1
_CENTRAL_BANK_ROLES = {ROLES["GOVERNOR"], ROLES["ISSUER"]}


@dataclass(frozen=True, slots=True)
class Held:
    """A log as it is now: how long, and what its beginnings commit to, by their sizes."""

    length: int
    commitments: Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class SignerOnChain:
    """What the chain knows of one signer: the anchors of its journal, and whose transactions it executed
    beyond the last nonce that the journal gave (address, executed, given).
    """

    anchors: Sequence[Anchored]
    outrun: Sequence[tuple[bytes, int, int]]


async def read_signers(
    settings: Sequence[Settings], journals: Mapping[str, Path]
) -> tuple[int, dict[str, SignerOnChain]]:
    """The head of the chain, and what it knows of these institutions' signers, by slug.

    Raises FlorinError and OSError where the chain cannot be read or is another one.
    """
    deployment = Deployment.load(settings[0].manifest_path)
    async with RpcClient(settings[0].rpc_url, CHAIN_TIMEOUT_S) as rpc:
        await require_own_chain(rpc, deployment)
        head = (await rpc.latest()).number
        first, contract, notary = deployment.deployed_block, deployment.contract, deployment.notary
        history = await ChainHistory.read(rpc, contract, first, head)
        anchors = await read_anchors(rpc, notary, first, head)
        found = {}
        for each in settings:
            participant = each.participant_id if each.kind == "bank" else 0
            _, own = own_anchors(anchors, addresses_of(participant, history.until(head)), head)
            outrun = await outrun_nonces(rpc, journals[each.institution])
            found[each.institution] = SignerOnChain(own, outrun)
    return head, found


async def outrun_nonces(rpc: RpcClient, journal: Path) -> list[tuple[bytes, int, int]]:
    """The accounts of which the chain has executed more transactions than the journal gave nonces, with both
    numbers: then somebody else has the key, or this journal is an earlier one than it was.
    """
    with closing(Store.to_read(journal)) as store:
        given = store.query(_TRANSACTION_SIGNERS)
    outrun = []
    for signer, last_nonce in given:
        executed = await rpc.transaction_count(signer)
        if executed > last_nonce + 1:
            outrun.append((signer, executed, last_nonce + 1))
    return outrun


async def read_anchors(
    rpc: RpcClient,
    notary: bytes,
    first_block: int,
    last_block: int,
    on_progress: Callable[[int], None] = lambda _: None,
) -> list[Anchored]:
    """Every anchor of anybody in these blocks, in order."""
    anchors: list[Anchored] = []
    for first in range(first_block, last_block + 1, BLOCKS_IN_ONE_CALL):
        last = min(first + BLOCKS_IN_ONE_CALL - 1, last_block)
        anchors += decode_notary_logs(await rpc.logs(notary, first, last))
        on_progress(last - first + 1)
    return anchors


def addresses_of(participant: int, events: Iterable[Event]) -> set[bytes]:
    """Every address under which a participant was its institution, or (0) the central bank held a role."""
    found = set()
    for event in events:
        if isinstance(event, ParticipantSet) and event.participant == participant != 0:
            found.add(event.institution)
        elif isinstance(event, AdministrativeEvent) and event.name == "RoleTransferred" and participant == 0:
            _, role, _, holder = event.topics
            if role in _CENTRAL_BANK_ROLES:
                found.add(holder[12:])
    return found


def own_anchors(
    anchors: Iterable[Anchored], addresses: Collection[bytes], last_block: int
) -> tuple[list[Anchored], list[Anchored]]:
    """An institution's anchors up to a block: of its ledger, and of its signer's journal."""
    own = [each for each in anchors if each.institution in addresses and each.block_number <= last_block]
    return (
        [each for each in own if each.log == LEDGER_LOG],
        [each for each in own if each.log == SIGNER_LOG],
    )


async def read_ledger(connection: Connection, sizes: Collection[int]) -> Held:
    """The roots of the journal's beginnings of these sizes, from its entries alone."""
    wanted, frontier, roots = set(sizes), Frontier(), {}
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        async for leaves in read_leaves(connection, BEFORE_ALL, _HIGHEST_ID):
            for _, hashed in leaves:
                frontier.append(hashed)
                if frontier.size in wanted:
                    roots[frontier.size] = frontier.root()
    return Held(frontier.size, roots)


def ledger_differences(anchors: Sequence[Anchored], held: Held) -> Iterator[Difference]:
    """Where the journal is not what was anchored."""
    yield from _differences(LEDGER_CHECK, "entries", anchors, held)


def signer_differences(anchors: Sequence[Anchored], journal: Path) -> Iterator[Difference]:
    """Where a signer's journal does not hold together, or is not what was anchored.

    It may be in use meanwhile.
    """
    try:
        with closing(Store.to_read(journal)) as store:
            verified = verify(store, {each.size for each in anchors})
            held = Held(verified.rows, verified.roots)
    except (JournalBroken, JournalUnavailable, StoreOfOtherVersion, sqlite3.DatabaseError) as failure:
        yield Difference(JOURNAL_CHECK, journal.name, "every row follows from the one before", str(failure))
        return
    yield from _differences(SIGNER_CHECK, "rows", anchors, held)


def _differences(check: str, what: str, anchors: Sequence[Anchored], held: Held) -> Iterator[Difference]:
    """The first anchor that cannot be recomputed: those after it commit to the same change."""
    wrong = [each for each in anchors if held.commitments.get(each.size) != each.root]
    if not wrong:
        return
    first = min(wrong, key=lambda each: each.size)
    sound = max((each.size for each in anchors if each not in wrong and each.size < first.size), default=0)
    found = held.commitments.get(first.size)
    yield Difference(
        check,
        f"{what} {sound + 1} to {first.size}, anchored in block {first.block_number}",
        "0x" + first.root.hex(),
        (f"only {held.length} {what}" if found is None else "0x" + found.hex())
        + f" ({len(wrong)} of {len(anchors)} anchors differ)",
    )
