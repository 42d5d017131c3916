"""What one request adds to the journal, and the outcome that requests share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import msgspec

from wallet_node.errors import JournalUnavailable
from wallet_node.journal.entries import AnyDecision, PolicyActivated


class Row(msgspec.Struct, frozen=True, gc=False):
    """One decision about to be journaled; `proof_hash` is SHA-256 of the proof that allowed it, if any."""

    intent_id: bytes
    decision: AnyDecision
    proof_hash: bytes = b""


@dataclass(slots=True)
class Page:
    """What one request adds to the journal: gathered while deciding, then written at once."""

    first_attempts: list[Row] = field(default_factory=list)
    """Signed: ids that get their nonce now."""
    later_attempts: list[Row] = field(default_factory=list)
    """Signed: ids that have their nonce."""
    repairs: list[Row] = field(default_factory=list)
    """NonceRepaired, under the id of the transaction that is stuck."""
    refused: list[Row] = field(default_factory=list)
    """IdRefused: ids seen for the first time, which are never signed."""
    refused_attempts: list[Row] = field(default_factory=list)
    """AttemptRefused: of ids that have their nonce; the same codes again add no row."""
    notes: list[Row] = field(default_factory=list)
    """Every other kind; the id is the operation's, the mandate's or the change's."""
    changes: list[tuple[str, Sequence[tuple[Any, ...]]]] = field(default_factory=list)
    """What other rooms write beside the rows, in the same transaction: a statement and its parameters."""

    @property
    def rows(self) -> Iterable[Row]:
        """All of them, in the order in which they are written."""
        return chain(
            self.first_attempts,
            self.later_attempts,
            self.repairs,
            self.refused,
            self.refused_attempts,
            self.notes,
        )

    @property
    def is_empty(self) -> bool:
        return not (any(True for _ in self.rows) or self.changes)

    def activate(self, operation_id: bytes, policy_hash: bytes, source: bytes) -> None:
        """The pages after this one are decided by another policy; `policy_hash` is SHA-256 of `source`."""
        self.notes.append(Row(operation_id, PolicyActivated(policy_hash)))
        self.changes.append(
            ("INSERT INTO policies VALUES (?, ?) ON CONFLICT DO NOTHING", [(policy_hash, source)])
        )


@dataclass(slots=True)
class Commit:
    """The outcome that all pages share which one commit makes durable."""

    pages: int = 0
    is_over: bool = False
    failure: JournalUnavailable | None = None

    def require(self) -> None:
        """Nothing, when the pages are durable. Raises JournalUnavailable."""
        assert self.is_over, "nobody has committed yet"
        if self.failure is not None:
            raise JournalUnavailable(self.failure.detail)
