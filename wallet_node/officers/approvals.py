"""The rules of approvals: what an officer signs, which statements count, when an operation may be executed.
Pure; operations.py keeps what these rules decide on.

An officer signs one statement: approve or withdraw, this digest, under this policy, until then. Who proposes
an operation signs a third one, over the digest that it will have: so nobody is made an initiator by somebody
else. Once it is proposed, that says nothing more.

Statements can be sent again by whoever saw them, so order is not in when they arrive but in what they say: of
one officer's statements on one operation the one that expires last stands, and of two that expire together
the withdrawal. To approve again after a withdrawal takes a statement that expires later.

- Approvals of distinct officers of the quorum count, given under the policy in force, before they expire.
  The initiator's never does.
- The initiator's withdrawal ends an operation at once. Another officer's takes back an approval or refuses
  one; it ends the operation when those who are left cannot be enough. So one officer alone can block nothing
  that the others want, such as a policy without that officer.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from wallet_node.customer_proof import RelyingParty
from wallet_node.errors import Refusal
from wallet_node.policy.file import Credential, Officer, Quorum
from wallet_node.policy.officers import officer_key

APPROVE, WITHDRAW, PROPOSE = 1, 2, 3
_STATEMENT = b"florin-operation/1\0"
_OPERATION = b"florin-operation-digest/1\0"

VerifyAssertion = Callable[[Any, Credential, bytes, RelyingParty, int], "int | Refusal"]
"""(assertion, credential, challenge, relying party, last sign count) -> the new sign count, or why not."""
State = Literal["pending", "executed", "withdrawn", "expired"]


class Operation(msgspec.Struct, frozen=True):
    """What waits for a quorum. `description` is JSON for people; `initiator` an officer's name, or empty."""

    operation_id: bytes
    kind: str
    digest: bytes
    description: str
    quorum: str
    initiator: str
    proposed_at_s: int
    expires_at_s: int
    state: State = "pending"


class Statement(msgspec.Struct, frozen=True):
    """What an officer sends: an Ed25519 signature over `message`, or an assertion that was asked its hash."""

    operation_id: bytes
    officer: str
    verb: int
    expires_at_s: int
    signature: bytes | None = None
    assertion: Any = None


class Stated(msgspec.Struct, frozen=True):
    """A statement that was verified and kept."""

    officer: str
    verb: int
    policy_hash: bytes
    expires_at_s: int


class Tally(msgspec.Struct, frozen=True):
    """Whose approvals count now, who has withdrawn, how many are needed."""

    approved: tuple[str, ...]
    withdrawn: tuple[str, ...]
    needed: int
    can_succeed: bool

    @property
    def is_satisfied(self) -> bool:
        return len(self.approved) >= self.needed


def operation_digest(kind: str, operation_id: bytes, content: bytes) -> bytes:
    """What officers sign of an operation: SHA-256 of its kind, its id and what is to be done.

    The id is in it, so that an approval of one operation is none of a second one with the same content.
    """
    name = kind.encode()
    parts = (_OPERATION, len(name).to_bytes(1), name, operation_id, content)
    return hashlib.sha256(b"".join(parts)).digest()


def message(verb: int, digest: bytes, policy_hash: bytes, expires_at_s: int) -> bytes:
    """The bytes under an officer's Ed25519 signature; of a passkey the challenge is their SHA-256."""
    assert len(digest) == len(policy_hash) == 32
    return _STATEMENT + verb.to_bytes(1) + digest + policy_hash + expires_at_s.to_bytes(8)


def count(
    operation: Operation, stated: Iterable[Stated], quorum: Quorum, policy_hash: bytes, now_s: int
) -> Tally:
    """Who has approved, as of now and under the policy in force."""
    last: dict[str, Stated] = {}
    taken_back: dict[str, int] = {}
    stated = list(stated)
    for statement in stated:
        before = last.get(statement.officer)
        if before is None or _order(statement) > _order(before):
            last[statement.officer] = statement
        if statement.verb == WITHDRAW:
            until_s = taken_back.get(statement.officer, 0)
            taken_back[statement.officer] = max(until_s, statement.expires_at_s)
    # not the last one alone: that may be of an earlier policy, under which it was to last longer
    standing = {
        each.officer
        for each in stated
        if _counts(each, policy_hash, now_s) and each.expires_at_s > taken_back.get(each.officer, 0)
    }
    eligible = [name for name in quorum.officers if name != operation.initiator]
    approved = tuple(name for name in eligible if name in standing)
    withdrawn = tuple(name for name, statement in last.items() if statement.verb == WITHDRAW)
    left = sum(1 for name in eligible if name not in withdrawn)
    can_succeed = left >= quorum.approvals and operation.initiator not in withdrawn
    return Tally(approved, withdrawn, quorum.approvals, can_succeed)


def judge_statement(
    operation: Operation, statement: Statement, stated: Iterable[Stated], quorum: Quorum, now_s: int
) -> tuple[Refusal, ...]:
    """Every reason not to take a statement, its signature aside."""
    refusals = []
    ended = ended_refusal(operation, now_s)
    if ended is not None:
        refusals.append(ended)
    name, is_initiator = statement.officer, statement.officer == operation.initiator
    if name not in quorum.officers and not (is_initiator and statement.verb == WITHDRAW):
        detail = f"{name!r} is not of the quorum {quorum.name!r}: {', '.join(quorum.officers)}"
        refusals.append(Refusal("NotOfTheQuorum", detail))
    if statement.verb == APPROVE and is_initiator:
        refusals.append(
            Refusal("InitiatorCannotApprove", f"{name!r} proposed the operation; others approve it")
        )
    refusals += judge_expiry(statement, now_s)
    if statement.verb == APPROVE and any(
        other.officer == name and other.verb == WITHDRAW and other.expires_at_s >= statement.expires_at_s
        for other in stated
    ):
        detail = f"{name!r} withdrew; to approve again, sign an approval that expires later"
        refusals.append(Refusal("ApprovalWithdrawn", detail))
    return tuple(refusals)


def judge_expiry(statement: Statement, now_s: int) -> tuple[Refusal, ...]:
    """Why a statement says nothing any more."""
    if statement.expires_at_s > now_s:
        return ()
    detail = f"the statement expired at {statement.expires_at_s}; it is {now_s}"
    return (Refusal("ApprovalExpired", detail),)


def verify_statement(
    officer: Officer,
    statement: Statement,
    signed: bytes,
    *,
    relying_party: RelyingParty | None,
    last_sign_count: int,
    verify_assertion: VerifyAssertion,
) -> int | Refusal:
    """The officer's new sign count (0 without a passkey) when `signed` is what the officer signed."""
    if officer.credential is not None:
        assert relying_party is not None, "a sound policy with passkeys has one"
        if statement.assertion is None:
            return Refusal("BadApproval", f"{officer.name!r} approves with a passkey: send its assertion")
        challenge = hashlib.sha256(signed).digest()
        return verify_assertion(
            statement.assertion, officer.credential, challenge, relying_party, last_sign_count
        )
    if statement.signature is None:
        return Refusal("BadApproval", f"{officer.name!r} approves with an Ed25519 key: send its signature")
    try:
        Ed25519PublicKey.from_public_bytes(officer_key(officer)).verify(statement.signature, signed)
    except InvalidSignature:
        detail = (
            f"it is not signed by {officer.name!r} over this operation, the policy in force and that expiry"
        )
        return Refusal("BadApproval", detail)
    return 0


def ended_refusal(operation: Operation, now_s: int) -> Refusal | None:
    """Why nothing can be said about an operation any more; None while it is pending."""
    match operation.state:
        case "executed":
            return Refusal("OperationExecuted", "the operation was executed; what it did is done")
        case "withdrawn":
            return Refusal(
                "OperationWithdrawn", "the operation was withdrawn; propose it anew, with a new id"
            )
        case "expired":
            return _expired(operation)
    return _expired(operation) if operation.expires_at_s <= now_s else None


def _expired(operation: Operation) -> Refusal:
    detail = f"the operation expired at {operation.expires_at_s}; propose it anew, with a new id"
    return Refusal("OperationExpired", detail)


def _order(statement: Stated) -> tuple[int, int]:
    return statement.expires_at_s, statement.verb


def _counts(statement: Stated, policy_hash: bytes, now_s: int) -> bool:
    return (
        statement.verb == APPROVE and statement.policy_hash == policy_hash and statement.expires_at_s > now_s
    )
