"""The kinds of messages: what each says, how it travels, and whether its reader may switch it off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Language = Literal["en", "zh"]
Channel = Literal["email", "sms"]
"""How a message leaves the house; the feed is within it."""

LANGUAGES: Final[tuple[Language, ...]] = ("en", "zh")
CHANNELS: Final[tuple[Channel, ...]] = ("email", "sms")
IN_APP: Final = "in_app"

WHOLE_NUMBERS: Final = frozenset({"amount_minor", "limit_minor", "percent", "minutes", "left"})
"""The fields that are whole numbers; every other one is a text."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of message.

    `fields` are the values that it needs, no more and no fewer. `channels` are those that it takes unless its
    reader wishes otherwise. `is_security`: it goes to every address of the person, whatever they wish.
    `is_secret`: it carries a one-time code, is in nobody's feed, and its values are wiped once it was sent.
    """

    fields: frozenset[str]
    channels: frozenset[Channel] = frozenset()
    is_security: bool = False
    is_secret: bool = False


def _of(*fields: str, by: tuple[Channel, ...] = ()) -> Kind:
    return Kind(frozenset(fields), frozenset(by))


def _alert(*fields: str) -> Kind:
    return Kind(frozenset(fields), frozenset(CHANNELS), is_security=True)


def _code() -> Kind:
    return Kind(frozenset({"code", "minutes"}), is_secret=True)


_PAYMENT: Final = ("payment_id", "amount_minor", "currency")

KINDS: Final[dict[str, Kind]] = {
    "payment_accepted": _of(*_PAYMENT, "payee_name"),
    "payment_final": _of(*_PAYMENT, "payee_name"),
    "payment_received": _of(*_PAYMENT, "payer_name", by=("email",)),
    "payment_refused": _of(*_PAYMENT, "payee_name", "reason"),
    "payment_failed": _of(*_PAYMENT, "payee_name", "reason", by=("email",)),
    "funding_final": _of(*_PAYMENT),
    "funding_refused": _of(*_PAYMENT, "reason"),
    "funding_failed": _of(*_PAYMENT, "reason", by=("email",)),
    "redemption_final": _of(*_PAYMENT),
    "redemption_refused": _of(*_PAYMENT, "reason"),
    "redemption_failed": _of(*_PAYMENT, "reason", by=("email",)),
    "daily_limit_near": _of("percent", "limit_minor", "currency", by=("email",)),
    "holding_limit_near": _of("percent", "limit_minor", "currency", by=("email",)),
    "request_received": _of("request_id", "amount_minor", "currency", "requester_name", by=("email",)),
    "refund_received": _of(*_PAYMENT, "payer_name", by=("email",)),
    "standing_order_failed": _of(
        "order_id", "amount_minor", "currency", "payee_name", "reason", by=("email",)
    ),
    "new_device": _alert("device_name"),
    "password_changed": _alert(),
    "passkey_added": _alert("device_name"),
    "passkey_removed": _alert("device_name"),
    "totp_added": _alert(),
    "totp_removed": _alert(),
    "recovery_codes_made": _alert(),
    "contact_added": _alert("contact"),
    "contact_removed": _alert("contact"),
    "recovery_started": _alert(),
    "recovery_finished": _alert(),
    "recovery_cancelled": _alert(),
    "recovery_code_used": _alert("left"),
    "registration_code": _code(),
    "sign_in_code": _code(),
    "contact_code": _code(),
    "password_code": _code(),
    "recovery_code": _code(),
}
"""Every kind. A `payment_id` is empty where the bank knows none, as is a name that it does not know."""


def require_values(kind: str, values: Mapping[str, Any]) -> Kind:
    """The kind of this name. Raises `ValueError` unless `values` are just its fields, each of its type."""
    known = KINDS.get(kind)
    if known is None:
        raise ValueError(f"there is no kind {kind!r} of message")
    if values.keys() != known.fields:
        raise ValueError(f"{kind} takes {sorted(known.fields)}, not {sorted(values)}")
    for name, value in values.items():
        wanted = int if name in WHOLE_NUMBERS else str
        if type(value) is not wanted:
            raise ValueError(f"{kind}: {name} must be of type {wanted.__name__}")
    return known
