"""Which policy is in force: the first one that a home was started with, and then only what officers approve.

A change is an operation (officers/operations.py) of the kind `policy`, over `content_of(source)`, under the
quorum that the policy in force names in `changes`. What is in force, the journal's last row says: the policy
that decided it, or the one that it activated. No table has a say, so whoever can write the file or a table,
but is no quorum, cannot loosen it. The very first start believes the file that it is given.
"""

import hashlib

from wallet_node.errors import JournalBroken, MalformedPolicy, PolicyNotApproved, Refusal
from wallet_node.journal.entries import Entry, PolicyActivated, decode
from wallet_node.policy.policy import Policy
from wallet_node.store import Store

POLICY_CHANGE = "policy"

_LAST_ROW = "SELECT sequence, entry FROM journal ORDER BY sequence DESC LIMIT 1"
_FIRST_ROW = "SELECT sequence, entry FROM journal ORDER BY sequence LIMIT 1"
_ACTIVATIONS = "SELECT sequence, entry FROM activations JOIN journal USING (sequence) WHERE policy_hash = ?"


def content_of(source: bytes) -> bytes:
    """What `approvals.operation_digest` takes of a policy change."""
    return hashlib.sha256(source).digest()


def decide_policy_change(current: Policy, source: bytes) -> Policy | tuple[Refusal, ...]:
    """The new policy, to be put in force once `changes.policy` approves; or every reason why not."""
    refusals = []
    if current.file.changes.policy is None:
        detail = f"{current.name!r} names no quorum under changes.policy, so nobody can replace it"
        refusals.append(Refusal("PolicyChangeNotAllowed", detail))
    try:
        new = Policy(source)
    except MalformedPolicy as error:
        return (*refusals, Refusal(error.code, error.detail))
    if new.file.version <= current.file.version:
        detail = f"version {new.file.version} must be above {current.file.version}, the one in force"
        refusals.append(Refusal("PolicyVersionNotHigher", detail))
    if new.file.changes.policy is None:
        detail = "it names no quorum under changes.policy, so nobody could ever replace it"
        refusals.append(Refusal("PolicyWouldBeFinal", detail))
    return tuple(refusals) or new


def active_hash(store: Store) -> bytes | None:
    """The hash of the policy in force; None before the first start. Raises JournalBroken."""
    last = _read_row(store, _LAST_ROW)
    if last is None:  # nothing was decided yet: the text that the first start has kept
        kept: list[tuple[bytes]] = store.query("SELECT policy_hash FROM policies ORDER BY rowid LIMIT 1")
        return kept[0][0] if kept else None
    decision = last.decision
    return decision.activated if isinstance(decision, PolicyActivated) else last.policy_hash


def active_source(store: Store) -> bytes | None:
    """The text of the policy in force; None before the first start. Raises JournalBroken."""
    active = active_hash(store)
    if active is None:
        return None
    found: list[tuple[bytes]] = store.query("SELECT source FROM policies WHERE policy_hash = ?", (active,))
    if not found or content_of(found[0][0]) != active:
        raise JournalBroken(
            f"the text of the policy in force, 0x{active.hex()}, is not in the store: run `verify-journal`"
        )
    return found[0][0]


def in_force(store: Store, given: Policy) -> Policy:
    """At start-up: the policy that decides. It need not be the file's, `given`, where officers have approved
    another since; a file that was never in force is not believed, but for the very first one.

    Raises PolicyNotApproved, which says what to do, and JournalBroken.
    """
    source = active_source(store)
    if source is None or source == given.source:
        return given
    active = f"{_title(source)}, 0x{content_of(source).hex()}"
    if not _was_in_force(store, given.digest):
        raise PolicyNotApproved(
            f"the file is {given.name} {given.file.version}, 0x{given.digest.hex()}, which nobody approved;"
            f" in force is {active}. `python -m wallet_node.main policy --home HOME` prints it for the file."
            " To change it, post the new text to /v1/policy:change and have the officers approve"
        )
    try:
        return Policy(source)
    except MalformedPolicy as error:
        raise PolicyNotApproved(f"in force is {active}, which this release cannot read: {error}") from None


def _was_in_force(store: Store, policy_hash: bytes) -> bool:
    """Whether the journal began under this policy, or a row of it has activated it."""
    first = _read_row(store, _FIRST_ROW)
    if first is not None and first.policy_hash == policy_hash:
        return True
    row = _read_row(store, _ACTIVATIONS, (policy_hash,))
    return row is not None and row.decision == PolicyActivated(policy_hash)


def _read_row(store: Store, statement: str, parameters: tuple[bytes, ...] = ()) -> Entry | None:
    found = store.query(statement, parameters)
    return decode(found[0][1], found[0][0]) if found else None


def _title(source: bytes) -> str:
    try:
        file = Policy(source).file
    except MalformedPolicy:
        return "one of an earlier release"
    return f"{file.name} {file.version}"
