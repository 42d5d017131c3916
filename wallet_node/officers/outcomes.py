"""What becomes of an operation at each step, with all that the journal needs to say it."""

from collections.abc import Sequence
from typing import Any

import msgspec

from wallet_node.errors import Refusal
from wallet_node.officers.approvals import Operation, Statement, Tally

Changes = list[tuple[str, Sequence[tuple[Any, ...]]]]


class Proposal(msgspec.Struct, frozen=True):
    """What is to be done once `quorum` approves, which is the one that the policy in force asks for now.

    `digest` is `approvals.operation_digest`'s; `description` JSON for people: what it moves. `initiator` is
    the officer who asks, or empty; that this officer asks is the caller's to know (`Operations.initiate`).
    """

    operation_id: bytes
    kind: str
    digest: bytes
    description: str
    quorum: str
    initiator: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """Of one operation. `changes` go into the page of the journal."""

    operation: Operation
    changes: Changes = []


class Pending(Outcome, frozen=True):
    """It waits; `is_new` when it was proposed just now, and is to be journaled. Before `cooling_until_s` (0:
    no such time) it is not executed, whoever has approved.
    """

    approved: tuple[str, ...] = ()
    needed: int = 0
    is_new: bool = False
    cooling_until_s: int = 0


class Initiated(msgspec.Struct, frozen=True):
    """An officer did sign the proposal; `changes` go with it."""

    officer: str
    statement_hash: bytes
    changes: Changes = []


class Satisfied(Outcome, frozen=True):
    """Its quorum has approved: do it, with the changes of `execute` in the same page."""

    approved: tuple[str, ...] = ()
    needed: int = 0


class Expired(Outcome, frozen=True):
    """Too late. To be journaled when there are changes."""


class Withdrawn(Outcome, frozen=True):
    """Taken back, or no longer able to find its quorum. To be journaled when there are changes."""

    by: tuple[str, ...] = ()


class Executed(Outcome, frozen=True):
    """Done: now, when there are changes, or before."""

    approved: tuple[str, ...] = ()


class Recorded(Outcome, frozen=True):
    """An officer's statement is taken; `is_new` unless it was taken before. The operation is as it is now."""

    statement: Statement | None = None
    statement_hash: bytes = b""
    tally: Tally | None = None
    is_new: bool = False


class Refused(msgspec.Struct, frozen=True):
    """Nothing changed, and why."""

    refusals: tuple[Refusal, ...]


Standing = Pending | Satisfied | Expired | Withdrawn | Executed
