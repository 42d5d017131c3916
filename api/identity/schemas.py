"""What callers send and get about customers."""

from __future__ import annotations

import uuid
from datetime import datetime

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
