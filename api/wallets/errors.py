"""Refusals of the wallets room."""

from __future__ import annotations

from api.errors import FlorinError


class UnknownWallet(FlorinError):
    """A reference or id that names no wallet of this bank."""

    def __init__(self, name: str) -> None:
        super().__init__("UnknownWallet", 404, f"There is no wallet {name!r} at this bank.", wallet=name)


class UnknownTier(FlorinError):
    """A tier that the central bank has not set."""

    def __init__(self, tier: int) -> None:
        super().__init__("UnknownTier", 422, f"The central bank has set no tier {tier}.", tier=tier)


class TierNotGranted(FlorinError):
    """A tier that this bank may not give: its mask of tiers lacks it."""

    def __init__(self, tier: int) -> None:
        sentence = f"The central bank does not let this bank grant tier {tier}."
        super().__init__("TierNotGranted", 422, sentence, tier=tier)


class AccountOfAnotherCustomer(FlorinError):
    """A wallet can be linked to an account of the same customer only."""

    def __init__(self, reference: str) -> None:
        sentence = f"The account {reference!r} belongs to another customer."
        super().__init__("AccountOfAnotherCustomer", 422, sentence, account_reference=reference)


class NotAParticipantYet(FlorinError):
    """The chain does not know this bank yet, so nothing can be decided."""

    def __init__(self) -> None:
        sentence = "The central bank has not made this bank a participant yet: send the same request later."
        super().__init__("NotAParticipantYet", 503, sentence)
