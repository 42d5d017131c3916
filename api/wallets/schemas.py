"""What callers send and get about wallets."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import StringConstraints

from api.fields import Answer, Body, Identifier, Reference, TierNumber
from api.proofs import Base64Url, CredentialBody

WalletState = Literal["requested", "ready", "elsewhere"]


class WalletBody(Body):
    """A wallet to be made for a customer, linked to one of their accounts or (null) to none.

    `credential` is what the customer approves payments with. The signer binds it as it makes the key: without
    one, only the low-value allowance can be spent until the officers bind another.
    """

    reference: Reference
    customer_reference: Reference
    account_reference: Reference | None = None
    tier: TierNumber
    credential: CredentialBody | None = None


class WalletRequested(Answer):
    """A wallet that is being made: ready once its registration on chain is final."""

    reference: str
    wallet_id: uuid.UUID
    state: WalletState


class WalletReason(Answer):
    """Why a wallet is with another participant, and what to do about it."""

    code: Literal["AddressOfAnotherParticipant", "WalletMoved"]
    detail: str
    participant_id: int


class WalletAnswer(Answer):
    """A wallet. `balance_minor` is final on chain; `available_minor` is what no pending payment holds.

    `reason` is there where the state is `elsewhere`.
    """

    wallet_id: uuid.UUID
    reference: str
    customer_id: uuid.UUID
    account_id: uuid.UUID | None
    tier: int
    address: str | None
    state: WalletState
    reason: WalletReason | None
    currency: str
    balance_minor: int
    available_minor: int


class WalletsAnswer(Answer):
    """A page of wallets in the order of their ids; ask on with `after` = `next_after`."""

    wallets: list[WalletAnswer]
    next_after: uuid.UUID | None


class WalletsSummary(Answer):
    """How many wallets wait for their registration, can be used, and are with another participant."""

    requested: int
    ready: int
    elsewhere: int


class CredentialChangeBody(Body):
    """A passkey of the person, in the place of the lost one."""

    passkey_id: Identifier


class CredentialChangeAnswer(Answer):
    """One wallet's change. `waiting`: for officers; `refused` has the signer's `outcome_code`."""

    change_id: uuid.UUID
    wallet_id: uuid.UUID
    credential_id: str
    state: Literal["queued", "waiting", "done", "refused"]
    outcome_code: str | None
    filed_at: datetime


class CredentialChangesAnswer(Answer):
    """The newest first."""

    changes: list[CredentialChangeAnswer]


class NewPasskeyBody(Body):
    """What `navigator.credentials.create` gave (WebAuthn's RegistrationResponseJSON), as base64url."""

    credential_id: Base64Url
    client_data_json: Base64Url
    attestation_object: Annotated[
        str, StringConstraints(min_length=1, max_length=16_384, pattern=r"^[A-Za-z0-9_-]+$")
    ]


class OpeningPrepared(Answer):
    """What a person's authenticator is asked, and under which id the wallet is then opened."""

    opening_id: uuid.UUID
    expires_at_s: int
    options: dict[str, Any]


class OpeningBody(Body):
    """A wallet to be opened with a new passkey, beside one of the person's accounts or (null) a new one."""

    opening_id: Identifier
    account_id: Identifier | None = None
    passkey: NewPasskeyBody


class WalletOpened(Answer):
    """A wallet that is on its way: ready once its registration has so many confirmations on chain."""

    wallet_id: uuid.UUID
    account_id: uuid.UUID
    state: WalletState
    confirmations: int


class OwnWallets(Answer):
    """A person's wallets: those that are with this bank or will be, oldest first, then the others."""

    wallets: list[WalletAnswer]
