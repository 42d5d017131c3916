"""A mandate covers payments to its payee, within its time and its cap in each calendar period."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_node.customers.mandates import (
    MandateTerms,
    Period,
    decide_mandate,
    decide_registration,
)
from wallet_node.errors import Refusal
from wallet_node.journal.nonces import Content
from wallet_node.journal.periods import period_start_s

STARTS_S, EXPIRES_S = 1_000_000, 2_000_000
NOW_S = 1_500_000
TERMS = MandateTerms(b"P" * 20, b"Q" * 20, 1_000, "day", STARTS_S, EXPIRES_S)
PAYMENT = Content(TERMS.payer, TERMS.payee, 100)
PERIODS: tuple[Period, ...] = ("day", "week", "month")


def codes(refusals: tuple[Refusal, ...] | bool) -> list[str]:
    assert isinstance(refusals, tuple)
    return [refusal.code for refusal in refusals]


def cover(payment: Content = PAYMENT, spent_minor: int = 0, now_s: int = NOW_S) -> list[str]:
    return codes(decide_mandate(TERMS, False, payment, spent_minor, now_s))


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


# payments


def test_a_payment_to_the_payee_within_time_and_cap_is_covered() -> None:
    assert cover() == []


@pytest.mark.parametrize(("spent", "expected"), [(899, []), (900, []), (901, ["MandateCapExceeded"])])
def test_the_cap_can_be_used_up_and_not_passed(spent: int, expected: list[str]) -> None:
    assert cover(spent_minor=spent) == expected


@pytest.mark.parametrize(
    ("now_s", "expected"),
    [
        (STARTS_S - 1, ["MandateNotYetValid"]),
        (STARTS_S, []),
        (EXPIRES_S - 1, []),
        (EXPIRES_S, ["MandateExpired"]),
    ],
)
def test_it_holds_from_its_start_until_before_its_end(now_s: int, expected: list[str]) -> None:
    assert cover(now_s=now_s) == expected


def test_another_payee_or_payer_is_not_covered() -> None:
    assert cover(msgspec.structs.replace(PAYMENT, counterparty=b"X" * 20)) == ["MandatePayeeMismatch"]
    assert cover(msgspec.structs.replace(PAYMENT, signer=b"X" * 20)) == ["MandatePayerMismatch"]


def test_an_unknown_mandate_covers_nothing() -> None:
    assert codes(decide_mandate(None, False, PAYMENT, 0, NOW_S)) == ["MandateUnknown"]
    assert codes(decide_mandate(None, True, PAYMENT, 0, NOW_S)) == ["MandateUnknown"]


def test_every_reason_is_given() -> None:
    stranger = Content(b"X" * 20, b"Y" * 20, TERMS.cap_minor + 1)
    expected = ["MandateRevoked", "MandateExpired", "MandatePayerMismatch", "MandatePayeeMismatch"]
    assert codes(decide_mandate(TERMS, True, stranger, 0, EXPIRES_S)) == [*expected, "MandateCapExceeded"]


# registrations


def test_a_mandate_that_is_not_known_is_new() -> None:
    assert decide_registration(TERMS, None, False, NOW_S) is True


def test_it_may_be_registered_before_it_starts() -> None:
    assert decide_registration(TERMS, None, False, STARTS_S - 1) is True


@pytest.mark.parametrize("is_revoked", [False, True])
@pytest.mark.parametrize("now_s", [NOW_S, EXPIRES_S + 1])
def test_the_same_again_is_answered_the_same_whatever_became_of_it(is_revoked: bool, now_s: int) -> None:
    assert decide_registration(TERMS, TERMS, is_revoked, now_s) is False


@pytest.mark.parametrize(
    "changes",
    [
        {"payer": b"X" * 20},
        {"payee": b"X" * 20},
        {"cap_minor": 1_001},
        {"period": "week"},
        {"starts_at_s": STARTS_S + 1},
        {"expires_at_s": EXPIRES_S + 1},
    ],
)
def test_an_id_stands_for_one_content(changes: dict[str, object]) -> None:
    other = msgspec.structs.replace(TERMS, **changes)
    assert codes(decide_registration(other, TERMS, False, NOW_S)) == ["MandateIdReused"]


def test_an_id_that_was_revoked_before_it_came_is_refused() -> None:
    assert codes(decide_registration(TERMS, None, True, NOW_S)) == ["MandateRevoked"]


def test_what_can_never_be_used_is_refused() -> None:
    assert codes(decide_registration(TERMS, None, False, EXPIRES_S)) == ["MandateExpired"]
    never = msgspec.structs.replace(TERMS, expires_at_s=STARTS_S)
    assert codes(decide_registration(never, None, False, 0)) == ["MandateNeverValid"]
    to_oneself = msgspec.structs.replace(TERMS, payee=TERMS.payer)
    assert codes(decide_registration(to_oneself, None, False, NOW_S)) == ["SelfPayment"]


# periods


@pytest.mark.parametrize(
    ("period", "now", "start"),
    [
        ("day", "2026-11-22T00:00:00", "2026-11-22"),
        ("day", "2026-11-22T23:59:59", "2026-11-22"),
        ("week", "2026-11-22T23:59:59", "2026-11-16"),  # a Sunday
        ("week", "2026-11-23T00:00:00", "2026-11-23"),  # a Monday
        ("week", "2027-01-01T12:00:00", "2026-12-28"),
        ("month", "2026-11-01T00:00:00", "2026-11-01"),
        ("month", "2026-11-30T23:59:59", "2026-11-01"),
        ("month", "2024-02-29T12:00:00", "2024-02-01"),
        ("month", "2100-02-28T12:00:00", "2100-02-01"),
    ],
)
def test_periods_are_those_of_the_calendar_in_utc(period: Period, now: str, start: str) -> None:
    assert period_start_s(period, at(now)) == at(start)


@given(now_s=st.integers(4 * 86_400, 2**37))
def test_periods_agree_with_the_calendars_own_arithmetic(now_s: int) -> None:
    moment = datetime.fromtimestamp(now_s, UTC)
    midnight = moment.replace(hour=0, minute=0, second=0)
    monday = datetime.fromisocalendar(*moment.isocalendar()[:2], 1).replace(tzinfo=UTC)
    assert period_start_s("day", now_s) == midnight.timestamp()
    assert period_start_s("week", now_s) == monday.timestamp()
    assert period_start_s("month", now_s) == midnight.replace(day=1).timestamp()


@given(now_s=st.integers(0, 2**37), period=st.sampled_from(PERIODS))
def test_every_second_is_in_one_period(now_s: int, period: Period) -> None:
    start_s = period_start_s(period, now_s)
    assert start_s <= now_s < start_s + timedelta(days=31).total_seconds()
    assert period_start_s(period, start_s) == start_s
    assert period_start_s(period, start_s - 1) < start_s
