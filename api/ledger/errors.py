"""What the books refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.database import TransactionConflict
from api.errors import FlorinError

if TYPE_CHECKING:
    from collections.abc import Collection


class InsufficientAvailable(FlorinError):
    """A hold larger than what the account has left: posted less held."""

    def __init__(self, account_id: int, available_minor: int, requested_minor: int) -> None:
        super().__init__(
            "InsufficientAvailable",
            422,
            f"The account has {available_minor} minor units available, and {requested_minor} were asked for.",
            available_minor=available_minor,
            requested_minor=requested_minor,
        )
        self.account_id = account_id
        self.available_minor = available_minor
        self.requested_minor = requested_minor


class BalanceWouldBeNegative(FlorinError):
    """An entry that would take more from an account than is posted there."""

    def __init__(self, account_id: int, posted_minor: int, change_minor: int) -> None:
        super().__init__(
            "BalanceWouldBeNegative",
            422,
            f"The account holds {posted_minor} minor units, and the entry takes {-change_minor}.",
            posted_minor=posted_minor,
            change_minor=change_minor,
        )
        self.account_id = account_id
        self.posted_minor = posted_minor
        self.change_minor = change_minor


class BalanceTooLarge(FlorinError):
    """An entry that would take an account beyond what a balance can hold."""

    def __init__(self, account_id: int, posted_minor: int, change_minor: int) -> None:
        super().__init__(
            "BalanceTooLarge",
            422,
            "With this amount the account would hold more than the books can count: book a smaller one.",
            posted_minor=posted_minor,
            change_minor=change_minor,
        )
        self.account_id = account_id


class UnbalancedEntry(FlorinError):
    """Legs that differ, that mix own and memo accounts, or that use an account of another currency."""

    def __init__(self, source: str, why: str) -> None:
        super().__init__(
            "UnbalancedEntry", 500, f"The entry {source!r} does not balance: {why}.", source=source
        )


class DuplicateSource(FlorinError):
    """What this entry stands for was booked before: the same cause never posts twice."""

    def __init__(self, source: str) -> None:
        super().__init__("DuplicateSource", 409, f"An entry for {source!r} exists already.", source=source)
        self.source = source


class UnknownLedgerAccount(FlorinError):
    """Accounts that the ledger does not hold."""

    def __init__(self, account_ids: Collection[int]) -> None:
        listed = sorted(account_ids)
        super().__init__(
            "UnknownLedgerAccount", 404, f"There are no ledger accounts {listed}.", account_ids=listed
        )
        self.account_ids = listed


class HoldsMoved(TransactionConflict):
    """A hold of a business appeared on another account between being read and being locked."""
