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


class ApprovalMismatch(FlorinError):
    """What is asked for is not what was prepared under this id."""

    def __init__(self) -> None:
        super().__init__(
            "ApprovalMismatch",
            409,
            "This is not what was prepared for approval: prepare it again and look at it anew.",
        )


class ApprovalExpired(FlorinError):
    """What was prepared can not be approved any more."""

    def __init__(self) -> None:
        super().__init__("ApprovalExpired", 409, "That took too long: prepare it again.")


class ApprovalUsed(FlorinError):
    """What was prepared was approved before; what became of it stands under its id."""

    def __init__(self, approval_id: uuid.UUID) -> None:
        super().__init__(
            "ApprovalUsed",
            409,
            "This was decided already: look it up, or prepare a new one.",
            id=str(approval_id),
        )


class ApprovalRequired(FlorinError):
    """What came with the request is not what it requires; `ways` are what would do."""

    def __init__(
        self, requirement: str, ways: Sequence[str], reasons: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        first = reasons[0] if reasons else None
        super().__init__(
            first["code"] if first else "ApprovalRequired",
            422,
            first["detail"] if first else "This must be approved: do as `requirement` says.",
            requirement=requirement,
            ways=list(ways),
            reasons=[dict(reason) for reason in reasons],
        )


class ScheduleRefused(FlorinError):
    """Days that a standing order cannot have."""

    def __init__(self, sentence: str) -> None:
        super().__init__("ScheduleRefused", 422, sentence)


class OrderEnded(FlorinError):
    """A standing order that has ended stays so."""

    def __init__(self) -> None:
        super().__init__("OrderEnded", 409, "This standing order has ended: give a new one.")


class NotTheNextRun(FlorinError):
    """Only the run that comes next can be skipped."""

    def __init__(self, next_on: str) -> None:
        sentence = f"Only the next run can be skipped, which is that of {next_on}."
        super().__init__("NotTheNextRun", 409, sentence, next_on=next_on)


class DeploymentUnknown(FlorinError):
    """The manifest of the currency's contract cannot be read: nothing can be approved for it."""

    def __init__(self) -> None:
        super().__init__(
            "DeploymentUnknown", 503, "This bank does not know its currency's contract yet: try again later."
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
