"""Every kind of message in every language.

A message
├── has a wording in each language, which names all that people must know and nothing that the kind lacks
├── of every kind, with whatever strangers put into its values
│   ├── is one subject line, and a text without what is invisible or turns the text around it
│   ├── repeats braces and percent signs as they are, and looks nothing up in them
│   └── is never longer than its words and a hundred letters for each name
├── writes amounts, percentages and minutes as its language does, with the currency's own decimals
├── says a name that nobody knows in words
└── with a value too many, too few or of another type is a mistake of whoever tells it
"""

from __future__ import annotations

import string
import unicodedata
from typing import Any

import pytest

from api.notifications.kinds import KINDS, LANGUAGES, WHOLE_NUMBERS, Language
from api.notifications.rendering import Rendered, amount_text, render
from api.notifications.wording import WORDING

HOSTILE = (
    "Eve\r\nBcc: all@example.org\r\n\r\nhello",
    "{amount} {code} {0} {payee_name.__class__} %s %(code)s $code",
    "<script>alert(1)</script>",
    "\u202egnp.exe\u2066\u200b\x00\x1b[31m\u2028",
    "x" * 5_000,
    "\ud83d",
)
BOTH = pytest.mark.parametrize("language", LANGUAGES)


def values_of(kind: str, text: str) -> dict[str, Any]:
    """Values of a kind, with this text wherever a text may stand."""
    numbers = dict.fromkeys(KINDS[kind].fields & WHOLE_NUMBERS, 7)
    texts = dict.fromkeys(KINDS[kind].fields - WHOLE_NUMBERS, text)
    return numbers | texts | ({"currency": "CZK"} if "currency" in texts else {})


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@BOTH
@pytest.mark.parametrize("kind", KINDS)
def test_each_wording_says_what_its_kind_has(kind: str, language: Language) -> None:
    wording = WORDING[kind][language]
    hidden = {"payment_id", "request_id", "order_id", "currency"}
    expected = {name.removesuffix("_minor") for name in KINDS[kind].fields} - hidden
    assert placeholders(wording.text) == expected, "what the kind has is said, and nothing else"
    assert placeholders(wording.subject) <= {"amount"}, "names stay out of what a locked screen shows"


def test_no_wording_is_left_over() -> None:
    assert WORDING.keys() == KINDS.keys()


@BOTH
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_values_stay_values(kind: str, language: Language, text: str) -> None:
    rendered = render(kind, language, values_of(kind, text))
    plain = render(kind, language, values_of(kind, "x"))
    for part in (rendered.subject, rendered.text):
        assert not {unicodedata.category(letter) for letter in part} & {"Cc", "Cs", "Cf", "Zl", "Zp"}
    assert rendered.subject == plain.subject
    assert len(rendered.text) <= len(plain.text) + 100 * len(KINDS[kind].fields)
    if text.startswith("{") and "{amount}" in rendered.text:
        assert "{code} {0} {payee_name.__class__} %s %(code)s $code" in rendered.text


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", Rendered("Received: CZK\xa01,234.56", "You received CZK\xa01,234.56 from Bob.")),
        ("zh", Rendered("收款：CZK\xa01,234.56", "您收到Bob支付的CZK\xa01,234.56。")),
    ],
)
def test_amounts_are_written_as_the_language_does(language: Language, expected: Rendered) -> None:
    values = {"payment_id": "", "amount_minor": 123_456, "currency": "CZK", "payer_name": "Bob"}
    assert render("payment_received", language, values) == expected


@pytest.mark.parametrize(
    ("currency", "written"), [("JPY", "¥1,234,567"), ("EUR", "€12,345.67"), ("KWD", "KWD\xa01,234.567")]
)
def test_a_currency_has_its_own_decimals(currency: str, written: str) -> None:
    assert amount_text(1_234_567, currency, "en") == written


def test_the_largest_amount_loses_no_unit() -> None:
    assert amount_text(2**63 - 1, "EUR", "en") == "€92,233,720,368,547,758.07"


def test_percentages_and_minutes_are_written_as_the_language_does() -> None:
    near = {"percent": 80, "limit_minor": 100_000, "currency": "EUR"}
    assert render("daily_limit_near", "en", near).text == "You have spent 80% of today's limit of €1,000.00."
    assert "10分钟内有效" in render("sign_in_code", "zh", {"code": "123456", "minutes": 10}).text
    assert "valid for 1 minute." in render("sign_in_code", "en", {"code": "123456", "minutes": 1}).text


def test_reasons_and_unknown_names_are_said_in_words() -> None:
    values = {
        "payment_id": "",
        "amount_minor": 100,
        "currency": "EUR",
        "payee_name": "",
        "reason": "DailyLimitExceeded",
    }
    english = "Your payment of €1.00 to another account was refused: daily limit exceeded."
    assert render("payment_refused", "en", values).text == english
    assert render("payment_refused", "zh", values).text == "您向其他账户支付的€1.00被拒绝：超过每日限额。"
    assert (
        "something new" in render("payment_refused", "zh", values | {"reason": "SomethingNew"}).text.lower()
    )


@pytest.mark.parametrize(
    "values",
    [
        {"code": "123456"},
        {"code": "123456", "minutes": 10, "name": "Eve"},
        {"code": 123456, "minutes": 10},
        {"code": "123456", "minutes": True},
    ],
)
def test_other_values_are_a_mistake(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="sign_in_code"):
        render("sign_in_code", "en", values)
    with pytest.raises(ValueError, match="no kind"):
        render("greeting", "en", {})
