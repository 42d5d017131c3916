"""A person opens a wallet: account, wallet and the passkey that approves its payments, all or nothing.

The signer binds the passkey's key as it makes the wallet's own, and at no other time.
"""

from __future__ import annotations

import json
import secrets
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from api.accounts.queries import account_by_id
from api.accounts.schemas import AccountBody
from api.accounts.service import open_deposit_accounts
from api.errors import FlorinError, NotFound
from api.wallets import queries
from api.wallets.errors import OpeningExpired, OpeningUsed, TooManyWallets
from api.wallets.passkeys import creation_options, credential_of_attestation
from api.wallets.schemas import WalletBody
from api.wallets.service import request_wallets, wallet_answer

if TYPE_CHECKING:
    from api.database import Connection
    from api.identity.sessions import SignedIn
    from api.institution import Institution
    from api.proofs import CredentialBody
    from api.wallets.schemas import OpeningBody

MOST_WALLETS: Final = 10
"""Each needs a key and a registration on chain, which the bank pays for."""


async def prepare_opening(conn: Connection, institution: Institution, person: SignedIn) -> dict[str, Any]:
    """A fresh challenge for a new passkey. Earlier ones that nobody used in time are forgotten."""
    settings = institution.settings
    own = await queries.wallets_of_customer(conn, settings.participant_id, person.customer_id)
    if len(own) >= MOST_WALLETS:
        raise TooManyWallets(MOST_WALLETS)
    await conn.execute(
        """DELETE FROM wallet_openings
            WHERE customer_id = $1 AND used_at IS NULL AND expires_at < now()""",
        person.customer_id,
    )
    opening_id, challenge = uuid.uuid4(), secrets.token_bytes(32)
    expires_at = await conn.fetchval(
        """INSERT INTO wallet_openings (id, customer_id, challenge, expires_at)
           VALUES ($1, $2, $3, now() + $4) RETURNING expires_at""",
        opening_id,
        person.customer_id,
        challenge,
        timedelta(seconds=settings.approval_valid_s),
    )
    known = sorted({json.loads(row["credential"])["credential_id"] for row in own if row["credential"]})
    options = creation_options(settings, challenge, person.customer_id.bytes, person.name, known)
    return {"opening_id": str(opening_id), "expires_at_s": int(expires_at.timestamp()), "options": options}


async def open_with_new_passkey(
    conn: Connection, institution: Institution, person: SignedIn, body: OpeningBody
) -> dict[str, Any]:
    """Open the wallet that was prepared. The same again gives the same answer.

    Raises `NotFound` (no such opening or account of this person), `OpeningExpired`, `OpeningUsed`,
    `PasskeyRefused`, and what `open_wallet` does.
    """
    row = await conn.fetchrow(
        """SELECT challenge, credential_id, used_at, expires_at <= clock_timestamp() AS is_over
             FROM wallet_openings WHERE id = $1 AND customer_id = $2 FOR UPDATE""",
        body.opening_id,
        person.customer_id,
    )
    if row is None:
        raise NotFound("opening")
    if row["used_at"] is not None:
        return await _opened_before(conn, institution, row, body)
    if row["is_over"]:
        raise OpeningExpired
    credential = credential_of_attestation(institution.settings, row["challenge"], body.passkey)
    await conn.execute(
        "UPDATE wallet_openings SET credential_id = $2, used_at = now() WHERE id = $1",
        body.opening_id,
        credential.credential_id,
    )
    return await open_wallet(
        conn, institution, person, credential, name=str(body.opening_id), account_id=body.account_id
    )


async def open_wallet(
    conn: Connection,
    institution: Institution,
    person: SignedIn,
    credential: CredentialBody,
    *,
    name: str,
    account_id: uuid.UUID | None = None,
) -> dict[str, Any]:
    """Open a wallet that `credential` approves for, beside an account of the person's or a new one.

    `name` is new for each wallet of the bank. Raises `NotFound` for an account that is not theirs,
    `TooManyWallets`, and what `request_wallets` answers.
    """
    # two openings of one person at once would both see one wallet fewer than there are
    await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", str(person.customer_id))
    own = await queries.wallets_of_customer(conn, institution.settings.participant_id, person.customer_id)
    if len(own) >= MOST_WALLETS:
        raise TooManyWallets(MOST_WALLETS)
    reference = f"wallet-of-person:{name}"
    account = await _account_of(conn, institution, person, name, account_id)
    line = WalletBody(
        reference=reference,
        customer_reference=person.reference,
        account_reference=account["reference"],
        tier=institution.settings.person_tier,
        credential=credential,
    )
    (wallet,) = await request_wallets(conn, institution, [line])
    if isinstance(wallet, FlorinError):
        raise wallet
    return _answer(institution, wallet["wallet_id"], str(account["id"]), wallet["state"])


async def own_wallets(conn: Connection, institution: Institution, customer_id: uuid.UUID) -> dict[str, Any]:
    """A person's wallets with their balances."""
    rows = await queries.wallets_of_customer(conn, institution.settings.participant_id, customer_id)
    return {"wallets": [wallet_answer(row) for row in rows]}


async def own_wallet(
    conn: Connection, institution: Institution, customer_id: uuid.UUID, wallet_id: uuid.UUID
) -> Any:
    """The row of a wallet of theirs. Raises `NotFound`; another's looks the same."""
    row = await queries.wallet_by_id(conn, institution.settings.participant_id, wallet_id)
    if row is None or row["customer_id"] != customer_id:
        raise NotFound("wallet")
    return row


async def _account_of(
    conn: Connection, institution: Institution, person: SignedIn, name: str, account_id: uuid.UUID | None
) -> Any:
    """The row of the account that was named, or of a new one. Raises `NotFound`."""
    if account_id is None:
        line = AccountBody(
            reference=f"account-of-person:{name}",
            customer_reference=person.reference,
            currency=institution.settings.currency,
        )
        (opened,) = await open_deposit_accounts(conn, institution, [line], may_bring_reserves=False)
        if isinstance(opened, FlorinError):
            raise opened
        account_id = uuid.UUID(opened["account_id"])
    row = await account_by_id(conn, account_id)
    if row is None or row["customer_id"] != person.customer_id:
        raise NotFound("account")
    return row


async def _opened_before(
    conn: Connection, institution: Institution, opening: Any, body: OpeningBody
) -> dict[str, Any]:
    """The answer that was given. Raises `OpeningUsed` where something else is asked for."""
    settings = institution.settings
    reference = f"wallet-of-person:{body.opening_id}"
    row = (await queries.wallets_by_reference(conn, settings.participant_id, [reference]))[reference]
    if opening["credential_id"] != body.passkey.credential_id or body.account_id not in {
        None,
        row["account_id"],
    }:
        raise OpeningUsed
    return _answer(institution, str(row["id"]), str(row["account_id"]), row["state"])


def _answer(institution: Institution, wallet_id: str, account_id: str, state: str) -> dict[str, Any]:
    confirmations = institution.settings.confirmations
    return {
        "wallet_id": wallet_id,
        "account_id": account_id,
        "state": state,
        "confirmations": confirmations,
    }
