"""Journal and chain replayed from their beginning, and every difference between them.

No stored balance is trusted: the books are added up from the journal's legs, the chain from its events, and
both are held against each other, against the contract's own state, and against what the institutions keep.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from api.chain.deployment import Deployment
from api.chain.errors import RpcRefused
from api.chain.rpc import Header, RpcClient
from api.ledger.verify import Difference, verify_ledger
from api.settings import Settings
from contracts.notary import Anchored
from scripts.books.anchors import (
    addresses_of,
    ledger_differences,
    own_anchors,
    read_anchors,
    read_ledger,
    signer_differences,
)
from scripts.books.causes import unexplained_entries
from scripts.books.chain_replay import ChainHistory, ContractState, read_state, state_differences
from scripts.books.institution_books import (
    Books,
    Check,
    compare_reserves,
    compare_with_chain,
    final_block,
    misprojected_accounts,
    read_books,
)
from scripts.books.reading import PatientRpc, read_patiently
from scripts.terminal.patience import Patience
from scripts.terminal.progress import Steps

LEVEL_POLL_S = 0.2
FOUNDATIONS = "chain"


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference that is not of one figure against another: a journal's broken rule, the chain's state."""

    where: str
    check: str
    subject: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """All checks and findings of one verification, and how many anchors it recomputed."""

    block_number: int
    checks: tuple[Check, ...]
    findings: tuple[Finding, ...]
    supply_minor: int
    anchors: int = 0

    @property
    def difference_minor(self) -> int:
        """All differences added up without their signs."""
        return sum(abs(check.difference_minor) for check in self.checks)

    @property
    def holds(self) -> bool:
        """Whether nothing differs anywhere."""
        return self.difference_minor == 0 and not self.findings


async def wait_until_level(settings: Sequence[Settings], steps: Steps) -> None:
    """Waits until every institution follows the chain as far as the foremost does now.

    Raises StandsStill, Unanswered.
    """
    patience = Patience("institutions")
    foremost = 0
    with steps.step("Institutions level", len(settings)) as advance:
        level = 0
        while True:
            blocks = [await final_block(each) for each in settings]
            foremost = foremost or max(blocks)
            behind = sum(1 for block in blocks if block < foremost)
            advance(len(settings) - behind - level)
            level = len(settings) - behind
            if not behind:
                return
            patience.saw(tuple(blocks), behind)
            await asyncio.sleep(LEVEL_POLL_S)


async def verify(settings: Sequence[Settings], steps: Steps, signer_journals: Mapping[str, Path]) -> Verdict:
    """Verifies the books of these institutions, which share one chain, each as of its own final block.

    `signer_journals` are the files of their signers' journals, by institution; what is not there is said
    aloud. Who is away for a moment is waited for. Raises NoBooks, StandsStill, Unanswered, UnusableManifest.
    """
    with steps.step("Journals", len(settings)) as advance:
        findings: list[Finding] = []
        books: list[Books] = []
        for each in settings:
            findings += await _journal_findings(each)
            books.append(await read_books(each))
            advance(1)
    findings += _foundations(books)
    if any(finding.check == FOUNDATIONS for finding in findings):  # nothing else could be compared
        return Verdict(min(each.final_block for each in books), (), tuple(findings), 0)
    first, contract = min(each.deployed_block for each in books), books[0].contract
    async with PatientRpc(settings[0].rpc_url, timeout_s=120) as rpc:
        history, state = await read_chain(rpc, contract, first, steps)
        anchored = AnchoredLogs(history, await _read_all_anchors(rpc, settings[0], books, steps))
    head = history.last_block
    findings += [
        Finding("chain", f"state at block {head}", difference.subject,
                str(difference.by_events_minor), str(difference.by_state_minor))
        for difference in state_differences(state, history.after(head))
    ]  # fmt: skip
    with steps.step("Entries", sum(len(each.journal.entries) for each in books)) as advance:
        for book in books:
            findings += _findings(book.settings, _book_findings(book, history, state))
            advance(len(book.journal.entries))
    with steps.step("Anchors", len(books)) as advance:
        for book in books:
            differences = await anchored.differences(book, signer_journals, steps)
            findings += _findings(book.settings, differences)
            advance(1)
    checks = [check for each in books for check in compare_with_chain(each, history.after(each.final_block))]
    central_banks = [each for each in books if each.settings.kind == "central_bank"]
    banks = [each for each in books if each.settings.kind == "bank"]
    checks += [compare_reserves(central_bank, bank) for central_bank in central_banks for bank in banks]
    block_number = min(each.final_block for each in books)
    supply_minor = history.after(block_number).supply_minor
    return Verdict(block_number, tuple(checks), tuple(findings), supply_minor, anchored.recomputed)


def _book_findings(books: Books, history: ChainHistory, state: ContractState) -> Iterator[Difference]:
    """What an institution's books say that neither the chain nor another of its tables does."""
    participant = books.settings.participant_id if books.settings.kind == "bank" else 0
    yield from books.inconsistencies
    yield from unexplained_entries(books.journal, participant, history.until(books.final_block))
    yield from misprojected_accounts(books, state.words, history.above(books.final_block))


async def _read_all_anchors(
    rpc: RpcClient, settings: Settings, books: Sequence[Books], steps: Steps
) -> list[Anchored]:
    """Up to the highest block that is final for anybody, which no longer changes."""
    first, last = min(each.deployed_block for each in books), max(each.final_block for each in books)
    notary = Deployment.load(settings.manifest_path).notary
    with steps.step("Notary", last - first + 1) as advance:
        return await read_anchors(rpc, notary, first, last, advance)


class AnchoredLogs:
    """What was anchored on chain, held against what the institutions have."""

    def __init__(self, history: ChainHistory, anchors: Sequence[Anchored]) -> None:
        self._history = history
        self._anchors = anchors
        self.recomputed = 0

    async def differences(
        self, books: Books, signer_journals: Mapping[str, Path], steps: Steps
    ) -> list[Difference]:
        """Where an institution's logs are not what it anchored, as of its final block."""
        participant = books.settings.participant_id if books.settings.kind == "bank" else 0
        addresses = addresses_of(participant, self._history.until(books.final_block))
        of_ledger, of_signer = own_anchors(self._anchors, addresses, books.final_block)
        sizes = {each.size for each in of_ledger}
        differences: list[Difference] = []
        if of_ledger:
            held = await read_patiently(books.settings, lambda connection: read_ledger(connection, sizes))
            differences += ledger_differences(of_ledger, held)
            self.recomputed += len(of_ledger)
        journal = signer_journals.get(books.settings.institution)
        if journal is not None and journal.exists():
            differences += signer_differences(of_signer, journal)
            self.recomputed += len(of_signer)
        else:
            steps.say(
                f"The signer's journal of {books.settings.institution_name} is not here: its "
                f"{len(of_signer)} anchors are not compared."
            )
        return differences


async def read_chain(
    rpc: RpcClient, contract: bytes, first: int, steps: Steps
) -> tuple[ChainHistory, ContractState]:
    """Everything up to the head, and the contract's state there, both of the same chain.

    A chain that is killed may come back without its last blocks: then all is read anew. Raises RpcRefused,
    StandsStill, Unanswered.
    """
    patience = Patience("readings of the chain")
    while True:
        head = await rpc.latest()
        try:
            with steps.step("Chain", head.number - first + 1) as advance:
                history = await ChainHistory.read(rpc, contract, first, head.number, advance)
            with steps.step("State of the contract"):
                state = await read_state(rpc, contract, history.after(head.number))
        except RpcRefused:
            if await _is_still_there(rpc, head):
                raise
        else:
            if await _is_still_there(rpc, head):
                return history, state
        patience.saw(None, 1)
        await asyncio.sleep(LEVEL_POLL_S)


async def _is_still_there(rpc: RpcClient, block: Header) -> bool:
    return [each.hash for each in await rpc.headers(block.number, block.number)] == [block.hash]


async def _journal_findings(settings: Settings) -> list[Finding]:
    return _findings(settings, await read_patiently(settings, verify_ledger))


def _findings(settings: Settings, differences: Iterable[Difference]) -> list[Finding]:
    return [
        Finding(settings.institution, each.check, each.subject, each.expected, each.found)
        for each in differences
    ]


def _foundations(books: Sequence[Books]) -> list[Finding]:
    """All institutions must follow the same contract on the same chain."""
    first = books[0]
    return [
        Finding(each.settings.institution, FOUNDATIONS, "genesis and contract",
                f"{first.genesis_hash.hex()} {first.contract.hex()}",
                f"{each.genesis_hash.hex()} {each.contract.hex()}")
        for each in books
        if (each.genesis_hash, each.contract) != (first.genesis_hash, first.contract)
    ]  # fmt: skip
