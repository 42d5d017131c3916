"""Standing orders that are due are run, each run once: whoever runs it, and whenever this process ends.

The run, its payment and the order's next day are one transaction over the locked order; the payment's id is
made of order, day and attempt. The next latest run after a downtime is made, those before it are missed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal
from zoneinfo import ZoneInfo

from api.database import run_in_transaction
from api.errors import FlorinError
from api.payments.pay import pay_in, preflight
from api.payments.requests import PaymentRequest, payment_request
from api.payments.schedule import Schedule, due_moment
from api.payments.schemas import PayeeBody, PaymentBody
from api.payments.standing_orders import move_on, record_run, schedule_of

if TYPE_CHECKING:
    import uuid
    from collections.abc import Collection

    from api.database import Connection
    from api.institution import Institution

POSTPONED: Final = timedelta(hours=1)

LACKING: Final = frozenset({"InsufficientFunds", "FundsHeld"})
"""Too little money: the person's own rule says how often it is tried again."""
PASSING: Final = frozenset(
    {
        "CurrencyPaused",
        "FlowFrozen",
        "InsufficientInventory",
        "MandateNotReady",
        "MandateNotYetValid",
        "ParticipantFrozen",
        "ParticipantSuspended",
        "PayerNotRegistered",
    }
)
"""What the bank or the chain cannot do just now: it is no refusal of this run, and tried again soon."""
GONE: Final = frozenset({"MandateExpired", "MandateRefused", "MandateRevoked", "MandateUnknown"})
"""The order's authority has ended, and so has the order."""

Next = Literal["retry", "fail", "end"]


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be run now: one day, and those before it that were missed."""

    day: date
    missed: tuple[date, ...]


def what_is_due(schedule: Schedule, next_on: date, now: datetime, zone: ZoneInfo) -> Due:
    """The latest day from `next_on` on whose moment has come."""
    today = now.astimezone(zone).date()
    until = today if due_moment(today, zone) <= now else today - timedelta(days=1)
    latest = schedule.latest_until(until, next_on) or next_on
    missed = []
    for day in schedule.days(next_on):
        if day >= latest:
            break
        missed.append(day)
    return Due(latest, tuple(missed))


def after_refusal(
    codes: Collection[str], attempts: int, retries: int, retry_at: datetime, next_due_at: datetime | None
) -> Next:
    """What follows a refusal: a retry, while only money is lacking and before the next run is due."""
    if GONE & set(codes):
        return "end"
    is_lacking = bool(codes) and set(codes) <= LACKING
    is_in_time = next_due_at is None or retry_at < next_due_at
    return "retry" if is_lacking and attempts <= retries and is_in_time else "fail"


async def run_due(institution: Institution, now: datetime) -> int:
    """Run every order that is due at `now`; how many there were. Safe to repeat, and beside another one."""
    count = 0
    while await run_in_transaction(institution.pool, lambda conn: _run_one(conn, institution, now)):
        count += 1
    return count


async def _run_one(conn: Connection, institution: Institution, now: datetime) -> bool:
    """Run the order that has waited longest; whether there was one."""
    row = await conn.fetchrow(
        """SELECT * FROM standing_orders WHERE state = 'active' AND next_attempt_at <= $1
            ORDER BY next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED""",
        now,
    )
    if row is None:
        return False
    zone = ZoneInfo(institution.settings.time_zone)
    due = what_is_due(schedule_of(row), row["next_on"], now, zone)
    attempts = row["attempts"] if due.day == row["next_on"] else 0
    for day in due.missed:
        # one that was being tried again has failed by now
        is_tried = day == row["next_on"] and row["attempts"] > 0
        outcome, code = ("failed", row["code"]) if is_tried else ("missed", None)
        await record_run(conn, row["id"], day, outcome, code=code)
    request = _request_of(institution, row, due.day, attempts + 1)
    codes = await _passing_reasons(conn, institution, request)
    if codes:
        await _wait(conn, row["id"], due.day, attempts, until=now + POSTPONED, code=codes[0])
        return True
    (outcome_now,) = await pay_in(conn, institution, [request])
    if isinstance(outcome_now, FlorinError):
        raise outcome_now
    if not outcome_now.reasons:
        await record_run(conn, row["id"], due.day, "accepted", payment_id=request.payment_id)
        await move_on(conn, institution, row["id"], schedule_of(row).after(due.day))
        return True
    await _refused(
        conn,
        institution,
        row,
        day=due.day,
        attempts=attempts + 1,
        payment_id=request.payment_id,
        codes=[reason["code"] for reason in outcome_now.reasons],
        now=now,
    )
    return True


async def _refused(
    conn: Connection,
    institution: Institution,
    row: Any,
    *,
    day: date,
    attempts: int,
    payment_id: uuid.UUID,
    codes: list[str],
    now: datetime,
) -> None:
    """Try again later, or the run has failed; with its mandate, the order has ended."""
    following = schedule_of(row).after(day)
    zone = ZoneInfo(institution.settings.time_zone)
    retry_at = now + timedelta(hours=row["retry_after_h"])
    next_due_at = None if following is None else due_moment(following, zone)
    decided = after_refusal(codes, attempts, row["retries"], retry_at, next_due_at)
    if decided == "retry":
        await _wait(conn, row["id"], day, attempts, until=retry_at, code=codes[0])
        return
    await record_run(conn, row["id"], day, "failed", payment_id=payment_id, code=codes[0])
    await move_on(conn, institution, row["id"], None if decided == "end" else following, code=codes[0])


async def _wait(
    conn: Connection, order_id: uuid.UUID, day: date, attempts: int, *, until: datetime, code: str
) -> None:
    await conn.execute(
        """UPDATE standing_orders SET next_on = $2, attempts = $3, next_attempt_at = $4, code = $5
            WHERE id = $1""",
        order_id,
        day,
        attempts,
        until,
        code,
    )


async def _passing_reasons(conn: Connection, institution: Institution, request: PaymentRequest) -> list[str]:
    """Why it cannot be made just now, where nothing else stands against it."""
    found = await preflight(conn, institution, request)
    codes = [reason.code for reason in found.decision.reasons]
    return codes if codes and set(codes) <= PASSING else []


def _request_of(institution: Institution, row: Any, day: date, attempt: int) -> PaymentRequest:
    """The payment of one attempt at one run: the same whoever asks."""
    body = PaymentBody(
        payer_wallet_id=row["wallet_id"],
        payee=PayeeBody.model_validate_json(row["payee"]),
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        note=row["note"],
        mandate_id=row["id"],
    )
    return payment_request(institution, f"order:{row['id']}", f"{day.isoformat()}.{attempt}", body)
