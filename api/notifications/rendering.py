"""A message as its reader sees it. Values come from strangers: names are one line of what can be seen."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from api.errors import title_of
from api.money import CURRENCY_EXPONENTS
from api.notifications.kinds import Language, require_values
from api.notifications.wording import REASONS_ZH, UNNAMED, WORDING

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOCALES: Final[dict[Language, str]] = {"en": "en", "zh": "zh_Hans"}
_LONGEST_TEXT: Final = 100
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_CODE_BESIDE_DIGIT: Final = re.compile(r"(?<=[A-Z])(?=[0-9])")  # UTS 35, currencySpacing; Babel leaves it out
_JOINERS: Final = "\u200c\u200d"  # some scripts need them


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message in words."""

    subject: str
    text: str


def render(kind: str, language: Language, values: Mapping[str, Any]) -> Rendered:
    """The message of a kind with these values. Raises `ValueError` as `require_values` does."""
    require_values(kind, values)
    wording = WORDING[kind][language]
    shown = _shown(values, language)
    return Rendered(wording.subject.format_map(shown), wording.text.format_map(shown))


def seen(text: str) -> str:
    """A text of others on one line, without what is invisible or turns the text around it."""
    kept = "".join(
        letter if letter in _JOINERS or unicodedata.category(letter) not in _UNSEEN else " "
        for letter in text
    )
    line = " ".join(kept.split())
    return line if len(line) <= _LONGEST_TEXT else line[: _LONGEST_TEXT - 1] + "…"


def _shown(values: Mapping[str, Any], language: Language) -> dict[str, str]:
    """Each value as words, under the name that the wording has for it."""
    from babel.dates import format_timedelta
    from babel.numbers import format_percent

    locale = _LOCALES[language]
    shown: dict[str, str] = {}
    for name, value in values.items():
        if name.endswith("_minor"):
            shown[name.removesuffix("_minor")] = amount_text(value, values["currency"], language)
        elif name == "left":
            shown[name] = str(value)
        elif name == "percent":
            shown[name] = str(format_percent(Decimal(value) / 100, locale=locale))
        elif name == "minutes":
            span = timedelta(minutes=value)
            shown[name] = format_timedelta(span, "minute", threshold=1_000, locale=locale)
        elif name == "reason":
            title = seen(title_of(value)) if value else ""
            reason = title[:1].lower() + title[1:]
            shown[name] = REASONS_ZH.get(value, title) if language == "zh" else reason
        else:
            shown[name] = seen(value) or UNNAMED.get(name, {}).get(language, "")
    return shown


def amount_text(amount_minor: int, currency: str, language: Language) -> str:
    """An amount with its currency, as people of this language write it."""
    from babel.numbers import format_currency

    amount = Decimal(amount_minor).scaleb(-CURRENCY_EXPONENTS[currency])
    text = format_currency(
        amount, currency, locale=_LOCALES[language], decimal_quantization=False, currency_digits=True
    )
    return _CODE_BESIDE_DIGIT.sub("\u00a0", str(text))
