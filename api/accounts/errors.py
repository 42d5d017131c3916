"""Refusals of the accounts room."""

from __future__ import annotations

from api.errors import FlorinError


class UnknownAccount(FlorinError):
    """A reference that names no deposit account."""

    def __init__(self, reference: str) -> None:
        super().__init__(
            "UnknownAccount",
            422,
            f"There is no account with the reference {reference!r}.",
            reference=reference,
        )
