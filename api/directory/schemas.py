"""What banks send to the directory and get from it. Aliases and names travel in bodies, never in URLs."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from api.fields import Address, Answer, Body, DisplayName, MomentInSeconds, Reference

AliasText = Annotated[str, StringConstraints(min_length=1, max_length=300)]
"""A phone number with +, an e-mail address or a handle, as somebody wrote it."""

TransactionHash = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-f]{64}$")]

NameMatchWord = Literal["match", "close_match", "no_match"]
ClaimState = Literal["open", "done", "contested", "withdrawn"]


class AliasBody(Body):
    """An alias of a bank's customer. `owner` is the bank's own name of them, who alone can have it replaced.

    `name` is the customer's whole name: only keyed hashes of it are kept, and its first letters.
    """

    alias: AliasText
    address: Address
    owner: Reference
    name: DisplayName


class ClaimBody(AliasBody):
    """A claim on another bank's alias. `verified_at_s`: when the customer showed that it is theirs."""

    verified_at_s: MomentInSeconds


class ContestBody(Body):
    """The former bank's word against a claim: its customer has shown since that the alias is theirs."""

    verified_at_s: MomentInSeconds


class LookupBody(Body):
    """An alias to pay, and the name that the payer expects, where they gave one."""

    alias: AliasText
    payee_name: DisplayName | None = None


class PaidBody(Body):
    """The payment that a look-up led to."""

    payment_id: uuid.UUID = Field(strict=False)
    transaction_hash: TransactionHash


class AliasAnswer(Answer):
    """A registered alias. `alias_id` names it from here on."""

    alias_id: uuid.UUID
    kind: Literal["phone", "email", "handle"]
    masked_name: str
    registered_at: datetime


class LookupAnswer(Answer):
    """Whom an alias pays. `name_match` is null where no name was asked about."""

    lookup_id: uuid.UUID
    participant_id: int
    address: str
    masked_name: str
    name_match: NameMatchWord | None


class PaidAnswer(Answer):
    """Whether the look-up's cost was given back: once, and only for one that found somebody."""

    is_refunded: bool


class ClaimAnswer(Answer):
    """A claim. The former bank consents by releasing the alias, contests, or lets `waits_until` pass."""

    claim_id: uuid.UUID
    alias_id: uuid.UUID
    state: ClaimState
    claimant_id: int
    former_id: int
    made_at: datetime
    waits_until: datetime


class ClaimsAnswer(Answer):
    """The claims that a bank made and those against it, the newest first."""

    claims: list[ClaimAnswer]
