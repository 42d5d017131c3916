"""The hours and calendar periods in which spending is counted; all of the time that rows record, in UTC."""

from datetime import UTC, datetime
from typing import Literal

SECONDS_A_BUCKET = 3_600
HOURS_A_WEEK = 168
SECONDS_A_DAY = 86_400
_MONDAY = 3  # days from Thursday, 1 January 1970, back to the Monday of its week

Period = Literal["day", "week", "month"]


def oldest_hour(now_s: int) -> int:
    """The first bucket that a window still reaches; those before may be gone."""
    return now_s // SECONDS_A_BUCKET - HOURS_A_WEEK


def period_start_s(period: Period, now_s: int) -> int:
    """When the calendar period of `now_s` began, in UTC."""
    day = now_s // SECONDS_A_DAY
    if period == "week":
        day -= (day + _MONDAY) % 7
    elif period == "month":
        day -= datetime.fromtimestamp(now_s, UTC).day - 1
    return day * SECONDS_A_DAY
