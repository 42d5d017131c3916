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
from wallet_node.errors import InitiatorRequired, NotProposed, Refusal, RefusedByNode
from wallet_node.fields import Identifier, KeyName, Signature64, Time, identifier_bytes, signature_bytes
from wallet_node.intents.movements import Movements, describe, movement_fields
from wallet_node.intents.requests import Initiator, OperationsPage
from wallet_node.journal.entries import (
    OperationApproved,
    OperationExecuted,
    OperationExpired,
    OperationHandedOver,
    OperationPending,
    OperationRefused,
    OperationWithdrawn,
)
from wallet_node.journal.journal import Journal
from wallet_node.journal.pages import Page, Row
from wallet_node.journal.told import hash_description
from wallet_node.officers.approvals import (
    APPROVE,
    PROPOSE,
    WITHDRAW,
    Operation,
    Statement,
    operation_digest,
)
from wallet_node.officers.operations import Operations
from wallet_node.officers.outcomes import (
    Executed,
    Expired,
    Initiated,
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


class Proposer(msgspec.Struct, frozen=True):
    """Who proposes: the officer of the request, if one signed it; `must_name` where there has to be one."""

    initiator: Initiator | None = None
    must_name: bool = False


SOFTWARE = Proposer()
"""Nobody's name is asked for."""


class Waiting(msgspec.Struct, frozen=True):
    """Nothing is signed yet: officers have to approve first. Asking the same again tells how far it is."""

    operation_id: bytes
    digest: bytes
    approvals: int
    needed: int
    expires_at_s: int
    cooling_until_s: int = 0

    def fields(self) -> dict[str, str | int]:
        """As JSON."""
        cooling = {"cooling_until_s": self.cooling_until_s} if self.cooling_until_s else {}
        return {
            "state": "pending",
            "operation_id": _identifier(self.operation_id),
            "digest": "0x" + self.digest.hex(),
            "approvals": self.approvals,
            "needed": self.needed,
            "expires_at_s": self.expires_at_s,
            **cooling,
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
        proposer: Proposer = SOFTWARE,
        more: dict[str, object] | None = None,
    ) -> Waiting | tuple[Refusal, ...]:
        """Whether officers approve of signing an id that has not been signed: no refusal, they do.

        Raises NotProposed.
        """
        description = {**(more or {}), **description_of(movements)}
        proposed = proposal(intent_id, kind, content, description, quorum)
        asked = self.ask(page, policy, now_s, proposed, proposer)
        assert not isinstance(asked, Done), "what was executed has been signed, in the same commit"
        return asked

    def ask(
        self, page: Page, policy: Policy, now_s: int, asked: Proposal, proposer: Proposer = SOFTWARE
    ) -> Waiting | Done | tuple[Refusal, ...]:
        """Where an operation stands. When nothing refuses it, the page that executes it is `page`.

        Raises NotProposed when it is new, and it is not shown who proposes it; then nothing has changed.
        """
        initiated = self._initiated(policy, now_s, asked, proposer)
        named = msgspec.structs.replace(asked, initiator=initiated.officer)
        standing = self._operations.propose(named, policy=policy, now_s=now_s)
        if isinstance(standing, Refused):
            if initiated.officer:
                raise NotProposed(standing.refusals)  # somebody else may still propose it
            return standing.refusals
        operation = standing.operation
        page.changes += [*standing.changes, *initiated.changes]
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
                    page.notes.append(Row(operation.operation_id, pending, initiated.statement_hash))
                else:
                    _note_handing_over(page, standing)
                return Waiting(
                    operation.operation_id,
                    operation.digest,
                    len(standing.approved),
                    standing.needed,
                    operation.expires_at_s,
                    standing.cooling_until_s,
                )
            case Expired():
                if standing.changes:
                    page.notes.append(Row(operation.operation_id, OperationExpired(operation.digest)))
                return (Refusal("OperationExpired", "officers did not approve it in time"),)
            case Withdrawn():
                return (Refusal("OperationWithdrawn", "it was refused; propose it anew, with a new id"),)

    def _initiated(self, policy: Policy, now_s: int, asked: Proposal, proposer: Proposer) -> Initiated:
        said, known = proposer.initiator, self._operations.find(asked.operation_id)
        if known is not None:
            is_other = said is not None and said.officer != known.initiator
            if is_other and known.digest == asked.digest:
                by = repr(known.initiator) if known.initiator else "no officer"
                detail = f"{by} proposed this operation first; propose it anew, with a new id"
                raise NotProposed((Refusal("InitiatorDiffers", detail),))
            return Initiated("", b"")
        if said is None:
            if proposer.must_name:
                raise NotProposed((_initiator_required(asked.digest, policy),))
            return Initiated("", b"")
        statement = Statement(
            asked.operation_id,
            said.officer,
            PROPOSE,
            said.expires_at_s,
            None if said.signature is None else signature_bytes(said.signature),
            said.assertion,
        )
        initiated = self._operations.initiate(statement, asked.digest, policy=policy, now_s=now_s)
        if isinstance(initiated, Refused):
            raise NotProposed(initiated.refusals)
        return initiated

    def approve(self, said: OfficerStatement, policy: Policy, clock_s: int) -> dict[str, object]:
        """Take an approval. Raises RefusedByNode with every reason."""
        return self._state(said, APPROVE, policy, clock_s)

    def withdraw(self, said: OfficerStatement, policy: Policy, clock_s: int) -> dict[str, object]:
        """Take a withdrawal. Raises RefusedByNode with every reason."""
        return self._state(said, WITHDRAW, policy, clock_s)

    def refuse(self, page: Page, operation_id: bytes, wallet: bytes, proof_hash: bytes, now_s: int) -> None:
        """A wallet's customer refuses what officers were asked for about it. Raises RefusedByNode."""
        ended = self._operations.refuse(operation_id, now_s)
        if isinstance(ended, Refused):
            raise RefusedByNode(ended.refusals)
        page.changes += ended.changes
        page.notes.append(Row(operation_id, OperationRefused(ended.operation.digest, wallet), proof_hash))

    def find(self, operation_id: bytes) -> Operation | None:
        """What was proposed under this id."""
        return self._operations.find(operation_id)

    def pending(self, page: OperationsPage, policy: Policy, clock_s: int) -> dict[str, object]:
        """A page of what waits, with what an officer needs to see and to sign; `next` where there is more.

        Raises RefusedByNode when the page begins behind what never was.
        """
        now_s = self._journal.now_s(clock_s)
        after = None if page.after is None else self._operations.find(identifier_bytes(page.after))
        if page.after is not None and after is None:
            detail = "there is no operation of that id; begin without `after`"
            raise RefusedByNode((Refusal("UnknownOperation", detail),))
        found = self._operations.pending(policy=policy, now_s=now_s, after=after, limit=page.limit + 1)
        shown = found[: page.limit]
        last = shown[-1].operation if len(found) > page.limit else None
        return {
            "policy_hash": "0x" + policy.digest.hex(),
            "operations": [_operation_fields(standing) for standing in shown],
            **({} if last is None else {"next": _identifier(last.operation_id)}),
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


def _initiator_required(digest: bytes, policy: Policy) -> InitiatorRequired:
    return InitiatorRequired(
        "InitiatorRequired",
        f"say who proposes it: `initiator` is an officer's statement PROPOSE over the digest 0x{digest.hex()}"
        " and the policy in force; others approve it then",
        "0x" + digest.hex(),
        "0x" + policy.digest.hex(),
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
    cooling_until_s = standing.cooling_until_s if isinstance(standing, Pending) else 0
    approved = standing.approved if isinstance(standing, Pending | Satisfied) else ()
    return {
        "operation_id": _identifier(operation.operation_id),
        "kind": operation.kind,
        "digest": "0x" + operation.digest.hex(),
        "description": msgspec.Raw(operation.description.encode()),
        "quorum": operation.quorum,
        "initiator": operation.initiator,
        "approved": approved,
        "needed": standing.needed if isinstance(standing, Pending | Satisfied) else 0,
        "is_satisfied": isinstance(standing, Satisfied),
        "proposed_at_s": operation.proposed_at_s,
        "expires_at_s": operation.expires_at_s,
        **({"cooling_until_s": cooling_until_s} if cooling_until_s else {}),
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
