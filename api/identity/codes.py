"""One-time codes: six digits, good once, for ten minutes, for five tries.

One code at a time waits for each thing that needs one; a new one takes the old one's place. What is kept is a
keyed hash, bound to the purpose and to the thing.
"""

from __future__ import annotations

import hmac
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    import uuid

    from api.database import Connection
    from api.identity.people_key import PeopleKey

CodePurpose = Literal["registration", "recovery", "contact"]

DIGITS: Final = 6
TRIES: Final = 5
LIFETIME: Final = timedelta(minutes=10)


async def issue_code(conn: Connection, key: PeopleKey, purpose: CodePurpose, subject: uuid.UUID) -> str:
    """Make a code for `subject` and return it, to be sent; codes that are over are cleared away."""
    code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
    await conn.execute(
        """DELETE FROM one_time_codes WHERE subject IN
           (SELECT subject FROM one_time_codes WHERE expires_at < now() LIMIT 100 FOR UPDATE SKIP LOCKED)"""
    )
    await conn.execute(
        """INSERT INTO one_time_codes (subject, purpose, code_hash, tries_left, expires_at)
           VALUES ($1, $2, $3, $4, now() + $5::interval)
           ON CONFLICT (subject) DO UPDATE SET purpose = excluded.purpose, code_hash = excluded.code_hash,
              tries_left = excluded.tries_left, expires_at = excluded.expires_at""",
        subject,
        purpose,
        _hash_of(key, purpose, subject, code),
        TRIES,
        LIFETIME,
    )
    return code


async def use_code(
    conn: Connection, key: PeopleKey, purpose: CodePurpose, subject: uuid.UUID, typed: str
) -> bool:
    """Whether `typed` is the code of `subject`, which is used up then; a wrong try is counted.

    The caller must commit in both cases. Parallel tries wait for each other: five of them are five.
    """
    row = await conn.fetchrow(
        """SELECT code_hash, tries_left > 0 AND expires_at > now() AS is_live FROM one_time_codes
            WHERE subject = $1 AND purpose = $2 FOR UPDATE""",
        subject,
        purpose,
    )
    given = _hash_of(key, purpose, subject, "".join(typed.split()))
    if row is None or not row["is_live"]:
        return False
    if hmac.compare_digest(given, row["code_hash"]):
        await conn.execute("DELETE FROM one_time_codes WHERE subject = $1", subject)
        return True
    await conn.execute("UPDATE one_time_codes SET tries_left = tries_left - 1 WHERE subject = $1", subject)
    return False


def _hash_of(key: PeopleKey, purpose: CodePurpose, subject: uuid.UUID, code: str) -> bytes:
    return key.hash_of("one-time code", purpose, str(subject), code)
