"""Where a person is reached, in which language, and what they wish to hear of.

The identity room says which addresses are theirs, once they have shown that they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from api.notifications.errors import SecurityAlertsStay, UnknownPreference
from api.notifications.kinds import CHANNELS, IN_APP, KINDS, Channel, Language

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence

    from api.database import Connection


@dataclass(frozen=True, slots=True)
class Preference:
    """Whether a kind of message takes a way (`in_app`, `email`, `sms`), and whether its reader may choose."""

    kind: str
    channel: str
    is_on: bool
    can_change: bool = True

    def as_json(self) -> dict[str, Any]:
        """The preference as its person sees it."""
        return {
            "kind": self.kind,
            "channel": self.channel,
            "is_on": self.is_on,
            "can_change": self.can_change,
        }


async def enrol(conn: Connection, customer_id: uuid.UUID, language: Language | None = None) -> None:
    """From now on this customer is told what happens; a language replaces the one that was."""
    await conn.execute(
        """INSERT INTO notification_people (customer_id, language) VALUES ($1, coalesce($2, 'en'))
           ON CONFLICT (customer_id) DO UPDATE SET language = $2 WHERE $2 IS NOT NULL""",
        customer_id,
        language,
    )


async def set_address(
    conn: Connection, customer_id: uuid.UUID, channel: Channel, address: str | None
) -> None:
    """Where to reach them by this channel from now on; None: not at all. They are enrolled by it."""
    column = {"email": "email", "sms": "phone"}[channel]
    await conn.execute(
        f"""INSERT INTO notification_people (customer_id, {column}) VALUES ($1, $2)
            ON CONFLICT (customer_id) DO UPDATE SET {column} = $2""",  # noqa: S608 - one of two literals
        customer_id,
        address,
    )


async def language_of(conn: Connection, customer_id: uuid.UUID) -> Language:
    """The language that they chose, or English."""
    language: Language | None = await conn.fetchval(
        "SELECT language FROM notification_people WHERE customer_id = $1", customer_id
    )
    return language or "en"


async def preferences_of(conn: Connection, customer_id: uuid.UUID) -> list[Preference]:
    """What takes which way to this person, for every kind that is not a code."""
    rows = await conn.fetch(
        "SELECT kind, channel, is_on FROM notification_preferences WHERE customer_id = $1", customer_id
    )
    chosen = {(row["kind"], row["channel"]): row["is_on"] for row in rows}
    found = []
    for name, kind in KINDS.items():
        if kind.is_secret:
            continue
        for channel in (IN_APP, *CHANNELS):
            usual = kind.is_security or channel == IN_APP or channel in kind.channels
            is_on = usual if kind.is_security else chosen.get((name, channel), usual)
            found.append(Preference(name, channel, is_on, can_change=not kind.is_security))
    return found


async def choose(conn: Connection, customer_id: uuid.UUID, wishes: Sequence[tuple[str, str, bool]]) -> None:
    """Note wishes, each a kind, a way and whether it is on; the last word about one counts.

    Raises `SecurityAlertsStay` and `UnknownPreference`, and changes nothing then.
    """
    noted: dict[tuple[str, str], bool] = {}
    for name, channel, is_on in wishes:
        kind = KINDS.get(name)
        if kind is None or kind.is_secret or channel not in {IN_APP, *CHANNELS}:
            raise UnknownPreference(name, channel)
        if kind.is_security:
            if not is_on:
                raise SecurityAlertsStay(name)
            continue
        noted[name, channel] = is_on
    await enrol(conn, customer_id)
    await conn.execute(
        """INSERT INTO notification_preferences (customer_id, kind, channel, is_on)
           SELECT $1, * FROM unnest($2::text[], $3::text[], $4::boolean[])
           ON CONFLICT (customer_id, kind, channel) DO UPDATE SET is_on = excluded.is_on""",
        customer_id,
        [name for name, _ in noted],
        [channel for _, channel in noted],
        list(noted.values()),
    )
