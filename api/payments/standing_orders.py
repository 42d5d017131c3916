"""A person's standing orders: approved once, by a mandate; paused, resumed, skipped once, ended."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from api.addresses import address_text
from api.errors import NotFound
from api.payments import mandates
from api.payments.errors import NotTheNextRun, OrderEnded, ScheduleRefused
from api.payments.own_mandates import prepare_mandate, take_mandate
from api.payments.own_schemas import OwnMandateBody
from api.payments.schedule import Schedule, due_moment, mandate_cap_minor

if TYPE_CHECKING:
    import uuid

    from api.database import Connection
    from api.identity.sessions import SignedIn
    from api.institution import Institution
    from api.payments.order_schemas import ApprovedOrderBody, StandingOrderBody

WITHOUT_END: Final = timedelta(days=5 * 365)
"""How long the mandate of an order without a last day is good: then it must be approved again."""
_AFTER_THE_LAST: Final = timedelta(days=32)  # the longest that retries can take
_SHOWN: Final = 5
_MAX_CAP_MINOR: Final = 2**40 - 1

_ORDER = """
SELECT o.*, m.payee AS payee_address, m.state AS mandate_state, b.name AS biller_name
  FROM standing_orders o
  JOIN outbox_mandates m ON m.mandate_id = o.id
  LEFT JOIN billers b ON b.reference = o.payee->>'biller_reference'
"""


def schedule_of(row: Any) -> Schedule:
    """The days of an order's row."""
    return Schedule(row["unit"], row["every"], row["first_on"], row["last_on"], row["is_month_end"])


async def prepare_order(
    conn: Connection, institution: Institution, person: SignedIn, reference: str, asked: StandingOrderBody
) -> dict[str, Any]:
    """What there is to approve for an order.

    Raises `ScheduleRefused`, `UnknownCurrency`, and what `prepare_mandate` does.
    """
    institution.require_currency(asked.currency)
    days = _require_days(institution, asked)
    prepared = await prepare_mandate(
        conn,
        institution,
        person,
        reference,
        _mandate_of(institution, asked),
        kind="standing order",
        content_hash=_hash_of(asked),
    )
    return prepared | {"order_id": prepared["mandate_id"], "next_days": days}


async def give_order(
    conn: Connection, institution: Institution, person: SignedIn, asked: ApprovedOrderBody
) -> dict[str, Any]:
    """The order that was prepared, with its mandate; the same again gives the same order.

    Raises what `take_mandate` does, which changes nothing.
    """
    await take_mandate(
        conn,
        institution,
        person,
        _mandate_of(institution, asked),
        mandate_id=asked.order_id,
        approval=asked.approval,
        kind="standing order",
        content_hash=_hash_of(asked),
    )
    first = asked.schedule.day(0)
    assert first is not None, "what was prepared has a first day"
    await conn.execute(
        """INSERT INTO standing_orders
                  (id, customer_id, wallet_id, payee, amount_minor, currency, note, unit, every, first_on,
                   last_on, is_month_end, retries, retry_after_h, next_on, next_attempt_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
               ON CONFLICT (id) DO NOTHING""",
        asked.order_id,
        person.customer_id,
        asked.wallet_id,
        json.dumps(asked.payee.model_dump(mode="json", exclude_none=True)),
        asked.amount_minor,
        asked.currency,
        asked.note,
        asked.unit,
        asked.every,
        asked.first_on,
        asked.last_on,
        asked.is_month_end,
        asked.retries,
        asked.retry_after_h,
        first,
        due_moment(first, _zone_of(institution)),
    )
    return await own_order(conn, person, asked.order_id)


async def own_orders(conn: Connection, person: SignedIn) -> dict[str, Any]:
    """A person's standing orders, the newest first."""
    rows = await conn.fetch(
        _ORDER + "WHERE o.customer_id = $1 ORDER BY o.created_at DESC, o.id", person.customer_id
    )
    runs = await _runs_of(conn, [row["id"] for row in rows])
    return {"orders": [_answer(row, runs.get(row["id"], [])) for row in rows]}


async def own_order(conn: Connection, person: SignedIn, order_id: uuid.UUID) -> dict[str, Any]:
    """One of them. Raises `NotFound`; another's looks the same."""
    row = await conn.fetchrow(_ORDER + "WHERE o.customer_id = $1 AND o.id = $2", person.customer_id, order_id)
    if row is None:
        raise NotFound("standing order")
    return _answer(row, (await _runs_of(conn, [order_id])).get(order_id, []))


async def pause(conn: Connection, person: SignedIn, order_id: uuid.UUID) -> dict[str, Any]:
    """Make no runs until it is resumed; again changes nothing. Raises `NotFound` and `OrderEnded`."""
    row = await _lock(conn, person, order_id)
    _require_open(row)
    await conn.execute("UPDATE standing_orders SET state = 'paused' WHERE id = $1", order_id)
    return await own_order(conn, person, order_id)


async def resume(
    conn: Connection, institution: Institution, person: SignedIn, order_id: uuid.UUID
) -> dict[str, Any]:
    """Make runs again, from the next day on that is not over; what came in the pause is not made up for.

    Again changes nothing. Raises `NotFound` and `OrderEnded`.
    """
    row = await _lock(conn, person, order_id)
    _require_open(row)
    if row["state"] == "paused":
        zone, now = _zone_of(institution), datetime.now(UTC)
        today = now.astimezone(zone).date()
        start = today if due_moment(today, zone) > now else today + timedelta(days=1)
        following = schedule_of(row).from_day(max(start, row["next_on"]))
        await move_on(conn, institution, order_id, following, state="active")
    return await own_order(conn, person, order_id)


async def skip(
    conn: Connection, institution: Institution, person: SignedIn, order_id: uuid.UUID, due_on: date
) -> dict[str, Any]:
    """Leave the next run out; again changes nothing. Raises `NotFound`, `OrderEnded`, `NotTheNextRun`."""
    row = await _lock(conn, person, order_id)
    was_skipped = await conn.fetchval(
        """SELECT EXISTS (SELECT FROM standing_order_runs
                           WHERE order_id = $1 AND due_on = $2 AND outcome = 'skipped')""",
        order_id,
        due_on,
    )
    if not was_skipped:
        _require_open(row)
        if row["next_on"] != due_on:
            raise NotTheNextRun(row["next_on"].isoformat())
        await record_run(conn, order_id, due_on, "skipped")
        await move_on(conn, institution, order_id, schedule_of(row).after(due_on), state=row["state"])
    return await own_order(conn, person, order_id)


async def end(conn: Connection, person: SignedIn, order_id: uuid.UUID) -> dict[str, Any]:
    """End the order and its mandate; again changes nothing. Raises `NotFound`."""
    await _lock(conn, person, order_id)
    await conn.execute(
        """UPDATE standing_orders SET state = 'ended', next_on = NULL, next_attempt_at = NULL
            WHERE id = $1""",
        order_id,
    )
    await mandates.revoke(conn, order_id)
    return await own_order(conn, person, order_id)


async def record_run(
    conn: Connection,
    order_id: uuid.UUID,
    due_on: date,
    outcome: str,
    *,
    payment_id: uuid.UUID | None = None,
    code: str | None = None,
) -> None:
    """Write down what became of a run: once, in the transaction that decided it."""
    await conn.execute(
        """INSERT INTO standing_order_runs (order_id, due_on, outcome, payment_id, code)
           VALUES ($1, $2, $3, $4, $5)""",
        order_id,
        due_on,
        outcome,
        payment_id,
        code,
    )


async def move_on(
    conn: Connection,
    institution: Institution,
    order_id: uuid.UUID,
    next_on: date | None,
    *,
    state: str = "active",
    code: str | None = None,
) -> None:
    """The order waits for its next run; without one it has ended."""
    await conn.execute(
        """UPDATE standing_orders
              SET state = $2, code = $3, next_on = $4, next_attempt_at = $5, attempts = 0 WHERE id = $1""",
        order_id,
        "ended" if next_on is None else state,
        code,
        next_on,
        None if next_on is None else due_moment(next_on, _zone_of(institution)),
    )


async def _lock(conn: Connection, person: SignedIn, order_id: uuid.UUID) -> Any:
    row = await conn.fetchrow(
        "SELECT * FROM standing_orders WHERE id = $1 AND customer_id = $2 FOR UPDATE",
        order_id,
        person.customer_id,
    )
    if row is None:
        raise NotFound("standing order")
    return row


def _require_open(row: Any) -> None:
    if row["state"] == "ended":
        raise OrderEnded


def _require_days(institution: Institution, asked: StandingOrderBody) -> list[date]:
    """The first days. Raises `ScheduleRefused` where they cannot be."""
    today = datetime.now(_zone_of(institution)).date()
    days = list(islice(asked.schedule.days(asked.first_on), _SHOWN))
    if asked.first_on < today:
        raise ScheduleRefused("The first day is over: choose today or a later one.")
    if not days:
        raise ScheduleRefused("There is no run until the last day: choose a later one.")
    if asked.first_on > today + WITHOUT_END or (asked.last_on or today) > today + 2 * WITHOUT_END:
        raise ScheduleRefused("Choose a first day within five years, and a last day within ten.")
    if mandate_cap_minor(asked.amount_minor, asked.retries) > _MAX_CAP_MINOR:
        raise ScheduleRefused("The amount is too large to be tried again: choose no retries.")
    return days


def _mandate_of(institution: Institution, asked: StandingOrderBody) -> OwnMandateBody:
    """The mandate that covers an order: it follows from the order's content alone."""
    zone = _zone_of(institution)
    last = asked.last_on + _AFTER_THE_LAST if asked.last_on else asked.first_on + WITHOUT_END
    return OwnMandateBody(
        wallet_id=asked.wallet_id,
        payee=asked.payee,
        cap_minor=mandate_cap_minor(asked.amount_minor, asked.retries),
        period=asked.unit,
        starts_at_s=int(due_moment(asked.first_on - timedelta(days=1), zone).timestamp()),
        expires_at_s=int(due_moment(last, zone).timestamp()),
    )


def _zone_of(institution: Institution) -> ZoneInfo:
    return ZoneInfo(institution.settings.time_zone)


def _hash_of(asked: StandingOrderBody) -> bytes:
    content = asked.model_dump(mode="json", exclude={"order_id", "approval"})
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()


async def _runs_of(conn: Connection, order_ids: list[uuid.UUID]) -> dict[uuid.UUID, list[Any]]:
    """order -> its latest runs, the latest first."""
    rows = await conn.fetch(
        """SELECT r.* FROM unnest($1::uuid[]) AS o (id)
            CROSS JOIN LATERAL (SELECT * FROM standing_order_runs WHERE order_id = o.id
                                 ORDER BY due_on DESC LIMIT $2) r""",
        order_ids,
        2 * _SHOWN,
    )
    runs: dict[uuid.UUID, list[Any]] = {}
    for row in rows:
        runs.setdefault(row["order_id"], []).append(row)
    return runs


def _answer(row: Any, runs: list[Any]) -> dict[str, Any]:
    days = islice(schedule_of(row).days(row["next_on"]), _SHOWN) if row["next_on"] else ()
    mandate_state = {"queued": "requested", "revoking": "revoked"}.get(row["mandate_state"])
    same = (
        "wallet_id", "amount_minor", "currency", "note", "unit", "every", "first_on", "last_on",
        "is_month_end", "retries", "retry_after_h", "attempts", "state", "code",
    )  # fmt: skip
    waits = row["next_attempt_at"] if row["state"] == "active" else None
    return {name: row[name] for name in same} | {
        "order_id": row["id"],
        "mandate_state": mandate_state or row["mandate_state"],
        "payee": address_text(row["payee_address"]),
        "payee_name": row["biller_name"],
        "next_attempt_at": waits,
        "next_days": list(days),
        "runs": [
            {name: run[name] for name in ("due_on", "outcome", "payment_id", "code", "decided_at")}
            for run in runs
        ],
    }
