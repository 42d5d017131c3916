"""What needs officers: asked for by the signers, decided by officers' statements, journaled at each step."""

import msgspec

from wallet_node.customer_proof import (
    AssertionFields,
    CredentialFields,
    RelyingParty,
    parse_assertion,
    parse_credential,
    verify_assertion,
)
from wallet_node.errors import Refusal, RefusedByNode
from wallet_node.fields import Identifier, KeyName, Signature64, Time, identifier_bytes, signature_bytes
from wallet_node.intents.movements import Movements, describe, movement_fields
from wallet_node.journal.entries import (
    OperationApproved,
    OperationExecuted,
    OperationExpired,
    OperationHandedOver,
    OperationPending,
    OperationWithdrawn,
)
from wallet_node.journal.journal import Journal
from wallet_node.journal.pages import Page, Row
from wallet_node.journal.told import hash_description
from wallet_node.officers.approvals import APPROVE, WITHDRAW, Statement, operation_digest
from wallet_node.officers.operations import Operations
from wallet_node.officers.outcomes import (
    Executed,
    Expired,
    Outcome,
    Pending,
    Proposal,
    Recorded,
    Refused,
    Satisfied,
    Withdrawn,
)
from wallet_node.policy.file import Credential
from wallet_node.policy.policy import Policy
from wallet_node.store import Store

_MOVEMENTS_SHOWN = 50


class OfficerStatement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An officer's word on an operation: an Ed25519 signature, or a passkey's assertion."""

    operation_id: Identifier
    officer: KeyName
    expires_at_s: Time
    signature: Signature64 | None = None
    assertion: AssertionFields | None = None


class Waiting(msgspec.Struct, frozen=True):
    """Nothing is signed yet: officers have to approve first. Asking the same again tells how far it is."""

    operation_id: bytes
    digest: bytes
    approvals: int
    needed: int
    expires_at_s: int

    def fields(self) -> dict[str, str | int]:
        """As JSON."""
        return {
            "state": "pending",
            "operation_id": _identifier(self.operation_id),
            "digest": "0x" + self.digest.hex(),
            "approvals": self.approvals,
            "needed": self.needed,
            "expires_at_s": self.expires_at_s,
        }


class Done(msgspec.Struct, frozen=True):
    """The operation was executed before: what it did is done."""


class OfficersDesk:
    """Operations of one store, with their rows in its journal."""

    def __init__(self, store: Store, journal: Journal) -> None:
        self._operations = Operations(store, _verify_assertion)
        self._journal = journal

    def ask_to_sign(
        self,
        page: Page,
        policy: Policy,
        now_s: int,
        intent_id: bytes,
        *,
        kind: str,
        content: bytes,
        movements: Movements,
        quorum: str,
        more: dict[str, object] | None = None,
    ) -> Waiting | tuple[Refusal, ...]:
        """Whether officers approve of signing an id that has not been signed: no refusal, they do."""
        description = {**(more or {}), **description_of(movements)}
        asked = self.ask(page, policy, now_s, proposal(intent_id, kind, content, description, quorum))
        assert not isinstance(asked, Done), "what was executed has been signed, in the same commit"
        return asked

    def ask(
        self, page: Page, policy: Policy, now_s: int, asked: Proposal
    ) -> Waiting | Done | tuple[Refusal, ...]:
        """Where an operation stands. When nothing refuses it, the page that executes it is `page`."""
        standing = self._operations.propose(asked, policy=policy, now_s=now_s)
        if isinstance(standing, Refused):
            return standing.refusals
        operation = standing.operation
        page.changes += standing.changes
        match standing:
            case Executed():
                return Done()
            case Satisfied():
                executed = self._operations.execute(standing, now_s)
                page.changes += executed.changes[len(standing.changes) :]
                _note_handing_over(page, standing)
                row = OperationExecuted(operation.digest, executed.approved)
                page.notes.append(Row(operation.operation_id, row))
                return ()
            case Pending():
                if standing.is_new:
                    pending = OperationPending(
                        operation.kind,
                        operation.digest,
                        operation.quorum,
                        standing.needed,
                        operation.expires_at_s,
                        operation.initiator,
                        hash_description(operation.description),
                    )
                    page.notes.append(Row(operation.operation_id, pending))
                else:
                    _note_handing_over(page, standing)
                return Waiting(
                    operation.operation_id,
                    operation.digest,
                    len(standing.approved),
                    standing.needed,
                    operation.expires_at_s,
                )
            case Expired():
                if standing.changes:
                    page.notes.append(Row(operation.operation_id, OperationExpired(operation.digest)))
                return (Refusal("OperationExpired", "officers did not approve it in time"),)
            case Withdrawn():
                return (Refusal("OperationWithdrawn", "officers refused it"),)

    def approve(self, said: OfficerStatement, policy: Policy, clock_s: int) -> dict[str, object]:
        """Take an approval. Raises RefusedByNode with every reason."""
        return self._state(said, APPROVE, policy, clock_s)

    def withdraw(self, said: OfficerStatement, policy: Policy, clock_s: int) -> dict[str, object]:
        """Take a withdrawal. Raises RefusedByNode with every reason."""
        return self._state(said, WITHDRAW, policy, clock_s)

    def pending(self, policy: Policy, clock_s: int) -> dict[str, object]:
        """Everything that waits, with what an officer needs to see and to sign."""
        now_s = self._journal.now_s(clock_s)
        standings = self._operations.pending(policy=policy, now_s=now_s)
        return {
            "policy_hash": "0x" + policy.digest.hex(),
            "operations": [_operation_fields(standing) for standing in standings],
        }

    def _state(self, said: OfficerStatement, verb: int, policy: Policy, clock_s: int) -> dict[str, object]:
        statement = Statement(
            identifier_bytes(said.operation_id),
            said.officer,
            verb,
            said.expires_at_s,
            None if said.signature is None else signature_bytes(said.signature),
            said.assertion,
        )
        now_s = self._journal.now_s(clock_s)
        take = self._operations.approve if verb == APPROVE else self._operations.withdraw
        recorded = take(statement, policy=policy, now_s=now_s)
        if isinstance(recorded, Refused):
            raise RefusedByNode(recorded.refusals)
        if recorded.is_new:
            self._journal.write(_page_of(recorded, verb), now_s)
        operation, tally = recorded.operation, recorded.tally
        assert tally is not None, "a recorded statement has its tally"
        return {
            "operation_id": said.operation_id,
            "state": operation.state,
            "approvals": len(tally.approved),
            "needed": tally.needed,
        }


def proposal(
    operation_id: bytes, kind: str, content: bytes, description: dict[str, object], quorum: str
) -> Proposal:
    """What officers are asked for; `content` is what the digest commits to."""
    return Proposal(
        operation_id,
        kind,
        operation_digest(kind, operation_id, content),
        msgspec.json.encode(description).decode(),
        quorum,
    )


def description_of(movements: Movements) -> dict[str, object]:
    """What is moved, for people: sentences, and the fields behind them."""
    shown = movements[:_MOVEMENTS_SHOWN]
    return {
        "says": [describe(movement) for movement in shown],
        "movements": [movement_fields(movement) for movement in shown],
        "movements_in_all": len(movements),
    }


def _note_handing_over(page: Page, standing: Pending | Satisfied) -> None:
    """What changes about an operation that waits is who is asked."""
    if standing.changes:
        operation = standing.operation
        page.notes.append(
            Row(operation.operation_id, OperationHandedOver(operation.digest, operation.quorum))
        )


def _page_of(recorded: Recorded, verb: int) -> Page:
    page = Page(changes=list(recorded.changes))
    statement, operation = recorded.statement, recorded.operation
    assert statement is not None, "a recorded statement is there"
    is_over = operation.state != "pending"
    row = (
        OperationApproved(operation.digest, statement.officer, statement.expires_at_s, is_over)
        if verb == APPROVE
        else OperationWithdrawn(operation.digest, statement.officer, statement.expires_at_s, is_over)
    )
    page.notes.append(Row(operation.operation_id, row, recorded.statement_hash))
    return page


def _operation_fields(standing: Outcome) -> dict[str, object]:
    operation = standing.operation
    approved = standing.approved if isinstance(standing, Pending | Satisfied) else ()
    return {
        "operation_id": _identifier(operation.operation_id),
        "kind": operation.kind,
        "digest": "0x" + operation.digest.hex(),
        "description": msgspec.Raw(operation.description.encode()),
        "quorum": operation.quorum,
        "initiator": operation.initiator,
        "approved": approved,
        "is_satisfied": isinstance(standing, Satisfied),
        "proposed_at_s": operation.proposed_at_s,
        "expires_at_s": operation.expires_at_s,
    }


def _identifier(operation_id: bytes) -> str:
    text = operation_id.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _verify_assertion(
    assertion: AssertionFields,
    credential: Credential,
    challenge: bytes,
    relying_party: RelyingParty,
    last_sign_count: int,
) -> int | Refusal:
    parsed = parse_assertion(assertion)
    if isinstance(parsed, Refusal):
        return parsed
    fields = CredentialFields(credential.credential_id, credential.algorithm, credential.public_key)
    return verify_assertion(parsed, parse_credential(fields), challenge, relying_party, last_sign_count)
