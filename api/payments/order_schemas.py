"""What people send and get about their standing orders."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from api.fields import Answer, Body, CurrencyCode, Identifier, Note, PaymentAmount
from api.payments.own_schemas import Day, PreparedMandate
from api.payments.schedule import Schedule
from api.payments.schemas import PayeeBody
from api.proofs import AssertionBody

BodyDay = Annotated[Day, Field(strict=False)]
"""A day in a body: JSON has only texts for it."""


class StandingOrderBody(Body):
    """A payment again and again: every so many days, weeks or months of the bank's calendar.

    The first is due on `first_on`, none after `last_on`. Of months it is the day of `first_on`, or the last
    one where a month is shorter; always the last one with `is_month_end`. A run for which there is too little
    money is tried again up to `retries` times, `retry_after_h` hours apart, and not once the next run is due.
    """

    wallet_id: Identifier
    payee: PayeeBody
    amount_minor: PaymentAmount
    currency: CurrencyCode
    note: Note | None = None
    unit: Literal["day", "week", "month"]
    every: Annotated[int, Field(ge=1, le=24)] = 1
    first_on: BodyDay
    last_on: BodyDay | None = None
    is_month_end: bool = False
    retries: Annotated[int, Field(ge=0, le=10)] = 0
    retry_after_h: Annotated[int, Field(ge=1, le=72)] = 24

    @model_validator(mode="after")
    def _require_months(self) -> StandingOrderBody:
        if self.is_month_end and self.unit != "month":
            raise ValueError("is_month_end is for months")
        return self

    @property
    def schedule(self) -> Schedule:
        """Its days."""
        return Schedule(self.unit, self.every, self.first_on, self.last_on, self.is_month_end)


class ApprovedOrderBody(StandingOrderBody):
    """The order that was prepared as `order_id`, again in full, with the passkey's approval."""

    order_id: Identifier
    approval: AssertionBody


class PreparedOrder(PreparedMandate):
    """What is signed for an order, the mandate that covers it, and its first days."""

    order_id: uuid.UUID
    next_days: list[date]


class SkipBody(Body):
    """The run that is not to be made: the next one."""

    due_on: BodyDay


class RunAnswer(Answer):
    """What became of one run; a payment that was accepted is looked up by its id."""

    due_on: date
    outcome: Literal["accepted", "failed", "skipped", "missed"]
    payment_id: uuid.UUID | None
    code: str | None
    decided_at: datetime


class OrderAnswer(Answer):
    """A standing order. `code` is what stood against its last run, or ended it."""

    order_id: uuid.UUID
    state: Literal["active", "paused", "ended"]
    mandate_state: Literal["requested", "active", "refused", "revoked"]
    code: str | None
    wallet_id: uuid.UUID
    payee: str
    payee_name: str | None
    amount_minor: int
    currency: str
    note: str | None
    unit: Literal["day", "week", "month"]
    every: int
    first_on: date
    last_on: date | None
    is_month_end: bool
    retries: int
    retry_after_h: int
    attempts: int
    next_attempt_at: datetime | None
    next_days: list[date]
    runs: list[RunAnswer]


class OrdersAnswer(Answer):
    """A person's standing orders, the newest first; each with its latest runs."""

    orders: list[OrderAnswer]
