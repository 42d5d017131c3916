"""Refusals of the wallets room."""

from __future__ import annotations

from api.errors import FlorinError


class UnknownWallet(FlorinError):
    """A reference or id that names no wallet of this bank."""

    def __init__(self, name: str) -> None:
        super().__init__("UnknownWallet", 404, f"There is no wallet {name!r} at this bank.", wallet=name)


class AddressOfAnotherParticipant(FlorinError):
    """Another participant registered the wallet's address before this bank: it will never be ready.

    `participant_id` 0 is the central bank, which made the address an account of the system.
    """

    def __init__(self, reference: str, address: str, participant_id: int) -> None:
        super().__init__(
            "AddressOfAnotherParticipant",
            409,
            f"{_name_of(participant_id)} registered the address of the wallet {reference!r} before this bank "
            "could, so it cannot be used here: pay nothing to it, and request another wallet for the "
            "customer, under a new reference.",
            wallet=reference,
            address=address,
            participant_id=participant_id,
        )


class WalletMoved(FlorinError):
    """The wallet's owner moved it to another participant."""

    def __init__(self, reference: str, address: str, participant_id: int) -> None:
        super().__init__(
            "WalletMoved",
            409,
            f"The owner of the wallet {reference!r} moved it to participant {participant_id}, which settles "
            "its payments now. To pay from this bank again the customer needs another wallet: request one "
            "under a new reference.",
            wallet=reference,
            address=address,
            participant_id=participant_id,
        )


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


class OpeningExpired(FlorinError):
    """The challenge of an opening is not good any more."""

    def __init__(self) -> None:
        super().__init__("OpeningExpired", 409, "That took too long: prepare the wallet again.")


class OpeningUsed(FlorinError):
    """A wallet was opened with this already, and with another passkey or account."""

    def __init__(self) -> None:
        sentence = "A wallet was opened with this already: prepare another one if you want another."
        super().__init__("OpeningUsed", 409, sentence)


class TooManyWallets(FlorinError):
    """A person has as many wallets as this bank gives one person."""

    def __init__(self, most: int) -> None:
        super().__init__("TooManyWallets", 409, f"A person can have {most} wallets at this bank.", most=most)


class PasskeyRefused(FlorinError):
    """What an authenticator sent when it made a passkey does not hold."""

    def __init__(self, why: str) -> None:
        super().__init__("PasskeyRefused", 422, f"The passkey cannot be used here: {why}.")


class NotAParticipantYet(FlorinError):
    """The chain does not know this bank yet, so nothing can be decided."""

    def __init__(self) -> None:
        sentence = "The central bank has not made this bank a participant yet: send the same request later."
        super().__init__("NotAParticipantYet", 503, sentence)


def _name_of(participant_id: int) -> str:
    return f"Participant {participant_id}" if participant_id else "The central bank"


class NoDeviceLost(FlorinError):
    """A change by the officers for somebody who has not completed the recovery of a lost device."""

    def __init__(self) -> None:
        sentence = "Report the lost device first, and finish its recovery: then a new passkey can be bound."
        super().__init__("NoDeviceLost", 409, sentence)
