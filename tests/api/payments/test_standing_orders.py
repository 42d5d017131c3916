"""A person's standing orders.

Giving
├── prepared: a mandate over the payee whose cap covers one run a period, two with retries; the first days
├── given with the passkey's yes: active, waiting for its first day; again: the same
├── other content than prepared, or another's: refused, not found
└── days that cannot be: ScheduleRefused
Running
├── before its moment: nothing; at its moment: one payment under the mandate, and the next day
├── two workers at once, and again: one payment a run
├── after a downtime: the latest run once, those before it missed
├── too little money: tried again as its person chose, then failed; the next run is made
│   └── not beyond the next run's day
├── what the bank cannot do just now: postponed, without a refusal
├── any other refusal: failed at once
├── a mandate that is gone: the order has ended
└── after its last day: ended
Pausing, resuming, skipping, ending: by their person alone, each safe to repeat
└── nothing runs while paused, and what came then is not made up for
"""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from api.payments.order_runs import after_refusal, run_due, what_is_due
from api.payments.schedule import Schedule, due_moment
from tests.api.offices import open_office
from tests.api.people import Person, sign_in

if TYPE_CHECKING:
    from tests.api.passkeys import Passkey

ZONE = ZoneInfo("Europe/Prague")
TODAY = datetime.now(ZONE).date()


def asked(person: Person, **changes: Any) -> dict[str, Any]:
    body = {
        "wallet_id": person.wallet_id,
        "payee": {"biller_reference": "b-1"},
        "amount_minor": 100_000,
        "currency": "CZK",
        "note": "rent",
        "unit": "day",
        "first_on": TODAY.isoformat(),
    }
    return body | changes


async def prepared(person: Person, **changes: Any) -> dict[str, Any]:
    response = await person.post("/standing-orders:prepare", asked(person, **changes))
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def with_yes(person: Person, passkey: Passkey, found: dict[str, Any], **changes: Any) -> dict[str, Any]:
    approval = {
        "expires_at_s": found["to_sign"]["message"]["approvalExpiresAt"],
        **passkey.assertion(found["challenge"]),
    }
    return asked(person, **changes) | {"order_id": found["order_id"], "approval": approval}


async def give(person: Person, passkey: Passkey, **changes: Any) -> str:
    """An order whose mandate is active, and was from long ago: these tests look into the future."""
    found = await prepared(person, **changes)
    given = await person.post("/standing-orders", with_yes(person, passkey, found, **changes))
    assert given.status_code == 202, given.text
    owner = await asyncpg.connect(person.office.database.superuser_url)
    await owner.execute("UPDATE outbox_mandates SET state = 'active', starts_at_s = 1")
    await owner.close()
    return str(found["order_id"])


async def order_of(person: Person, order_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await person.get(f"/standing-orders/{order_id}")).json()
    return found


def at(day: date, hours: int = 0) -> datetime:
    return due_moment(day, ZONE) + timedelta(hours=hours)


async def run(person: Person, day: date, hours: int = 0) -> int:
    return await run_due(person.office.institution, at(day, hours))


def runs_of(order: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(each["outcome"], each["code"]) for each in reversed(order["runs"])]


def day_of(number: int) -> date:
    return TODAY + timedelta(days=number)


async def test_an_order_is_approved_by_a_mandate_that_covers_it(person: Person, passkey: Passkey) -> None:
    found = await prepared(person, retries=2)
    message = found["to_sign"]["message"]
    assert (message["cap"], message["period"], found["payee_name"]) == (200_000, "day", "Gas & Water")
    assert found["next_days"] == [day_of(number).isoformat() for number in range(5)]
    body = with_yes(person, passkey, found, retries=2)
    given = await person.post("/standing-orders", body)
    assert given.status_code == 202, given.text
    order = given.json()
    assert (order["state"], order["mandate_state"], order["runs"]) == ("active", "requested", [])
    assert datetime.fromisoformat(order["next_attempt_at"]) == at(TODAY)
    assert (await person.post("/standing-orders", body)).json() == order
    assert (await person.get("/standing-orders")).json() == {"orders": [order]}
    assert (await prepared(person))["to_sign"]["message"]["cap"] == 100_000


@pytest.mark.parametrize(
    "changes", [{"amount_minor": 100_001}, {"every": 2}, {"retries": 1}, {"note": "x"}, {"unit": "week"}]
)
async def test_another_order_than_prepared_is_refused(
    person: Person, passkey: Passkey, changes: dict[str, Any]
) -> None:
    found = await prepared(person)
    refused = await person.post("/standing-orders", with_yes(person, passkey, found) | changes)
    assert (refused.status_code, refused.json()["code"]) == (409, "ApprovalMismatch")
    # nor is the mandate given without its order
    terms = {name: found["to_sign"]["message"][name] for name in ("startsAt", "expiresAt")}
    mandate = {
        "wallet_id": person.wallet_id,
        "payee": {"biller_reference": "b-1"},
        "cap_minor": 100_000,
        "period": "day",
        "starts_at_s": terms["startsAt"],
        "expires_at_s": terms["expiresAt"],
        "mandate_id": found["mandate_id"],
        "approval": with_yes(person, passkey, found)["approval"],
    }
    assert (await person.post("/mandates", mandate)).status_code == 404


@pytest.mark.parametrize(
    "changes",
    [
        {"first_on": (TODAY - timedelta(days=1)).isoformat()},
        {"first_on": (TODAY + timedelta(days=3_000)).isoformat()},
        {"last_on": (TODAY - timedelta(days=1)).isoformat()},
        {"amount_minor": 2**40 - 1, "retries": 1},
    ],
)
async def test_days_that_cannot_be_are_refused(person: Person, changes: dict[str, Any]) -> None:
    refused = await person.post("/standing-orders:prepare", asked(person, **changes))
    assert (refused.status_code, refused.json()["code"]) == (422, "ScheduleRefused")
    month_end = await person.post("/standing-orders:prepare", asked(person, is_month_end=True))
    assert month_end.json()["code"] == "MalformedRequest"


async def test_each_run_is_one_payment_under_the_mandate(person: Person, passkey: Passkey) -> None:
    order_id = await give(person, passkey, last_on=day_of(1).isoformat())
    assert await run(person, TODAY, -1) == 0
    assert await run(person, TODAY) == 1
    assert await run(person, TODAY, 23) == 0
    order = await order_of(person, order_id)
    assert runs_of(order) == [("accepted", None)]
    paid = (await person.get(f"/payments/{order['runs'][0]['payment_id']}")).json()
    assert (paid["mandate_id"], paid["amount_minor"], paid["note"]) == (order_id, 100_000, "rent")
    assert order["next_days"] == [day_of(1).isoformat()]
    assert await run(person, day_of(1)) == 1
    order = await order_of(person, order_id)
    assert (order["state"], order["next_days"], len(order["runs"])) == ("ended", [], 2)
    assert await run(person, day_of(9)) == 0


async def test_two_workers_make_each_run_once(person: Person, passkey: Passkey) -> None:
    ids = [await give(person, passkey, amount_minor=1_000 + number) for number in range(4)]
    async with open_office(person.office.database) as twin:
        here = (person.office.institution, twin.institution)
        for number in range(3):
            counts = await asyncio.gather(*(run_due(each, at(day_of(number))) for each in here * 2))
            assert sum(counts) == 4
    for order_id in ids:
        assert runs_of(await order_of(person, order_id)) == [("accepted", None)] * 3
    assert await person.office.institution.pool.fetchval("SELECT count(*) FROM payments") == 12


async def test_after_a_downtime_the_latest_run_is_made_once(person: Person, passkey: Passkey) -> None:
    order_id = await give(person, passkey)
    assert await run(person, day_of(3), 2) == 1
    order = await order_of(person, order_id)
    assert runs_of(order) == [("missed", None)] * 3 + [("accepted", None)]
    assert order["next_days"][0] == day_of(4).isoformat()


async def test_too_little_money_is_tried_again_as_chosen(person: Person, passkey: Passkey) -> None:
    order_id = await give(person, passkey, amount_minor=600_000, retries=2, retry_after_h=5)
    for hours, attempts in ((0, 1), (5, 2)):
        assert await run(person, TODAY, hours) == 1
        order = await order_of(person, order_id)
        assert (order["attempts"], order["code"], order["runs"]) == (attempts, "InsufficientFunds", [])
    assert await run(person, TODAY, 9) == 0
    assert await run(person, TODAY, 10) == 1
    order = await order_of(person, order_id)
    assert runs_of(order) == [("failed", "InsufficientFunds")]
    assert (order["attempts"], order["next_days"][0]) == (0, day_of(1).isoformat())
    assert await run(person, day_of(1)) == 1
    await person.office.add_customer(7)  # who has nothing to do with it
    await bring(person, 200_000)
    assert await run(person, day_of(1), 5) == 1
    assert runs_of(await order_of(person, order_id))[1:] == [("accepted", None)]


async def bring(person: Person, amount_minor: int) -> None:
    """The person's account grows, out of customer 9's."""
    from api.database import transaction
    from api.ledger.journal import Entry, Leg, Posting

    async with transaction(person.office.institution.pool) as conn:
        mine, theirs = [
            await conn.fetchval("SELECT ledger_account_id FROM accounts WHERE reference = $1", name)
            for name in ("a-1", "a-9")
        ]
        posting = await Posting.open(conn, [mine, theirs])
        legs = (Leg(theirs, "CZK", amount_minor), Leg(mine, "CZK", -amount_minor))
        posting.post(Entry("opening", "bring", None, legs))
        await posting.write()


async def test_what_the_bank_cannot_do_now_is_postponed(person: Person, passkey: Passkey) -> None:
    order_id = await give(person, passkey)
    pool = person.office.institution.pool
    await pool.execute("INSERT INTO chain_freezes (flow, reason) VALUES ('settle', 'a break')")
    for hours in (0, 1, 2):
        assert await run(person, TODAY, hours) == 1
    order = await order_of(person, order_id)
    assert (order["code"], order["attempts"], order["runs"]) == ("FlowFrozen", 0, [])
    assert await pool.fetchval("SELECT count(*) FROM payments") == 0
    await pool.execute("DELETE FROM chain_freezes")
    assert await run(person, TODAY, 3) == 1
    assert runs_of(await order_of(person, order_id)) == [("accepted", None)]


async def test_any_other_refusal_fails_the_run_at_once(person: Person, passkey: Passkey) -> None:
    order_id = await give(person, passkey, amount_minor=1_600_000, retries=9)
    assert await run(person, TODAY) == 1
    order = await order_of(person, order_id)
    assert runs_of(order) == [("failed", "PerPaymentLimitExceeded")]
    assert (order["state"], order["code"]) == ("active", "PerPaymentLimitExceeded")


async def test_without_its_mandate_an_order_has_ended(person: Person, passkey: Passkey) -> None:
    order_id = await give(person, passkey)
    assert (await person.post(f"/mandates/{order_id}/revocation")).status_code == 200
    assert await run(person, TODAY) == 1
    order = await order_of(person, order_id)
    assert (order["state"], order["code"], runs_of(order)) == (
        "ended",
        "MandateRevoked",
        [("failed", "MandateRevoked")],
    )


async def test_paused_skipped_resumed_and_ended(person: Person, passkey: Passkey) -> None:
    order_id = await give(person, passkey)
    path = f"/standing-orders/{order_id}"
    for _ in range(2):
        assert (await person.post(f"{path}/pause")).json()["state"] == "paused"
    assert await run(person, day_of(2)) == 0
    for _ in range(2):
        resumed = (await person.post(f"{path}/resumption")).json()
        assert resumed["state"] == "active"
    coming = date.fromisoformat(resumed["next_days"][0])
    assert at(coming) > datetime.now(UTC)
    wrong = await person.post(f"{path}/skip", {"due_on": (coming + timedelta(days=1)).isoformat()})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "NotTheNextRun")
    for _ in range(2):
        skipped = (await person.post(f"{path}/skip", {"due_on": coming.isoformat()})).json()
        assert runs_of(skipped) == [("skipped", None)]
        assert skipped["next_days"][0] == (coming + timedelta(days=1)).isoformat()
    assert await run(person, coming) == 0
    for _ in range(2):
        ended = (await person.post(f"{path}/end")).json()
        assert (ended["state"], ended["mandate_state"], ended["next_days"]) == ("ended", "revoked", [])
    for verb in ("pause", "resumption"):
        assert (await person.post(f"{path}/{verb}")).json()["code"] == "OrderEnded"
    assert await run(person, day_of(9)) == 0


async def test_an_order_is_its_persons_alone(person: Person, passkey: Passkey) -> None:
    order_id = await give(person, passkey)
    await person.office.add_customer(2)
    other = await sign_in(person.office, 2)
    assert (await other.get("/standing-orders")).json() == {"orders": []}
    assert (await other.get(f"/standing-orders/{order_id}")).status_code == 404
    for verb in ("pause", "resumption", "end"):
        assert (await other.post(f"/standing-orders/{order_id}/{verb}")).status_code == 404
    skip = {"due_on": TODAY.isoformat()}
    assert (await other.post(f"/standing-orders/{order_id}/skip", skip)).status_code == 404
    assert (await other.post("/standing-orders:prepare", asked(person))).status_code == 404


def test_what_is_due_is_the_latest_run_alone() -> None:
    schedule = Schedule("week", 1, date(2027, 3, 1))
    due = what_is_due(schedule, date(2027, 3, 1), at(date(2027, 3, 22), -1), ZONE)
    assert (due.day, due.missed) == (date(2027, 3, 15), (date(2027, 3, 1), date(2027, 3, 8)))
    due = what_is_due(schedule, date(2027, 3, 22), at(date(2027, 3, 22)), ZONE)
    assert (due.day, due.missed) == (date(2027, 3, 22), ())


@pytest.mark.parametrize(
    ("codes", "attempts", "retry_h", "decided"),
    [
        (["InsufficientFunds"], 1, 5, "retry"),
        (["InsufficientFunds"], 2, 5, "retry"),
        (["InsufficientFunds"], 3, 5, "fail"),
        (["InsufficientFunds"], 1, 24, "fail"),
        (["FundsHeld"], 1, 5, "retry"),
        (["InsufficientFunds", "DailyLimitExceeded"], 1, 5, "fail"),
        (["DailyLimitExceeded"], 1, 5, "fail"),
        (["MandateExpired", "InsufficientFunds"], 1, 5, "end"),
    ],
)
def test_what_follows_a_refusal(codes: list[str], attempts: int, retry_h: int, decided: str) -> None:
    now = at(TODAY)
    retry_at = now + timedelta(hours=retry_h)
    assert after_refusal(codes, attempts, 2, retry_at, at(day_of(1))) == decided
    if decided == "retry":
        assert after_refusal(codes, attempts, 2, retry_at, None) == "retry"
