"""What callers send and get about tiers, participants, reserves, issuance and statements."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Literal

from api.fields import (
    Address,
    Answer,
    Body,
    BookAmount,
    DisplayName,
    HoldingLimit,
    ParticipantNumber,
    SpendingLimit,
    TierMask,
    TierNumber,
)

ChangeState = Literal["requested", "final"]


class TierBody(Body):
    """A tier's limits, in minor units; a daily limit of 2^64 - 1 is none."""

    holding_limit_minor: HoldingLimit
    per_payment_limit_minor: SpendingLimit
    daily_limit_minor: SpendingLimit


class TierAnswer(Answer):
    """A tier as it was asked for, and whether that is final on chain."""

    tier: int
    holding_limit_minor: int
    per_payment_limit_minor: int
    daily_limit_minor: int
    state: ChangeState


class TiersAnswer(Answer):
    """The tiers that are final on chain."""

    tiers: list[TierAnswer]


class ParticipantBody(Body):
    """A bank that takes part. Bit t of `tier_mask` lets it grant tier t; `tier` is its own account's."""

    institution_address: Address
    name: DisplayName
    tier: TierNumber
    tier_mask: TierMask


class ParticipantAnswer(Answer):
    """A participant as it was asked for, and whether that is final on chain."""

    participant_id: int
    name: str
    institution_address: str
    tier: int
    tier_mask: int
    state: ChangeState


class ParticipantsAnswer(Answer):
    """The participants, in the order of their numbers."""

    participants: list[ParticipantAnswer]


class SystemAccountBody(Body):
    """The tier of a contract's account: its limits bind the contract as they bind everybody."""

    tier: TierNumber


class SystemAccountAnswer(Answer):
    """An account of the system as it was asked for, and whether that is final on chain."""

    address: str
    tier: int
    state: ChangeState


class SystemAccountsAnswer(Answer):
    """The accounts of the system that are final on chain, in the order of their addresses."""

    system_accounts: list[SystemAccountAnswer]


class ReserveDepositBody(Body):
    """Reserves that a participant brings to the central bank."""

    participant_id: ParticipantNumber
    amount_minor: BookAmount


class ReserveDepositAnswer(Answer):
    """A booked reserve deposit, and the participant's reserves after it."""

    reserve_deposit_id: uuid.UUID
    participant_id: int
    amount_minor: int
    reserves_minor: int


class ApprovalBody(Body):
    """Digital currency that a participant may mint against its reserves."""

    participant_id: ParticipantNumber
    amount_minor: BookAmount


class IssuanceBody(Body):
    """Digital currency to mint, or to return to the central bank."""

    amount_minor: BookAmount


class IssuanceAnswer(Answer):
    """An approval, a minting or a return that was accepted; the chain's final events book it."""

    issuance_id: uuid.UUID
    participant_id: int
    amount_minor: int
    state: Literal["accepted"]


class IssuanceStateAnswer(Answer):
    """What became of an approval, a minting or a return. `code` tells why one `failed`."""

    issuance_id: uuid.UUID
    kind: Literal["approval", "mint", "return"]
    participant_id: int
    amount_minor: int
    state: Literal["accepted", "submitted", "included", "final", "failed"]
    code: str | None
    block_number: int | None
    transaction_hash: str | None
    created_at: datetime


class AllowanceAnswer(Answer):
    """What this bank may still mint: the final allowance, less what it is minting already."""

    allowance_minor: int
    pending_minor: int
    available_minor: int
    reserves_available_minor: int
    inventory_available_minor: int


class SupplyAnswer(Answer):
    """All digital currency that exists as of a final block."""

    block_number: int
    supply_minor: int
    circulation_minor: int
    currency: str


class StatementAnswer(Answer):
    """A participant as of a final block: its reserves here, and what it and its customers hold on chain.

    Reserve deposits have no block: all that were booked by now are counted.
    """

    participant_id: int
    name: str
    block_number: int
    reserves_minor: int
    holdings_minor: int
    institution_minor: int
    customers_minor: int
    currency: str
