"""On which days a standing order is due, and at which moment: pure.

Every day is computed from the first one, never from the one before, so that nothing drifts: an order of the
31st is due on 28 February and on 31 March. Days are those of the bank's time zone.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

Unit = Literal["day", "week", "month"]

DUE_AT: Final = time(6)
"""Local time; no zone turns its clocks at six."""

_DAYS: Final = {"day": 1, "week": 7}


@dataclass(frozen=True, slots=True)
class Schedule:
    """Every so many days, weeks or months from `first_on` to `last_on` (None: for ever).

    Of months, the day of `first_on`, or the last one where a month is shorter; always the last one where
    `is_month_end`.
    """

    unit: Unit
    every: int
    first_on: date
    last_on: date | None = None
    is_month_end: bool = False

    def day(self, number: int) -> date | None:
        """The day of run `number` (0 is the first); None after the last."""
        try:
            found = self._day(number)
        except (OverflowError, ValueError):  # beyond the year 9999
            return None
        return None if self.last_on is not None and found > self.last_on else found

    def _day(self, number: int) -> date:
        if self.unit != "month":
            return self.first_on + timedelta(days=_DAYS[self.unit] * self.every * number)
        months = self.first_on.year * 12 + self.first_on.month - 1 + self.every * number
        year, month = months // 12, months % 12 + 1
        longest = calendar.monthrange(year, month)[1]
        return date(year, month, longest if self.is_month_end else min(self.first_on.day, longest))

    def from_day(self, day: date) -> date | None:
        """The first day on or after `day`; None if there is none."""
        number = max(0, self._number_before(day))
        while (found := self.day(number)) is not None and found < day:
            number += 1
        return found

    def after(self, day: date) -> date | None:
        """The first day after `day`; None if there is none."""
        return self.from_day(day + timedelta(days=1))

    def latest_until(self, day: date, not_before: date) -> date | None:
        """The last day from `not_before` to `day`; None if there is none."""
        latest = None
        for found in self.days(not_before):
            if found > day:
                break
            latest = found
        return latest

    def days(self, start: date) -> Iterator[date]:
        """The days from `start` on."""
        found = self.from_day(start)
        while found is not None:
            yield found
            found = self.after(found)

    def _number_before(self, day: date) -> int:
        """The number of a run that is not after `day`, if there is one, and close to it."""
        if self.unit == "month":
            months = (day.year - self.first_on.year) * 12 + day.month - self.first_on.month
            return months // self.every - 1
        return (day - self.first_on).days // (_DAYS[self.unit] * self.every) - 1


def due_moment(day: date, zone: ZoneInfo) -> datetime:
    """When a run of this day is due."""
    return datetime.combine(day, DUE_AT, zone).astimezone(UTC)


def mandate_cap_minor(amount_minor: int, retries: int) -> int:
    """What the mandate of an order allows in each of its periods, which hold one run each.

    A retry can fall into the next period, beside that period's own run.
    """
    return amount_minor * (2 if retries else 1)
