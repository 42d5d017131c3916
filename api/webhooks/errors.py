"""Refusals of the webhooks room."""

from __future__ import annotations

from api.errors import FlorinError


class WebhookUrlRefused(FlorinError):
    """An address that this institution does not send to."""

    def __init__(self, why: str) -> None:
        super().__init__("WebhookUrlRefused", 422, f"The webhook's url cannot be used: {why}.")


class UnknownEvent(FlorinError):
    """An event that never happens here."""

    def __init__(self, event: str, known: list[str]) -> None:
        sentence = f"There is no event {event!r}; there are: {', '.join(known)}."
        super().__init__("UnknownEvent", 422, sentence, event=event)


class TooManyWebhooks(FlorinError):
    """Each webhook is sent to for ever, so there are few."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            "TooManyWebhooks", 409, f"There are {limit} webhooks already: delete one first.", limit=limit
        )


class WebhookDisabled(FlorinError):
    """Nothing is sent to a disabled webhook."""

    def __init__(self) -> None:
        super().__init__("WebhookDisabled", 409, "The webhook is disabled: activate it first.")
