"""Words, numbers and times of the pages.

A sentence
├── in English is itself, in Chinese what its catalogue says; what no catalogue knows stays as it is
└── takes its values where its braces are
Why something was refused
├── is the sentence that came with it, in Chinese the catalogue's
└── without a sentence, or with one for programs: plain words in both
Money keeps every digit; times are told in the institution's zone
"""

from __future__ import annotations

import datetime

from api.web.formats import Formats
from api.web.words import reason_translator, translator
from tests.api.offices import settings_for

NOON = datetime.datetime(2026, 7, 1, 12, 0, 5, tzinfo=datetime.UTC)


def formats(language: str, **changes: object) -> Formats:
    return Formats.of(settings_for("postgresql://nowhere", **{"time_zone": "UTC", **changes}), language)


def test_a_sentence_is_said_in_both_languages() -> None:
    assert translator("en")("Wallet") == "Wallet"
    assert translator("zh")("Wallet") == "钱包"
    assert translator("zh")("Nobody wrote this down") == "Nobody wrote this down"
    assert translator("en")("as of block {number}", number=7) == "as of block 7"
    assert translator("zh")("as of block {number}", number=7) == "截至区块 7"


def test_a_reason_has_words_in_both_languages() -> None:
    english, chinese = reason_translator("en"), reason_translator("zh")
    assert english("CurrencyPaused", "The central bank has paused it.") == "The central bank has paused it."
    assert chinese("CurrencyPaused", "The central bank has paused it.") == "中央银行已暂停该货币。"
    assert english("Expired") == "It was not settled in time. Nothing was taken: please pay again."
    assert chinese("Expired") == "未能及时结算，款项未动，请重新付款。"
    assert english("AmountNotPositive", "amount_minor > 0") == "The amount must be above zero."
    assert chinese("NobodyKnowsThis", "A sentence.") == "A sentence."


def test_money_keeps_every_digit() -> None:
    assert formats("en").money(2**63 - 1) == "92,233,720,368,547,758.07"
    assert formats("zh").money(-5) == "-0.05"
    assert formats("en", currency="JPY", currency_exponent=0).money(1_234_567) == "1,234,567"
    assert formats("en", currency="KWD", currency_exponent=3).money(1_500) == "1.500"
    assert (formats("en").currency_name(), formats("zh").currency_name()) == ("Czech korunas", "捷克克朗")


def test_times_are_told_in_the_institutions_zone() -> None:
    assert formats("en").moment(NOON) == "1 Jul 2026, 12:00:05"
    assert formats("en").moment(NOON, "short") == "1 Jul 2026, 12:00"
    assert formats("zh", time_zone="Europe/Prague").moment(NOON) == "2026年7月1日 14:00:05"
    assert formats("zh", time_zone="Pacific/Auckland").moment(NOON, "short") == "2026年7月2日 00:00"
    assert formats("en").moment_s(int(NOON.timestamp())) == formats("en").moment(NOON)
