"""Refusals of the directory. None of them repeats an alias or a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.errors import FlorinError

if TYPE_CHECKING:
    from datetime import datetime


class AliasUnreadable(FlorinError):
    """A text that is no alias."""

    def __init__(self) -> None:
        super().__init__(
            "AliasUnreadable",
            400,
            "Write a phone number with + and its country code, an e-mail address or a handle such as @name.",
        )


class AliasUnknown(FlorinError):
    """Nobody registered the alias."""

    def __init__(self) -> None:
        super().__init__(
            "AliasUnknown", 404, "Nobody can be paid by this alias: check it, or ask the payee for a code."
        )


class AliasOfAnotherCustomer(FlorinError):
    """The alias is registered by the same bank for another customer."""

    def __init__(self) -> None:
        super().__init__(
            "AliasOfAnotherCustomer", 409, "Another customer of this bank has this alias: release it first."
        )


class AliasOfAnotherBank(FlorinError):
    """The alias is registered by another bank: it moves only by a claim."""

    def __init__(self) -> None:
        super().__init__(
            "AliasOfAnotherBank",
            409,
            "Another bank registered this alias: claim it, once the customer has shown that it is theirs.",
        )


class AddressNotOfParticipant(FlorinError):
    """The payee's address is not with the bank that registers it, as far as the final chain says."""

    def __init__(self) -> None:
        super().__init__(
            "AddressNotOfParticipant",
            422,
            "The address is not a ready wallet of this bank: register the alias once it is.",
        )


class CallerNotParticipant(FlorinError):
    """A key whose name is no participant's: the directory knows nobody else."""

    def __init__(self) -> None:
        super().__init__(
            "CallerNotParticipant",
            422,
            "Only a bank's own key may do this, which the central bank names participant-<number>.",
        )


class LookupBudgetExhausted(FlorinError):
    """Too many look-ups, or too many that found nobody. `retry_after_s`: when one is possible again."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(
            "LookupBudgetExhausted",
            429,
            f"Too many look-ups that led to no payment: try again in {retry_after_s} seconds.",
            retry_after_s=retry_after_s,
        )


class ClaimTooEarly(FlorinError):
    """The former bank still has time to answer the claim."""

    def __init__(self, waits_until: datetime) -> None:
        moment = waits_until.isoformat(timespec="seconds")
        super().__init__(
            "ClaimTooEarly",
            409,
            f"The former bank can answer until {moment}: complete the claim then.",
            waits_until=moment,
        )


class ClaimClosed(FlorinError):
    """The claim was decided before, or ended with its alias."""

    def __init__(self, state: str) -> None:
        super().__init__(
            "ClaimClosed", 409, f"This claim is {state}: nothing is left to decide.", state=state
        )


class AliasHasClaim(FlorinError):
    """Another bank claims the alias already."""

    def __init__(self) -> None:
        super().__init__("AliasHasClaim", 409, "Another bank claims this alias: wait until that is decided.")


class VerificationNotRecent(FlorinError):
    """The customer's word that the alias is theirs is too old to count, or of the future."""

    def __init__(self) -> None:
        super().__init__(
            "VerificationNotRecent",
            422,
            "Have the customer confirm a new one-time code, and send this within ten minutes of it.",
        )


class DirectoryNotConfigured(FlorinError):
    """This central bank runs without a secret for its directory."""

    def __init__(self) -> None:
        super().__init__(
            "DirectoryNotConfigured", 503, "The directory has no secret yet: set directory_secret_file."
        )


class SecretFileUnusable(FlorinError):
    """The secret's file is missing, readable by others or not of its form. It is never repeated."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__("SecretFileUnusable", 500, f"{path}: {why}.", path=path)
