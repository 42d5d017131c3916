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


class RequestClosed(FlorinError):
    """A payment request that was paid, declined or cancelled, or has expired."""

    def __init__(self, state: str) -> None:
        super().__init__(
            "RequestClosed", 409, f"This request is {state}: ask the payee for a new one.", state=state
        )


class RequestAmountDiffers(FlorinError):
    """A payment of a request over another amount than it asks for."""

    def __init__(self, amount_minor: int) -> None:
        super().__init__(
            "RequestAmountDiffers",
            422,
            "The request asks for another amount: pay exactly that, or pay the payee without the request.",
            amount_minor=amount_minor,
        )


class PayerElsewhere(FlorinError):
    """A request of somebody who banks elsewhere: this bank cannot show it to them."""

    def __init__(self) -> None:
        super().__init__(
            "PayerElsewhere", 422, "They are with another bank: send them the request's link or code instead."
        )


class OriginalNotFinal(FlorinError):
    """A refund of a payment that is not final: nothing was received yet."""

    def __init__(self) -> None:
        super().__init__(
            "OriginalNotFinal", 409, "The payment is not final: it can be refunded once it has been received."
        )


class RefundAboveOriginal(FlorinError):
    """A refund that, with those before it, would be more than was paid."""

    def __init__(self, amount_minor: int, refundable_minor: int) -> None:
        super().__init__(
            "RefundAboveOriginal",
            422,
            "The refund is more than what is left of the payment: refund at most refundable_minor.",
            amount_minor=amount_minor,
            refundable_minor=refundable_minor,
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
