"""Operations that wait for a quorum: proposed, approved, withdrawn, expired, executed once; durable.

Every step returns a small value with its `changes`, which go into the page of the journal: nothing is
written here, and nothing is kept in memory. Asking again is how a caller waits: `propose` with the same id
and content tells how far the operation is. `now_s` is the journal's max(clock, last seen), and the policy is
the one in force.
"""

import hashlib

import msgspec

from wallet_node.errors import Refusal
from wallet_node.officers import approvals
from wallet_node.officers.approvals import (
    APPROVE,
    PROPOSE,
    WITHDRAW,
    Operation,
    State,
    Stated,
    Statement,
    VerifyAssertion,
)
from wallet_node.officers.outcomes import (
    Changes,
    Executed,
    Expired,
    Initiated,
    Pending,
    Proposal,
    Recorded,
    Refused,
    Satisfied,
    Standing,
    Withdrawn,
)
from wallet_node.policy.file import Officer, Quorum
from wallet_node.policy.policy import Policy
from wallet_node.store import Store

MOST_PENDING = 1_000
"""Of one kind: whoever can ask for signatures must not keep officers from changing the policy."""

_READ = (
    "SELECT operation_id, kind, digest, description, quorum, initiator, proposed_at_s, expires_at_s, state"
    " FROM operations WHERE "
)
_PROPOSE = "INSERT INTO operations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)"
_END = "UPDATE operations SET state = ?, ended_at_s = ? WHERE operation_id = ?"
_ASK = "UPDATE operations SET quorum = ? WHERE operation_id = ?"
_STATE = "INSERT INTO operation_statements VALUES (?, ?, ?, ?, ?, ?, ?)"
_COUNT = (
    "INSERT INTO officer_sign_counts VALUES (?, ?)"
    " ON CONFLICT (credential_id) DO UPDATE SET sign_count = excluded.sign_count"
)


class Operations:
    """The operations of one store."""

    def __init__(self, store: Store, verify_assertion: VerifyAssertion) -> None:
        self._store = store
        self._verify_assertion = verify_assertion

    def find(self, operation_id: bytes) -> Operation | None:
        """The operation of that id."""
        rows = self._store.query(_READ + "operation_id = ?", (operation_id,))
        return Operation(*rows[0]) if rows else None

    def initiate(
        self, statement: Statement, digest: bytes, *, policy: Policy, now_s: int
    ) -> Initiated | Refused:
        """Whether an officer proposes what will have this digest.

        Nothing keeps the statement from being sent again: the id is in the digest, and proposed once.
        """
        assert statement.verb == PROPOSE
        officer = policy.file.officer(statement.officer)
        if officer is None:
            detail = f"the initiator {statement.officer!r} is no officer of the policy"
            return Refused((Refusal("UnknownOfficer", detail),))
        signed = approvals.message(PROPOSE, digest, policy.digest, statement.expires_at_s)
        verified = self._verify(officer, statement, signed, policy)
        refusals = approvals.judge_expiry(statement, now_s)
        if isinstance(verified, Refusal):
            return Refused((*refusals, verified))
        if refusals:
            return Refused(refusals)
        return Initiated(officer.name, hashlib.sha256(signed).digest(), _counted(officer, verified))

    def propose(self, proposal: Proposal, *, policy: Policy, now_s: int) -> Standing | Refused:
        """Where an operation stands; the first time, it is proposed.

        Another digest or kind under a known id is refused; its initiator stays who it was.
        """
        quorum = policy.file.quorum(proposal.quorum)
        assert quorum is not None, "a sound policy has the quorums that its rules name"
        known = self.find(proposal.operation_id)
        if known is not None:
            if (known.kind, known.digest) != (proposal.kind, proposal.digest):
                detail = "this operation id already stands for other content"
                return Refused((Refusal("OperationIdReused", detail),))
            return self._standing(known, quorum, policy, now_s)
        refusals = self._refuse_proposal(quorum, proposal, policy, now_s)
        if refusals:
            return Refused(refusals)
        fields = msgspec.structs.asdict(proposal)
        operation = Operation(**fields, proposed_at_s=now_s, expires_at_s=now_s + quorum.valid_s)
        changes: Changes = [(_PROPOSE, [msgspec.structs.astuple(operation)])]
        cooling_until_s = _cooling_until_s(operation, policy)
        return Pending(operation, changes, (), quorum.approvals, True, cooling_until_s)

    def approve(self, statement: Statement, *, policy: Policy, now_s: int) -> Recorded | Refused:
        """Take an officer's approval. The same one again changes nothing."""
        assert statement.verb == APPROVE
        return self._state(statement, policy, now_s)

    def withdraw(self, statement: Statement, *, policy: Policy, now_s: int) -> Recorded | Refused:
        """Take an officer's withdrawal; the operation ends with it where `Recorded.operation` says so."""
        assert statement.verb == WITHDRAW
        return self._state(statement, policy, now_s)

    def execute(self, satisfied: Satisfied, now_s: int) -> Executed:
        """What makes a satisfied operation an executed one, in the page of what it does; it can be once."""
        operation = msgspec.structs.replace(satisfied.operation, state="executed")
        ending: Changes = [(_END, [("executed", now_s, operation.operation_id)])]
        return Executed(operation, satisfied.changes + ending, satisfied.approved)

    def pending(
        self, *, policy: Policy, now_s: int, after: Operation | None = None, limit: int = MOST_PENDING
    ) -> list[Standing]:
        """At most so many operations that wait, the one that expires first before the others; those behind
        `after`, which may have ended meanwhile: neither its time nor its id ever changes.
        """
        behind = (0, b"") if after is None else (after.expires_at_s, after.operation_id)
        rows = self._store.query(
            _READ + "state = 'pending' AND expires_at_s > ? AND (expires_at_s, operation_id) > (?, ?)"
            " ORDER BY expires_at_s, operation_id LIMIT ?",
            (now_s, *behind, limit),
        )
        standings: list[Standing] = []
        for row in rows:
            operation = Operation(*row)
            quorum = policy.file.quorum(operation.quorum)
            if quorum is None:  # of an earlier policy: nobody can approve it
                standings.append(Pending(operation))
            else:
                standings.append(self._standing(operation, quorum, policy, now_s))
        return standings

    def refuse(self, operation_id: bytes, now_s: int) -> Withdrawn | Refused:
        """End what waits, because somebody who is asked for no quorum's sake said no."""
        operation = self.find(operation_id)
        if operation is None:
            return Refused((Refusal("UnknownOperation", "there is no operation of that id"),))
        ended = approvals.ended_refusal(operation, now_s)
        return Refused((ended,)) if ended is not None else Withdrawn(*_ended(operation, "withdrawn", now_s))

    # ------------------------------------------------------------------------------------------ decided

    def _standing(self, operation: Operation, quorum: Quorum, policy: Policy, now_s: int) -> Standing:
        if operation.state == "executed":
            return Executed(operation)
        if operation.state == "withdrawn":
            return Withdrawn(operation)
        if operation.state == "expired":
            return Expired(operation)
        if operation.expires_at_s <= now_s:
            return Expired(*_ended(operation, "expired", now_s))
        changes: Changes = []
        if operation.quorum != quorum.name:  # the policy in force asks others than when it was proposed
            operation = msgspec.structs.replace(operation, quorum=quorum.name)
            changes = [(_ASK, [(quorum.name, operation.operation_id)])]
        tally = approvals.count(operation, self._stated(operation), quorum, policy.digest, now_s)
        cooling_until_s = _cooling_until_s(operation, policy)
        if tally.is_satisfied and now_s >= cooling_until_s:
            return Satisfied(operation, changes, tally.approved, tally.needed)
        return Pending(operation, changes, tally.approved, tally.needed, False, cooling_until_s)

    def _refuse_proposal(
        self, quorum: Quorum, proposal: Proposal, policy: Policy, now_s: int
    ) -> tuple[Refusal, ...]:
        refusals, initiator = [], proposal.initiator
        if initiator and policy.file.officer(initiator) is None:
            refusals.append(Refusal("UnknownOfficer", f"the initiator {initiator!r} is no officer"))
        eligible = sum(1 for name in quorum.officers if name != initiator)
        if eligible < quorum.approvals:
            detail = f"without {initiator!r}, {eligible} officers of {quorum.name!r} are left;"
            refusals.append(Refusal("QuorumUnreachable", f"{detail} {quorum.approvals} must approve"))
        pending = self._store.query(
            "SELECT count(*) FROM operations WHERE state = 'pending' AND expires_at_s > ? AND kind = ?",
            (now_s, proposal.kind),
        )[0][0]
        if pending >= MOST_PENDING:
            detail = f"{pending} operations of this kind wait already; approve, withdraw or let them expire"
            refusals.append(Refusal("TooManyPending", detail))
        return tuple(refusals)

    def _state(self, statement: Statement, policy: Policy, now_s: int) -> Recorded | Refused:
        operation = self.find(statement.operation_id)
        if operation is None:
            return Refused((Refusal("UnknownOperation", "there is no operation of that id"),))
        officer, quorum = policy.file.officer(statement.officer), policy.file.quorum(operation.quorum)
        refusals = []
        if officer is None:
            refusals.append(Refusal("UnknownOfficer", f"{statement.officer!r} is no officer of the policy"))
        if quorum is None:
            detail = f"the policy in force has no quorum {operation.quorum!r}; propose the operation anew"
            refusals.append(Refusal("UnknownQuorum", detail))
        if officer is None or quorum is None:
            return Refused(tuple(refusals))
        signed = approvals.message(statement.verb, operation.digest, policy.digest, statement.expires_at_s)
        statement_hash = hashlib.sha256(signed).digest()
        known_of = self._known(statement.officer, statement_hash)
        stated = self._stated(operation)
        if known_of == operation.operation_id:  # it was verified then; a passkey does not say it twice
            tally = approvals.count(operation, stated, quorum, policy.digest, now_s)
            return Recorded(operation, [], statement, statement_hash, tally, is_new=False)
        verified = self._verify(officer, statement, signed, policy)
        refusals += approvals.judge_statement(operation, statement, stated, quorum, now_s)
        if known_of is not None:
            detail = "this statement was already given for another operation"
            refusals.append(Refusal("ApprovalUsed", detail))
        if isinstance(verified, Refusal):
            refusals.append(verified)
        if refusals or isinstance(verified, Refusal):
            return Refused(tuple(refusals))
        row = (
            statement.officer,
            statement_hash,
            operation.operation_id,
            statement.verb,
            policy.digest,
            statement.expires_at_s,
            now_s,
        )
        changes: Changes = [(_STATE, [row]), *_counted(officer, verified)]
        stated.append(Stated(statement.officer, statement.verb, policy.digest, statement.expires_at_s))
        tally = approvals.count(operation, stated, quorum, policy.digest, now_s)
        if not tally.can_succeed:
            operation, ending = _ended(operation, "withdrawn", now_s)
            changes += ending
        return Recorded(operation, changes, statement, statement_hash, tally, is_new=True)

    def _verify(self, officer: Officer, statement: Statement, signed: bytes, policy: Policy) -> int | Refusal:
        credential = officer.credential
        return approvals.verify_statement(
            officer,
            statement,
            signed,
            relying_party=policy.file.customer_proof,
            last_sign_count=0 if credential is None else self._sign_count(credential.credential_id),
            verify_assertion=self._verify_assertion,
        )

    # ------------------------------------------------------------------------------------------ loaded

    def _stated(self, operation: Operation) -> list[Stated]:
        rows = self._store.query(
            "SELECT officer, verb, policy_hash, expires_at_s FROM operation_statements"
            " WHERE operation_id = ? ORDER BY stated_at_s, officer, verb",
            (operation.operation_id,),
        )
        return [Stated(*row) for row in rows]

    def _known(self, officer: str, statement_hash: bytes) -> bytes | None:
        rows = self._store.query(
            "SELECT operation_id FROM operation_statements WHERE officer = ? AND statement_hash = ?",
            (officer, statement_hash),
        )
        return rows[0][0] if rows else None

    def _sign_count(self, credential_id: str) -> int:
        rows = self._store.query(
            "SELECT sign_count FROM officer_sign_counts WHERE credential_id = ?", (credential_id,)
        )
        return rows[0][0] if rows else 0


def _cooling_until_s(operation: Operation, policy: Policy) -> int:
    """Counted from the proposal, by the policy in force; 0 where there is no cooling."""
    cooling_s = policy.file.cooling_s(operation.kind)
    return operation.proposed_at_s + cooling_s if cooling_s else 0


def _counted(officer: Officer, sign_count: int) -> Changes:
    credential = officer.credential
    return [] if credential is None else [(_COUNT, [(credential.credential_id, sign_count)])]


def _ended(operation: Operation, state: State, now_s: int) -> tuple[Operation, Changes]:
    ending: Changes = [(_END, [(state, now_s, operation.operation_id)])]
    return msgspec.structs.replace(operation, state=state), ending
