"""Bodies and answers of the webhooks' routes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api.fields import Answer, Body, Note


class WebhookBody(Body):
    """A webhook to make: events are posted to its url."""

    url: str = Field(max_length=2_000)
    events: Annotated[list[str], Field(min_length=1, max_length=20)]
    description: Note = ""


class WebhookAnswer(Answer):
    """A webhook; `former_secret_until`: how long its former secret signs as well."""

    webhook_id: str
    url: str
    events: list[str]
    description: str
    created_by: str
    created_at: str
    former_secret_until: str | None
    failing_since: str | None
    disabled_at: str | None
    disabled_why: str


class WebhookWithSecret(WebhookAnswer):
    """A webhook with the secret that its receiver verifies signatures with: shown now and never again."""

    secret: str


class WebhooksAnswer(Answer):
    """Every webhook."""

    webhooks: list[WebhookAnswer]


class DeliveryAnswer(Answer):
    """One event on its way to a webhook; `seq` is what the next page's `before` takes."""

    seq: int
    delivery_id: str
    event_id: str
    event: str
    state: str
    attempts: int
    last_status: int | None
    last_error: str
    next_try_at: str | None
    created_at: str
    ended_at: str | None


class DeliveriesAnswer(Answer):
    """A page of deliveries, the newest first."""

    deliveries: list[DeliveryAnswer]
