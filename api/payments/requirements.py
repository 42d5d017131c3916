"""What a payment requires of the person who asks for it: a pure rule over what the bank knows.

The signer keeps the true low-value allowance and judges every proof itself (docs/decisions/016); this is the
bank's estimate of it, so that a person hears beforehand what will be asked (docs/decisions/022). Of what is
possible the lightest is asked for; whoever has a passkey can always use it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from api.payments.rules import Kind, Reason

if TYPE_CHECKING:
    from api.settings import Settings

Way = Literal["nothing", "mandate", "passkey", "totp_password"]
"""How a person can stand for what they ask: not at all, by an earlier mandate, by a passkey over this alone,
or by password and one-time password, which the signer never sees."""

Requirement = Literal["nothing", "mandate", "passkey", "totp_password", "refused"]


@dataclass(frozen=True, slots=True)
class Terms:
    """What goes without the customer's proof at the signer, and how little of it goes unasked here."""

    unproved_per_payment_minor: int
    unproved_day_minor: int
    unproved_week_minor: int
    unasked_per_payment_minor: int
    unasked_day_minor: int

    @classmethod
    def of_people(cls, settings: Settings) -> Terms:
        """For people on our pages and in their own programs."""
        return cls(
            settings.unproved_per_payment_minor,
            settings.unproved_day_minor,
            settings.unproved_week_minor,
            settings.unasked_per_payment_minor,
            settings.unasked_day_minor,
        )

    @classmethod
    def of_machines(cls, settings: Settings) -> Terms:
        """For callers with a key, whose institution answers for them: only the signer asks for anything."""
        return cls(
            settings.unproved_per_payment_minor,
            settings.unproved_day_minor,
            settings.unproved_week_minor,
            settings.unproved_per_payment_minor,
            settings.unproved_day_minor,
        )


@dataclass(frozen=True, slots=True)
class Means:
    """What a person could stand for a payment with; a passkey counts where it is bound to the wallet."""

    has_passkey: bool
    has_totp: bool
    names_mandate: bool


@dataclass(frozen=True, slots=True)
class Unproved:
    """What a wallet has spent without the customer's proof, in the last 24 and 168 hours."""

    day_minor: int
    week_minor: int


@dataclass(frozen=True, slots=True)
class Required:
    """The lightest way, every way that would do, and the reason where there is none.

    `unasked_left_minor` and `unproved_left_minor` are the most that one payment could now be for nothing, and
    with password and one-time password.
    """

    requirement: Requirement
    ways: tuple[Way, ...]
    reasons: tuple[Reason, ...]
    unasked_left_minor: int
    unproved_left_minor: int


def require(kind: Kind, amount_minor: int, means: Means, spent: Unproved, terms: Terms) -> Required:
    """Decide what is required for `amount_minor` now."""
    unproved_left = _least(
        terms.unproved_per_payment_minor,
        terms.unproved_day_minor - spent.day_minor,
        terms.unproved_week_minor - spent.week_minor,
    )
    unasked_left = _least(
        unproved_left, terms.unasked_per_payment_minor, terms.unasked_day_minor - spent.day_minor
    )
    ways = _ways(kind, amount_minor, means, unasked_left, unproved_left)
    reasons = () if ways else (_no_way(amount_minor, means, unproved_left),)
    return Required(ways[0] if ways else "refused", ways, reasons, unasked_left, unproved_left)


def _ways(
    kind: Kind, amount_minor: int, means: Means, unasked_left_minor: int, unproved_left_minor: int
) -> tuple[Way, ...]:
    """What would do, the lightest first. A funding stays with its owner: the bank's own key pays."""
    if kind == "funding":
        return ("nothing",)
    if means.names_mandate:
        return ("mandate",)
    ways: list[Way] = []
    if amount_minor <= unasked_left_minor:
        ways.append("nothing")
    if means.has_passkey:
        ways.append("passkey")
    if means.has_totp and amount_minor <= unproved_left_minor:
        ways.append("totp_password")
    return tuple(ways)


def _no_way(amount_minor: int, means: Means, unproved_left_minor: int) -> Reason:
    values = {"amount_minor": amount_minor, "limit_minor": unproved_left_minor}
    if means.has_totp:
        return Reason(
            "AllowanceExceeded",
            "Without a passkey only small amounts can be paid: approve it with a passkey of this wallet.",
            values,
        )
    return no_passkey(amount_minor, unproved_left_minor)


def no_passkey(amount_minor: int, limit_minor: int = 0) -> Reason:
    """Why what only a passkey can approve cannot be approved."""
    sentence = "This needs a passkey of this wallet, and there is none."
    return Reason("PasskeyRequired", sentence, {"amount_minor": amount_minor, "limit_minor": limit_minor})


def _least(*amounts_minor: int) -> int:
    return max(0, min(amounts_minor))
