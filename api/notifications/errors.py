"""Refusals of the notifications room."""

from __future__ import annotations

from api.errors import FlorinError


class SecurityAlertsStay(FlorinError):
    """A wish not to hear of what could be somebody else's doing."""

    def __init__(self, kind: str) -> None:
        sentence = "Messages about the safety of your access cannot be switched off."
        super().__init__("SecurityAlertsStay", 422, sentence, kind=kind)


class UnknownPreference(FlorinError):
    """A kind or a channel that nobody can choose."""

    def __init__(self, kind: str, channel: str) -> None:
        sentence = f"There is nothing to choose for {kind!r} by {channel!r}: ask which kinds there are."
        super().__init__("UnknownPreference", 422, sentence, kind=kind, channel=channel)
