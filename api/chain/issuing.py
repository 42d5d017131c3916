"""What final events mean in the central bank's books: circulation against the reserves that were held for it.

Raising an allowance held the participant's reserves under the approval's id. Minting uses approvals up in the
order in which they were given, the last one perhaps in part; the rest of it stays held.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from api.chain.postings import Case, source_of
from api.chain.projection import NOBODY
from api.ledger.journal import Entry, Hold, Leg, Posting
from contracts.abi import Event, MintAllowanceChanged, Transfer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from api.database import Connection
    from api.ledger.chart import CentralBankChart


@dataclass(slots=True)
class Approval:
    """What is still held for an approval."""

    business_id: UUID
    account_id: int
    left_minor: int


@dataclass(slots=True)
class CentralBankPlanner:
    """Books minting and burning onto an open posting.

    `reserves` maps a participant to its reserves account, `participant_of` an institution's account to its
    participant.
    """

    chart: CentralBankChart
    reserves: Mapping[int, int]
    participant_of: Mapping[bytes, int]
    transactions: Mapping[bytes, UUID]
    approvals: dict[int, list[Approval]] = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)

    async def load(self, connection: Connection) -> list[UUID]:
        """Load what is held on the reserves accounts, oldest approval first; the approvals' ids."""
        rows = await connection.fetch(
            """SELECT h.account_id, h.business_id, h.amount_minor FROM ledger_holds h
                WHERE h.account_id = ANY($1::bigint[])
                  AND NOT EXISTS (SELECT FROM ledger_hold_resolutions r WHERE r.hold_id = h.id)
                ORDER BY (SELECT min(f.id) FROM ledger_holds f WHERE f.business_id = h.business_id), h.id""",
            list(self.reserves.values()),
        )
        for row in rows:
            approval = Approval(row["business_id"], row["account_id"], row["amount_minor"])
            self.approvals.setdefault(row["account_id"], []).append(approval)
        return [row["business_id"] for row in rows]

    def post(self, posting: Posting, events: Sequence[Event]) -> None:
        """Post every minting and burning, in order."""
        minted = {
            each.transaction_hash for each in events if isinstance(each, Transfer) and each.payer == NOBODY
        }
        for event in events:
            if isinstance(event, MintAllowanceChanged) and event.transaction_hash not in minted:
                self._allow(posting, event)
            elif isinstance(event, Transfer) and event.payer == NOBODY:
                self._mint(posting, event)
            elif isinstance(event, Transfer) and event.payee == NOBODY:
                account = self.reserves[self.participant_of[event.payer]]
                posting.post(self._entry("return", event, self.chart.circulation, account))

    def _mint(self, posting: Posting, event: Transfer) -> None:
        account = self.reserves[self.participant_of[event.payee]]
        used = self._use(account, event.amount_minor)
        first = used[0].business_id if used else None
        entry = self._entry("issuance", event, account, self.chart.circulation)
        if posting.posted(account) < event.amount_minor:
            # more currency than reserves: it exists, so it is booked, as a claim that a person must explain
            self.cases.append(Case("UnbackedIssuance", {"source": source_of(event)}, freezes="settle"))
            entry = self._entry("issuance", event, self.chart.assets, self.chart.circulation)
        posting.post(entry, resolves=first)
        for approval in used:
            self._hold_rest(posting, approval)

    def _use(self, account: int, amount_minor: int) -> list[Approval]:
        """The approvals that this amount uses up, oldest first; the last one may keep a rest."""
        used: list[Approval] = []
        for approval in self.approvals.get(account, []):
            if amount_minor == 0:
                break
            taken = min(approval.left_minor, amount_minor)
            approval.left_minor -= taken
            amount_minor -= taken
            used.append(approval)
        self.approvals[account] = [each for each in self.approvals.get(account, []) if each.left_minor]
        return used

    def _hold_rest(self, posting: Posting, approval: Approval) -> None:
        posting.void(approval.business_id)  # of the first, `post` has resolved everything
        if approval.left_minor:
            posting.reserve_posted(Hold(approval.account_id, approval.left_minor, approval.business_id))

    def _allow(self, posting: Posting, event: MintAllowanceChanged) -> None:
        """An allowance that was taken back frees the newest approvals.

        One raised by nobody known is a case.
        """
        change_minor = event.allowance_minor - event.previous_allowance_minor
        if change_minor > 0 and event.transaction_hash not in self.transactions:
            detail = {
                "source": source_of(event),
                "participant": event.participant,
                "amount_minor": change_minor,
            }
            self.cases.append(Case("UnapprovedAllowance", detail, freezes="settle"))
        freed = -change_minor
        account = self.reserves.get(event.participant)
        for approval in reversed(self.approvals.get(account, []) if account is not None else []):
            if freed <= 0:
                break
            taken = min(approval.left_minor, freed)
            approval.left_minor -= taken
            freed -= taken
            self._hold_rest(posting, approval)

    def _entry(self, kind: str, event: Transfer, debit: int, credit: int) -> Entry:
        legs = (
            Leg(debit, self.chart.currency, event.amount_minor),
            Leg(credit, self.chart.currency, -event.amount_minor),
        )
        return Entry(kind, source_of(event), None, legs)
