"""Which policy is in force: the first one that a home was started with, and then only what officers approve.

A change is an operation (operations.py) of the kind `policy`, over `content_of(source)`, under the quorum
that the policy in force names in `changes`. Its hash is durable: at start-up a file that says something else
is refused, so whoever can write the file but is no quorum cannot loosen it.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

from wallet_node.errors import MalformedPolicy, PolicyNotApproved, Refusal
from wallet_node.policy.policy import Policy
from wallet_node.store import Store

POLICY_CHANGE = "policy"
Changes = list[tuple[str, Sequence[tuple[Any, ...]]]]

_KEEP = "INSERT INTO policies VALUES (?, ?) ON CONFLICT DO NOTHING"
_ACTIVATE = (
    "INSERT INTO active_policy VALUES (1, ?, ?) ON CONFLICT (only_one)"
    " DO UPDATE SET policy_hash = excluded.policy_hash, active_since_s = excluded.active_since_s"
)


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


def activation(policy: Policy, now_s: int) -> Changes:
    """What puts a policy in force, in the page of its approved operation."""
    return [(_KEEP, [(policy.digest, policy.source)]), (_ACTIVATE, [(policy.digest, now_s)])]


def active_hash(store: Store) -> bytes | None:
    """The hash of the policy in force; None before the first start."""
    rows = store.query("SELECT policy_hash FROM active_policy")
    return rows[0][0] if rows else None


def active_source(store: Store) -> bytes | None:
    """The text of the policy in force, for who has to write the file anew after a change."""
    rows = store.query("SELECT source FROM active_policy JOIN policies USING (policy_hash)")
    return rows[0][0] if rows else None


def require_active(store: Store, policy: Policy, now_s: int) -> None:
    """At start-up: put the very first policy in force, and take no other one than that in force ever after.

    Raises PolicyNotApproved, which says what to do.
    """
    active = active_hash(store)
    if active is None:
        with store.transaction() as connection:
            for statement, rows in activation(policy, now_s):
                connection.executemany(statement, rows)
    elif active != policy.digest:
        source = active_source(store)
        known = "" if source is None else f" ({_title(source)})"
        raise PolicyNotApproved(
            f"the file is {policy.name} {policy.file.version}, 0x{policy.digest.hex()}, but the policy in"
            f" force is 0x{active.hex()}{known}. Start with that one, whose text is in the store's table"
            " `policies`; to change it, post the new text to /v1/policy:change and have the officers approve"
        )


def _title(source: bytes) -> str:
    try:
        file = Policy(source).file
    except MalformedPolicy:
        return "of an earlier release"
    return f"{file.name} {file.version}"
