"""Refusals of the payments room that are no decision about a payment, and are therefore not recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from api.errors import FlorinError

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping, Sequence


class UnknownPayee(FlorinError):
    """A reference that names no payee here."""

    def __init__(self) -> None:
        super().__init__("UnknownPayee", 422, "This bank knows no such payee: check the reference.")


class WalletWithoutAddress(FlorinError):
    """A wallet whose key the signer has not derived yet: nobody can have approved anything for it."""

    def __init__(self, reference: str) -> None:
        super().__init__(
            "WalletWithoutAddress",
            409,
            f"The wallet {reference!r} has no address yet: wait until it is ready.",
            wallet=reference,
        )


class PaymentRefused(FlorinError):
    """A payment that rules refuse: `code` is the first reason's, `reasons` has them all."""

    def __init__(self, payment_id: uuid.UUID, reasons: Sequence[Mapping[str, Any]]) -> None:
        first = reasons[0]
        super().__init__(
            first["code"],
            422,
            first["detail"],
            payment_id=str(payment_id),
            state="refused",
            reasons=[dict(reason) for reason in reasons],
        )
