"""What a payment requires: pure.

A funding requires nothing, whatever it is
A payment under a mandate requires the mandate, whatever it is
Up to what goes unasked, nothing is required; a passkey, or password and one-time password, would do as well
Above it
├── with a passkey of the wallet: that
│   └── within the signer's allowance, password and one-time password would do as well
├── without one, within the allowance: password and one-time password, if there are
├── above the allowance without a passkey: refused, AllowanceExceeded
└── with neither: refused, PasskeyRequired
What was spent without proof counts against a day and a week, and never below nothing
For machines, nothing is required within the allowance
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.payments.requirements import Means, Required, Terms, Unproved, require
from tests.api.offices import settings_for

TERMS = Terms(
    unproved_per_payment_minor=500,
    unproved_day_minor=1_500,
    unproved_week_minor=5_000,
    unasked_per_payment_minor=50,
    unasked_day_minor=150,
)
FRESH = Unproved(0, 0)
NOTHING = Means(has_passkey=False, has_totp=False, names_mandate=False)
PASSKEY, TOTP = replace(NOTHING, has_passkey=True), replace(NOTHING, has_totp=True)
BOTH = replace(PASSKEY, has_totp=True)


def required(amount: int, means: Means = NOTHING, spent: Unproved = FRESH) -> Required:
    return require("payment", amount, means, spent, TERMS)


@pytest.mark.parametrize(
    ("amount", "means", "ways"),
    [
        (50, NOTHING, ["nothing"]),
        (50, BOTH, ["nothing", "passkey", "totp_password"]),
        (51, BOTH, ["passkey", "totp_password"]),
        (51, PASSKEY, ["passkey"]),
        (51, TOTP, ["totp_password"]),
        (500, BOTH, ["passkey", "totp_password"]),
        (501, BOTH, ["passkey"]),
        (10**9, PASSKEY, ["passkey"]),
        (10**9, replace(NOTHING, names_mandate=True), ["mandate"]),
        (1, replace(BOTH, names_mandate=True), ["mandate"]),
    ],
)
def test_the_lightest_way_is_asked_for(amount: int, means: Means, ways: list[str]) -> None:
    found = required(amount, means)
    assert (list(found.ways), found.requirement, found.reasons) == (ways, ways[0], ())


@pytest.mark.parametrize(
    ("amount", "means", "code"),
    [(51, NOTHING, "PasskeyRequired"), (501, NOTHING, "PasskeyRequired"), (501, TOTP, "AllowanceExceeded")],
)
def test_where_no_way_would_do_it_is_refused(amount: int, means: Means, code: str) -> None:
    found = required(amount, means)
    assert (found.requirement, found.ways, found.reasons[0].code) == ("refused", (), code)
    assert found.reasons[0].values == {"amount_minor": amount, "limit_minor": 500}


@pytest.mark.parametrize(
    ("spent", "unasked", "unproved"),
    [
        (Unproved(0, 0), 50, 500),
        (Unproved(101, 101), 49, 500),
        (Unproved(1_001, 1_001), 0, 499),
        (Unproved(0, 4_990), 10, 10),
        (Unproved(2_000, 9_000), 0, 0),
    ],
)
def test_what_was_spent_without_proof_counts(spent: Unproved, unasked: int, unproved: int) -> None:
    found = required(1, BOTH, spent)
    assert (found.unasked_left_minor, found.unproved_left_minor) == (unasked, unproved)
    if unproved:
        assert "totp_password" in required(unproved, TOTP, spent).ways
    assert required(unproved + 1, TOTP, spent).requirement == "refused"


def test_a_funding_requires_nothing() -> None:
    assert require("funding", 10**9, NOTHING, Unproved(9_000, 9_000), TERMS).requirement == "nothing"


def test_a_redemption_is_spending() -> None:
    assert require("redemption", 501, NOTHING, FRESH, TERMS).requirement == "refused"


def test_for_machines_nothing_is_required_within_the_allowance() -> None:
    terms = Terms.of_machines(settings_for("postgresql://"))
    assert require("payment", 50_000, NOTHING, FRESH, terms).requirement == "nothing"
    assert require("payment", 50_001, PASSKEY, FRESH, terms).requirement == "passkey"
    people = Terms.of_people(settings_for("postgresql://"))
    assert require("payment", 50_000, NOTHING, FRESH, people).requirement == "refused"


@given(st.integers(1, 10**12), st.booleans(), st.booleans(), st.integers(0, 6_000), st.integers(0, 6_000))
def test_without_a_passkey_or_mandate_the_allowance_is_never_exceeded(
    amount: int, has_totp: bool, has_passkey: bool, day: int, more: int
) -> None:
    means = Means(has_passkey=has_passkey, has_totp=has_totp, names_mandate=False)
    found = require("payment", amount, means, Unproved(day, day + more), TERMS)
    if {"nothing", "totp_password"} & set(found.ways):
        assert amount <= TERMS.unproved_per_payment_minor
        assert day + amount <= TERMS.unproved_day_minor
        assert day + more + amount <= TERMS.unproved_week_minor
    if "nothing" in found.ways:
        assert day + amount <= TERMS.unasked_day_minor
    assert (found.requirement == "refused") == (not found.ways) == bool(found.reasons)
