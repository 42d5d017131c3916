"""A person gives a standing authority, once, with a passkey; and takes it away, with nothing."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from api.errors import FlorinError, NotFound
from api.payments import approvals, mandates, queries
from api.payments.approvals import SIGNING_GRACE_S, Prepared
from api.payments.errors import ApprovalMismatch, UnknownPayee, WalletWithoutAddress
from api.payments.mandates import mandate_answer, request_mandates
from api.payments.own_payments import caller_of
from api.payments.requirements import no_passkey
from api.payments.schemas import MandateBody
from api.wallets.opening import own_wallet
from contracts import base64url
from contracts.customer_approvals import Mandate

if TYPE_CHECKING:
    import uuid

    from api.database import Connection
    from api.identity.sessions import SignedIn
    from api.institution import Institution
    from api.payments.approvals import Kind
    from api.payments.own_schemas import ApprovedMandateBody, OwnMandateBody
    from api.payments.schemas import PayeeBody
    from api.proofs import AssertionBody


async def prepare_mandate(
    conn: Connection,
    institution: Institution,
    person: SignedIn,
    reference: str,
    asked: OwnMandateBody,
    *,
    kind: Kind = "mandate",
    content_hash: bytes | None = None,
) -> dict[str, Any]:
    """What there is to approve. The same reference with the same content stands for the same mandate.

    A `kind` of its own, with the hash of all that is approved with the mandate, is another room's word.
    Raises `NotFound` (no such wallet of theirs), `UnknownPayee`, `WalletWithoutAddress`, and what
    `approvals.keep` and `approvals.domain_of` do.
    """
    wallet = await own_wallet(conn, institution, person.customer_id, asked.wallet_id)
    if wallet["address"] is None:
        raise WalletWithoutAddress(wallet["reference"])
    payee, payee_name = await payee_of(conn, asked.payee)
    mandate_id = institution.id_for("mandate", caller_of(person.customer_id), reference)
    credentials = await approvals.credentials_of(conn, asked.wallet_id)
    answer: dict[str, Any] = {
        "mandate_id": str(mandate_id),
        "requirement": "passkey" if credentials else "refused",
        "reasons": [] if credentials else [no_passkey(asked.cap_minor).as_json()],
        "payee_name": payee_name,
        "expires_at_s": None,
        "challenge": None,
        "credential_ids": [each.credential_id for each in credentials],
        "to_sign": None,
    }
    if not credentials:
        return answer
    expires_at_s = approvals.expiry_of(institution)
    message = Mandate(
        mandate_id.bytes,
        wallet["address"],
        payee,
        asked.cap_minor,
        asked.period,
        asked.starts_at_s,
        asked.expires_at_s,
        expires_at_s + SIGNING_GRACE_S,
    )
    domain = approvals.domain_of(institution)
    challenge = message.digest(domain.separator)
    prepared = Prepared(
        mandate_id,
        kind,
        reference,
        content_hash or _hash_of(asked),
        wallet["address"],
        payee,
        challenge,
        expires_at_s,
    )
    await approvals.keep(conn, person.customer_id, prepared)
    return answer | {
        "expires_at_s": expires_at_s,
        "challenge": base64url.encode(challenge),
        "to_sign": message.typed_data(domain),
    }


async def give_mandate(
    conn: Connection, institution: Institution, person: SignedIn, asked: ApprovedMandateBody
) -> dict[str, Any]:
    """Pass a mandate that was prepared and approved on to the signer; the same again gives the same answer.

    Raises `NotFound`, `ApprovalMismatch`, `ApprovalExpired` and `AssertionRefused`, which change nothing.
    """
    return await take_mandate(
        conn,
        institution,
        person,
        asked,
        mandate_id=asked.mandate_id,
        approval=asked.approval,
        kind="mandate",
        content_hash=_hash_of(asked),
    )


async def take_mandate(
    conn: Connection,
    institution: Institution,
    person: SignedIn,
    asked: OwnMandateBody,
    *,
    mandate_id: uuid.UUID,
    approval: AssertionBody,
    kind: Kind,
    content_hash: bytes,
) -> dict[str, Any]:
    """The mandate that was prepared as `kind` with this content, given now or before."""
    taken = await approvals.take(conn, person.customer_id, mandate_id, kind)
    if taken.content_hash != content_hash:
        raise ApprovalMismatch
    if not taken.is_used:
        taken.require_open()
        payee, _ = await payee_of(conn, asked.payee)
        if payee != taken.payee:
            raise ApprovalMismatch
        await approvals.require_assertion(conn, institution, asked.wallet_id, taken, approval)
        await approvals.mark_used(conn, mandate_id)
    line = MandateBody(
        mandate_id=mandate_id,
        payer_wallet_id=asked.wallet_id,
        payee=asked.payee,
        cap_minor=asked.cap_minor,
        period=asked.period,
        starts_at_s=asked.starts_at_s,
        expires_at_s=asked.expires_at_s,
        approval=approval,
    )
    (given,) = await request_mandates(conn, institution, [line])
    if isinstance(given, FlorinError):
        raise given
    return given


async def own_mandates(conn: Connection, person: SignedIn) -> dict[str, Any]:
    """A person's mandates, the newest first."""
    rows = await queries.mandates_of_customer(conn, person.customer_id)
    return {"mandates": [mandate_answer(row) for row in rows]}


async def revoke_own(conn: Connection, person: SignedIn, mandate_id: uuid.UUID) -> dict[str, Any]:
    """End one of a person's mandates; again changes nothing. Raises `NotFound`."""
    rows = await queries.mandates_of_customer(conn, person.customer_id)
    if mandate_id not in {row["mandate_id"] for row in rows}:
        raise NotFound("mandate")
    return await mandates.revoke(conn, mandate_id)


async def payee_of(conn: Connection, payee: PayeeBody) -> tuple[bytes, str | None]:
    """A payee's address, and the name of a biller. Raises `UnknownPayee`."""
    address, name = payee.address, None
    if payee.biller_reference is not None:
        biller = (await queries.billers_named(conn, [payee.biller_reference])).get(payee.biller_reference)
        address, name = (biller["address"], biller["name"]) if biller else (None, None)
    elif payee.wallet_reference is not None:
        wallets = await queries.wallets_named(conn, [payee.wallet_reference], [])
        address = wallets[0]["address"] if wallets else None
    if address is None:
        raise UnknownPayee
    return address, name


def _hash_of(asked: OwnMandateBody) -> bytes:
    content = asked.model_dump(mode="json", exclude={"mandate_id", "approval"})
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()
