"""HTTP for a person about what they were told, and what they wish to be told of."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from api.database import transaction
from api.fields import Answer, Body
from api.identity.guard import ByPerson, GuardedRoute
from api.institution import Here
from api.notifications import feed, people
from api.notifications.kinds import Language

router = APIRouter(prefix="/v1/me", route_class=GuardedRoute, tags=["me"])


class FeedItemAnswer(Answer):
    """One thing that a person was told, in words and as values; the next page's `before` takes `seq`."""

    seq: int
    kind: str
    subject: str
    text: str
    values: dict[str, str | int]
    noted_at: str
    is_read: bool


class FeedAnswer(Answer):
    """A page of a person's feed, the newest first."""

    notifications: list[FeedItemAnswer]
    unread: int


class ReadBody(Body):
    """How far a person has read."""

    up_to: Annotated[int, Field(ge=0, le=2**63 - 1)]


class PreferenceBody(Body):
    """One wish: whether a kind of message comes this way."""

    kind: str = Field(max_length=50)
    channel: str = Field(max_length=20)
    is_on: bool


class PreferencesBody(Body):
    """Wishes, and a language; what is not named stays as it is."""

    language: Literal["en", "zh"] | None = None
    preferences: list[PreferenceBody] = Field(default=[], max_length=200)


class PreferenceAnswer(Answer):
    """Whether a kind of message comes this way, and whether its reader may choose."""

    kind: str
    channel: str
    is_on: bool
    can_change: bool


class PreferencesAnswer(Answer):
    """The language of messages, and every kind by every way."""

    language: Language
    preferences: list[PreferenceAnswer]


Before = Annotated[int | None, Query(ge=1, le=2**63 - 1)]
Limit = Annotated[int, Query(ge=1, le=feed.LONGEST_PAGE)]


@router.get("/notifications", response_model=FeedAnswer)
async def notifications(
    here: Here, person: ByPerson, before: Before = None, limit: Limit = 20, language: Language | None = None
) -> Any:
    """What they were told, the newest first; in their language, or the one that is asked for."""
    async with here.pool.acquire() as conn:
        items = await feed.feed_of(conn, person.customer_id, before_seq=before, limit=limit)
        spoken = language or await people.language_of(conn, person.customer_id)
        unread = await feed.unread_of(conn, person.customer_id)
    return {"notifications": [item.as_json(spoken) for item in items], "unread": unread}


@router.post("/notifications:read", status_code=204)
async def mark_read(here: Here, person: ByPerson, body: ReadBody) -> Response:
    """They have read all up to an item; what was read stays read."""
    async with transaction(here.pool) as conn:
        await feed.mark_read(conn, person.customer_id, body.up_to)
    return Response(status_code=204)


@router.get("/notification-preferences", response_model=PreferencesAnswer)
async def preferences(here: Here, person: ByPerson) -> Any:
    """What comes to them, by which way. Messages about the safety of their access always do."""
    async with here.pool.acquire() as conn:
        found = await people.preferences_of(conn, person.customer_id)
        language = await people.language_of(conn, person.customer_id)
    return {"language": language, "preferences": [each.as_json() for each in found]}


@router.put("/notification-preferences", response_model=PreferencesAnswer)
async def choose_preferences(here: Here, person: ByPerson, body: PreferencesBody) -> Any:
    """Note wishes, all or none of them."""
    wishes = [(each.kind, each.channel, each.is_on) for each in body.preferences]
    async with transaction(here.pool) as conn:
        await people.choose(conn, person.customer_id, wishes)
        if body.language is not None:
            await people.enrol(conn, person.customer_id, body.language)
        found = await people.preferences_of(conn, person.customer_id)
        language = await people.language_of(conn, person.customer_id)
    return {"language": language, "preferences": [each.as_json() for each in found]}
