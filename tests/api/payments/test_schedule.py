"""On which days a standing order is due.

Every day follows from the first one: no drift, whatever is skipped
Months: the day of the first one, or the month's last where it is shorter; leap days; always the last
The first on or after a day, the next after a day, the latest until a day: as counting them one by one
A moment is at six of that day, whatever the clocks did in the night
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.payments.schedule import Schedule, due_moment, mandate_cap_minor
from wallet_node.journal.periods import period_start_s

DAYS = st.dates(date(2000, 1, 1), date(2100, 1, 1))
SCHEDULES = st.builds(
    Schedule,
    unit=st.sampled_from(["day", "week", "month"]),
    every=st.integers(1, 24),
    first_on=DAYS,
    is_month_end=st.booleans(),
)


def first(schedule: Schedule, count: int) -> list[date]:
    return list(islice(schedule.days(schedule.first_on), count))


@pytest.mark.parametrize(
    ("schedule", "days"),
    [
        (Schedule("month", 1, date(2027, 1, 31)), ["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30"]),
        (Schedule("month", 1, date(2028, 1, 30)), ["2028-01-30", "2028-02-29", "2028-03-30"]),
        (Schedule("month", 12, date(2028, 2, 29)), ["2028-02-29", "2029-02-28", "2030-02-28"]),
        (
            Schedule("month", 1, date(2027, 2, 28), is_month_end=True),
            ["2027-02-28", "2027-03-31", "2027-04-30"],
        ),
        (Schedule("month", 1, date(2027, 2, 28)), ["2027-02-28", "2027-03-28"]),
        (Schedule("week", 2, date(2026, 12, 28)), ["2026-12-28", "2027-01-11", "2027-01-25"]),
        (Schedule("day", 3, date(2028, 2, 27)), ["2028-02-27", "2028-03-01", "2028-03-04"]),
    ],
)
def test_days(schedule: Schedule, days: list[str]) -> None:
    assert [each.isoformat() for each in first(schedule, len(days))] == days


def test_after_the_last_day_there_is_none() -> None:
    schedule = Schedule("month", 1, date(2027, 1, 31), last_on=date(2027, 3, 30))
    assert first(schedule, 9) == [date(2027, 1, 31), date(2027, 2, 28)]
    assert schedule.after(date(2027, 2, 28)) is None
    assert Schedule("month", 1, date(9999, 12, 1)).after(date(9999, 12, 1)) is None


@given(SCHEDULES, st.integers(1, 200))
def test_the_nth_day_does_not_depend_on_those_before(schedule: Schedule, number: int) -> None:
    day, before = schedule.day(number), schedule.day(number - 1)
    assert day is not None
    assert before is not None
    assert before < day
    assert schedule.after(before) == day == schedule.from_day(day)
    if schedule.unit == "month":
        months = (day.year - schedule.first_on.year) * 12 + day.month - schedule.first_on.month
        assert months == schedule.every * number
        is_last = (day + timedelta(days=1)).day == 1
        assert is_last if schedule.is_month_end else day.day == schedule.first_on.day or is_last
    else:
        unit = {"day": 1, "week": 7}[schedule.unit]
        assert (day - schedule.first_on).days == unit * schedule.every * number


@given(SCHEDULES, st.integers(-400, 4_000))
def test_the_first_from_a_day_is_the_first(schedule: Schedule, offset: int) -> None:
    day = schedule.first_on + timedelta(days=offset)
    counted = next(found for number in range(5_000) if (found := schedule.day(number)) and found >= day)
    assert schedule.from_day(day) == counted


@given(SCHEDULES, st.integers(0, 400))
def test_the_latest_until_a_day_is_the_latest(schedule: Schedule, offset: int) -> None:
    start = schedule.day(0)
    assert start is not None
    day = start + timedelta(days=offset)
    latest = schedule.latest_until(day, schedule.first_on)
    assert latest is not None
    assert latest <= day
    following = schedule.after(latest)
    assert following is None or following > day
    assert schedule.latest_until(schedule.first_on - timedelta(days=1), schedule.first_on) is None


@given(DAYS, st.sampled_from(["Europe/Prague", "America/New_York", "Asia/Shanghai", "Australia/Lord_Howe"]))
def test_a_run_is_due_at_six_of_its_day(day: date, name: str) -> None:
    zone = ZoneInfo(name)
    local = due_moment(day, zone).astimezone(zone)
    assert (local.date(), local.hour, local.minute) == (day, 6, 0)


def test_the_clocks_turn_and_six_stays_six() -> None:
    zone = ZoneInfo("Europe/Prague")
    assert due_moment(date(2027, 3, 27), zone) == datetime(2027, 3, 27, 5, tzinfo=UTC)
    assert due_moment(date(2027, 3, 28), zone) == datetime(2027, 3, 28, 4, tzinfo=UTC)


@given(SCHEDULES, st.integers(0, 100))
def test_no_period_of_the_mandate_holds_two_runs(schedule: Schedule, number: int) -> None:
    zone = ZoneInfo("Europe/Prague")
    one, two = schedule.day(number), schedule.day(number + 1)
    assert one is not None
    assert two is not None
    starts = [period_start_s(schedule.unit, int(due_moment(day, zone).timestamp())) for day in (one, two)]
    assert starts[0] < starts[1]
    assert mandate_cap_minor(7, 0) == 7
    assert mandate_cap_minor(7, 1) == 14
