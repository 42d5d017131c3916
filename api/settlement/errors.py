"""Refusals of the settlement room."""

from __future__ import annotations

from api.errors import FlorinError


class UnknownParticipant(FlorinError):
    """A number that names no participant."""

    def __init__(self, participant_id: int) -> None:
        super().__init__(
            "UnknownParticipant",
            422,
            f"There is no participant {participant_id}.",
            participant_id=participant_id,
        )


class ParticipantNotFinal(FlorinError):
    """A participant that the chain does not know yet: it waits for officers, or for its block to be final."""

    def __init__(self, participant_id: int) -> None:
        super().__init__(
            "ParticipantNotFinal",
            503,
            f"Participant {participant_id} is not final on chain yet: send the same request later.",
            participant_id=participant_id,
        )


class AccountOfAnotherParticipant(FlorinError):
    """An institution's account that another participant has already: the chain would refuse it."""

    def __init__(self, participant_id: int) -> None:
        super().__init__(
            "AccountOfAnotherParticipant",
            422,
            f"This address is the account of participant {participant_id}: each participant needs its own.",
            participant_id=participant_id,
        )


class AddressHasOwner(FlorinError):
    """An address that is a participant's, its customer's or the system's already: the chain would refuse it.

    `participant_id` is 0 for the system.
    """

    def __init__(self, address: str, participant_id: int) -> None:
        owner = f"participant {participant_id}" if participant_id else "the system"
        super().__init__(
            "AddressHasOwner",
            422,
            f"This address is an account of {owner} already: name another one.",
            address=address,
            participant_id=participant_id,
        )


class InstitutionHoldsMoney(FlorinError):
    """A participant's account cannot be replaced while it holds money: nobody could book it any more."""

    def __init__(self, balance_minor: int) -> None:
        super().__init__(
            "InstitutionHoldsMoney",
            422,
            "The participant's present account still holds money: it must be returned or paid out first.",
            balance_minor=balance_minor,
        )


class InstitutionRestricted(FlorinError):
    """A participant's account is not replaced while suspended, frozen or held: its money would come free."""

    def __init__(self) -> None:
        super().__init__(
            "InstitutionRestricted",
            422,
            "The participant's present account is suspended, or frozen or held under an order: "
            "it can be replaced once that has ended.",
        )


class TierNotSet(FlorinError):
    """A tier without limits: the chain gives it to no participant and no system account."""

    def __init__(self, tier: int) -> None:
        super().__init__(
            "TierNotSet",
            422,
            f"Tier {tier} has no limits yet: set them first (PUT /v1/tiers/{tier}).",
            tier=tier,
        )


class PerPaymentAboveHoldingLimit(FlorinError):
    """A tier whose limit for one payment is above what the account may hold."""

    def __init__(self, per_payment_limit_minor: int, holding_limit_minor: int) -> None:
        super().__init__(
            "PerPaymentAboveHoldingLimit",
            422,
            "The limit for one payment must not be above the holding limit.",
            per_payment_limit_minor=per_payment_limit_minor,
            holding_limit_minor=holding_limit_minor,
        )


class InsufficientReserves(FlorinError):
    """More than the participant's reserves leave, or than the bank's own."""

    def __init__(self, available_minor: int, amount_minor: int) -> None:
        super().__init__(
            "InsufficientReserves",
            422,
            "The reserves that are available are less than the amount.",
            available_minor=available_minor,
            amount_minor=amount_minor,
        )


class InsufficientInventory(FlorinError):
    """More digital currency than the bank has available itself."""

    def __init__(self, available_minor: int, amount_minor: int) -> None:
        super().__init__(
            "InsufficientInventory",
            422,
            "The bank's own digital currency that is available is less than the amount.",
            available_minor=available_minor,
            amount_minor=amount_minor,
        )


class MintAllowanceExceeded(FlorinError):
    """More than the central bank lets this bank mint, less what it is minting already."""

    def __init__(self, allowed_minor: int, amount_minor: int) -> None:
        super().__init__(
            "MintAllowanceExceeded",
            422,
            "The final minting allowance is less than the amount: GET /v1/issuances shows it.",
            allowed_minor=allowed_minor,
            amount_minor=amount_minor,
        )


class BlockNotFinal(FlorinError):
    """A block that is not final here yet, so nothing can be said about it."""

    def __init__(self, block_number: int, final_number: int) -> None:
        super().__init__(
            "BlockNotFinal",
            409,
            f"Block {block_number} is not final here yet; block {final_number} is.",
            block_number=block_number,
            final_number=final_number,
        )
