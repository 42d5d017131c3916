"""What callers send and get about customers."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Literal

from api.fields import Answer, Body, DisplayName, Reference


class CustomerBody(Body):
    """A customer to be known here. `reference` is the caller's own name for them."""

    reference: Reference
    name: DisplayName


class CustomerAnswer(Answer):
    """A customer."""

    customer_id: uuid.UUID
    reference: str
    name: str
    created_at: datetime


class PersonAnswer(Answer):
    """The person of a session; `assurance` is how they showed who they are.

    `is_password_old`: the bank reminds them to change it; nothing else follows.
    """

    customer_id: uuid.UUID
    name: str
    session_id: uuid.UUID
    assurance: Literal["sandbox", "password", "totp", "passkey"]
    is_password_old: bool


class SessionAnswer(Answer):
    """One open session. `device_name` is what the device said of itself."""

    session_id: uuid.UUID
    device_name: str
    assurance: Literal["sandbox", "password", "totp", "passkey"]
    opened_at: datetime
    last_used_at: datetime
    is_this: bool


class SessionsAnswer(Answer):
    """A person's open sessions."""

    sessions: list[SessionAnswer]
