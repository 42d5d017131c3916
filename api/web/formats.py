"""Numbers, money and times as a language writes them; times in the institution's zone."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal

from babel.dates import format_datetime
from babel.numbers import format_decimal, get_currency_name

from api.settings import time_zone
from api.web.words import LOCALES

if TYPE_CHECKING:
    from api.settings import Settings

Length = Literal["short", "medium"]

# English without saying whose: a month is a word, so that nobody takes it for a day
_PATTERNS: Final = {
    "en": {"short": "d MMM y, HH:mm", "medium": "d MMM y, HH:mm:ss"},
    "zh": {"short": "y年M月d日 HH:mm", "medium": "y年M月d日 HH:mm:ss"},
}


@dataclass(frozen=True, slots=True)
class Formats:
    """How one visitor reads amounts of one currency, and moments."""

    language: str
    currency: str
    exponent: int
    zone: datetime.tzinfo

    @classmethod
    def of(cls, settings: Settings, language: str) -> Formats:
        """How the customers of an institution read them in a language."""
        return cls(language, settings.currency, settings.currency_exponent, time_zone(settings.time_zone))

    @property
    def _locale(self) -> str:
        return LOCALES[self.language]

    def money(self, amount_minor: int) -> str:
        """An amount of minor units with all its decimals, without the currency's name."""
        pattern = "#,##0." + "0" * self.exponent if self.exponent else "#,##0"
        return format_decimal(self._exact(amount_minor), pattern, locale=self._locale)

    def number(self, count: int) -> str:
        """A count, its digits grouped."""
        return format_decimal(count, locale=self._locale)

    def moment(self, at: datetime.datetime, length: Length = "medium") -> str:
        """A day and a time of it, to the second unless `short`."""
        return format_datetime(at, _PATTERNS[self.language][length], tzinfo=self.zone, locale=self._locale)

    def moment_s(self, at_s: int, length: Length = "medium") -> str:
        """The same of seconds since 1970."""
        return self.moment(datetime.datetime.fromtimestamp(at_s, datetime.UTC), length)

    def currency_name(self) -> str:
        """What people call the currency; its code where the language has no name."""
        return get_currency_name(self.currency, count=2, locale=self._locale)

    def _exact(self, amount_minor: int) -> Decimal:
        return Decimal(amount_minor).scaleb(-self.exponent)
