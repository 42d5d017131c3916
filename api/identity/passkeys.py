"""Passkeys (WebAuthn level 3) for signing in and for confirming: discoverable, with user verification.

The same passkey can approve payments: `signer_credential` is the form in which the signer binds its key.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from api.errors import FlorinError, NotFound
from api.identity.confirming import note_confirmation, require_person
from api.identity.devices import Welcome, welcome
from api.identity.errors import PasskeyKnown, PasskeyRefused, StepExpired, TooManyPasskeys
from api.identity.security_log import Whence, record
from api.identity.throttles import PER_ADDRESS, count_attempt, counted_as, network_of, take_back
from api.identity.tickets import issue_ticket, use_ticket
from contracts import base64url

if TYPE_CHECKING:
    from api.database import Connection
    from api.identity.people_desk import PeopleDesk
    from api.identity.sessions import SignedIn

Json = dict[str, Any]
MOST_PASSKEYS: Final = 16
"""As many as the signer binds to one wallet."""
_CHALLENGE_BYTES: Final = 32
_ALGORITHMS: Final = (-7, -8)  # ES256 and EdDSA: what the signer verifies


async def passkey_creation_options(desk: PeopleDesk, person: SignedIn) -> tuple[str, Json]:
    """A ticket, and what `navigator.credentials.create` is given. Raises what `require_person` does."""
    from webauthn import generate_registration_options
    from webauthn.helpers import options_to_json_dict
    from webauthn.helpers.cose import COSEAlgorithmIdentifier
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    async def begin(conn: Connection) -> tuple[str, Json]:
        await require_person(conn, person)
        known = await conn.fetch(
            "SELECT credential_id FROM passkeys WHERE customer_id = $1", person.customer_id
        )
        options = generate_registration_options(
            rp_id=desk.here.settings.rp_id,
            rp_name=desk.here.settings.institution_name,
            user_id=person.customer_id.bytes,
            user_name=person.name,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=row["credential_id"]) for row in known],
            supported_pub_key_algs=[COSEAlgorithmIdentifier(each) for each in _ALGORITHMS],
        )
        ticket = await issue_ticket(conn, "passkey registration", person.customer_id, options.challenge)
        return ticket, options_to_json_dict(options)

    return await desk.decide(begin)


async def add_passkey(
    desk: PeopleDesk, person: SignedIn, ticket: str, credential: Json, *, name: str, whence: Whence
) -> Json:
    """Register what the authenticator made.

    Raises what `require_person` does, `StepExpired`, `PasskeyRefused`, `PasskeyKnown` and `TooManyPasskeys`.
    """

    async def add(conn: Connection) -> Json | FlorinError:
        await require_person(conn, person)
        used = await use_ticket(conn, "passkey registration", ticket)
        if used is None or used.customer_id != person.customer_id:
            return StepExpired()
        try:
            made = _verified_creation(desk, credential, used.challenge)
        except PasskeyRefused as refusal:
            return refusal
        await conn.execute("SELECT FROM people WHERE customer_id = $1 FOR UPDATE", person.customer_id)
        if len(await passkeys_of(conn, person.customer_id)) >= MOST_PASSKEYS:
            return TooManyPasskeys(MOST_PASSKEYS)
        row = await conn.fetchrow(
            f"""INSERT INTO passkeys (id, customer_id, credential_id, public_key, sign_count, name)
                VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (credential_id) DO NOTHING
                RETURNING {_COLUMNS}""",  # noqa: S608 - constants
            uuid.uuid4(),
            person.customer_id,
            made.credential_id,
            made.credential_public_key,
            made.sign_count,
            Whence("", name).shown_name or whence.shown_name,
        )
        if row is None:
            return PasskeyKnown()
        await record(conn, person.customer_id, "passkey_added", whence)
        await desk.tell(conn, person.customer_id, "passkey_added", device_name=row["name"])
        return _answer(row)

    return await desk.decide(add)


def _verified_creation(desk: PeopleDesk, credential: Json, challenge: bytes) -> Any:
    """What an authenticator made. Raises `PasskeyRefused`."""
    from webauthn import verify_registration_response
    from webauthn.helpers.cose import COSEAlgorithmIdentifier

    try:
        return verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=desk.here.settings.rp_id,
            expected_origin=list(desk.here.settings.origins),
            require_user_verification=True,
            supported_pub_key_algs=[COSEAlgorithmIdentifier(each) for each in _ALGORITHMS],
        )
    except (
        Exception
    ) as failure:  # readers of CBOR, JSON and keys raise all sorts of things at strangers' bytes
        raise PasskeyRefused from failure


async def passkeys_of(conn: Connection, customer_id: uuid.UUID) -> list[Json]:
    """A person's passkeys, the oldest first."""
    rows = await conn.fetch(
        f"SELECT {_COLUMNS} FROM passkeys WHERE customer_id = $1 ORDER BY created_at, id",  # noqa: S608 - constants
        customer_id,
    )
    return [_answer(row) for row in rows]


async def remove_passkey(desk: PeopleDesk, person: SignedIn, passkey_id: uuid.UUID, whence: Whence) -> None:
    """Not sign in with this passkey any more; wallets are the signer's to unbind.

    Raises what `require_person` does, and `NotFound`.
    """

    async def remove(conn: Connection) -> None:
        await require_person(conn, person)
        name = await conn.fetchval(
            "DELETE FROM passkeys WHERE id = $1 AND customer_id = $2 RETURNING name",
            passkey_id,
            person.customer_id,
        )
        if name is None:
            raise NotFound("passkey")
        await record(conn, person.customer_id, "passkey_removed", whence)
        await desk.tell(conn, person.customer_id, "passkey_removed", device_name=name)

    await desk.decide(remove)


async def passkey_sign_in_options(desk: PeopleDesk) -> tuple[str, Json]:
    """A ticket, and what `navigator.credentials.get` is given: the passkey will say whose it is."""

    async def begin(conn: Connection) -> tuple[str, Json]:
        challenge, options = _request_options(desk)
        return await issue_ticket(conn, "passkey sign-in", None, challenge), options

    return await desk.decide(begin)


async def passkey_confirmation_options(desk: PeopleDesk, person: SignedIn) -> tuple[str, Json]:
    """The same, for the person of a session."""

    async def begin(conn: Connection) -> tuple[str, Json]:
        known = await conn.fetch(
            """SELECT credential_id FROM people p JOIN passkeys k USING (customer_id)
                WHERE customer_id = $1 ORDER BY k.id""",
            person.customer_id,
        )
        if not known:
            raise NotFound("passkey")
        challenge, options = _request_options(desk, [row["credential_id"] for row in known])
        ticket = await issue_ticket(conn, "passkey confirmation", person.customer_id, challenge)
        return ticket, options

    return await desk.decide(begin)


def _request_options(desk: PeopleDesk, allowed: list[bytes] | None = None) -> tuple[bytes, Json]:
    from webauthn import generate_authentication_options
    from webauthn.helpers import options_to_json_dict
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor, UserVerificationRequirement

    options = generate_authentication_options(
        rp_id=desk.here.settings.rp_id,
        allow_credentials=[PublicKeyCredentialDescriptor(id=each) for each in allowed or ()],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options.challenge, options_to_json_dict(options)


async def sign_in_with_passkey(desk: PeopleDesk, ticket: str, credential: Json, whence: Whence) -> Welcome:
    """Open a session; a passkey with user verification is two factors by itself.

    Raises `TooManyAttempts`, `StepExpired` and `PasskeyRefused`.
    """
    address = counted_as(desk.key, "sign-in from", network_of(whence.from_address), PER_ADDRESS)

    async def finish(conn: Connection) -> Welcome | FlorinError:
        await count_attempt(conn, [address])
        used = await use_ticket(conn, "passkey sign-in", ticket)
        if used is None:
            return StepExpired()
        customer_id = await _use_passkey(conn, desk, credential, used.challenge)
        if customer_id is None:
            return PasskeyRefused()
        await take_back(conn, address)
        return await welcome(conn, desk, customer_id, "passkey", whence)

    return await desk.decide(finish)


async def confirm_by_passkey(desk: PeopleDesk, person: SignedIn, ticket: str, credential: Json) -> None:
    """Confirm the session with a passkey of its person. Raises `StepExpired` and `PasskeyRefused`."""

    async def confirm(conn: Connection) -> FlorinError | None:
        used = await use_ticket(conn, "passkey confirmation", ticket)
        if used is None or used.customer_id != person.customer_id:
            return StepExpired()
        if await _use_passkey(conn, desk, credential, used.challenge) != person.customer_id:
            return PasskeyRefused()
        await note_confirmation(conn, person, "passkey")
        return None

    await desk.decide(confirm)


async def _use_passkey(
    conn: Connection, desk: PeopleDesk, credential: Json, challenge: bytes
) -> uuid.UUID | None:
    """Whose passkey signed `challenge` with this assertion, or None. Its counter must have grown."""
    from webauthn import verify_authentication_response

    try:
        credential_id = base64url.decode(str(credential.get("id", "")))
        handle = (credential.get("response") or {}).get("userHandle")
        row = await conn.fetchrow(
            """SELECT id, customer_id, public_key, sign_count FROM passkeys
                WHERE credential_id = $1 FOR UPDATE""",
            credential_id,
        )
        if row is None or (handle and base64url.decode(str(handle)) != row["customer_id"].bytes):
            return None
        verified = verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=desk.here.settings.rp_id,
            expected_origin=list(desk.here.settings.origins),
            credential_public_key=row["public_key"],
            credential_current_sign_count=row["sign_count"],
            require_user_verification=True,
        )
    except asyncpg.PostgresError:
        raise
    except Exception:
        return None
    await conn.execute(
        "UPDATE passkeys SET sign_count = $2, last_used_at = now() WHERE id = $1",
        row["id"],
        verified.new_sign_count,
    )
    customer_id: uuid.UUID = row["customer_id"]
    return customer_id


def signer_credential(credential_id: bytes, public_key: bytes) -> dict[str, str | int]:
    """A passkey as the signer binds it: `public_key` is COSE; an ES256 key becomes x | y, Ed25519 stays."""
    from webauthn.helpers import decode_credential_public_key

    decoded: Any = decode_credential_public_key(public_key)
    plain = decoded.x + decoded.y if int(decoded.alg) == _ALGORITHMS[0] else decoded.x
    return {
        "credential_id": base64url.encode(credential_id),
        "algorithm": int(decoded.alg),
        "public_key": base64url.encode(plain),
    }


async def credential_of_passkey(
    conn: Connection, customer_id: uuid.UUID, passkey_id: uuid.UUID
) -> dict[str, str | int]:
    """A person's passkey as the signer binds it. Raises `NotFound`."""
    row = await conn.fetchrow(
        "SELECT credential_id, public_key FROM passkeys WHERE id = $1 AND customer_id = $2",
        passkey_id,
        customer_id,
    )
    if row is None:
        raise NotFound("passkey")
    return signer_credential(row["credential_id"], row["public_key"])


_COLUMNS: Final = "id, credential_id, name, created_at, last_used_at"


def _answer(row: Any) -> Json:
    return {
        "passkey_id": str(row["id"]),
        "credential_id": base64url.encode(row["credential_id"]),
        "name": row["name"],
        "created_at": row["created_at"].isoformat(),
        "last_used_at": row["last_used_at"] and row["last_used_at"].isoformat(),
    }
