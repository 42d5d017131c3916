"""Whether a payment can be made: pure decisions.

A payment
├── that nothing speaks against: accepted
│   ├── the wallet has enough: all from the wallet
│   ├── the wallet has less: the rest from the deposit
│   └── the wallet has less than nothing available: all from the deposit
├── against which several things speak: every reason, in a fixed order
├── while settlement is frozen, or the currency paused: refused
├── whose payer is not registered, frozen, closed, or with another bank by now: refused
├── whose payer or payee is a wallet whose address another participant registered first: refused
├── whose payee is unknown, not registered, frozen, closed, suspended, the system's, the payer: refused
├── whose bank is suspended or frozen: refused
├── of what no order holds of the wallet: accepted; of one more
│   ├── with a deposit: accepted, the rest from the deposit
│   ├── without one: refused
│   └── where orders hold more than the wallet has: refused, funding would be held as well
├── of exactly the limit for one payment: accepted; of one more: refused
├── of exactly what is left of the day: accepted; of one more: refused
├── that the payee may just hold: accepted; one more
│   ├── with a linked account and an open bank: accepted (it flows on)
│   └── without link, with a frozen or closed bank, or where a side is a bank: refused, with the excess
├── of exactly all money: accepted; of one more: refused
├── whose funding would just fit the payer's own limit: accepted; one more: refused
└── whose funding is more than the bank's inventory: refused
A funding: only the deposit, within the wallet's own limit, never flowing on
A redemption: only the wallet, and only with an account behind it
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from api.payments.rules import (
    CLOSED,
    FROZEN,
    INSTITUTION,
    LINKED,
    REGISTERED,
    SUSPENDED,
    SYSTEM,
    UNLIMITED_DAILY_MINOR,
    Case,
    ChainAccount,
    Conditions,
    Funds,
    Tier,
    decide,
)

PAYER_TIER = Tier(holding_limit_minor=3_000, per_payment_limit_minor=2_000, daily_limit_minor=5_000)
PAYEE_TIER = Tier(holding_limit_minor=1_000, per_payment_limit_minor=1_000, daily_limit_minor=10_000)
BANK_TIER = Tier(10**15, 10**15, UNLIMITED_DAILY_MINOR)
PAYER = ChainAccount(b"\x01" * 20, REGISTERED | LINKED, PAYER_TIER, balance_minor=0, spent_minor=0)
PAYEE = ChainAccount(b"\x02" * 20, REGISTERED | LINKED, PAYEE_TIER, balance_minor=0, spent_minor=0)
BANK = ChainAccount(b"\x03" * 20, REGISTERED | INSTITUTION, BANK_TIER, balance_minor=0, spent_minor=0)
CALM = Conditions(is_paused=False, frozen_flow_reason=None)


def funds(
    wallet: int = 0, deposit: int | None = 100_000, inventory: int = 100_000, fundings: int = 0
) -> Funds:
    return Funds(wallet, deposit, inventory, fundings)


def case(amount_minor: int = 500, **changes: Any) -> Case:
    plain = Case("payment", amount_minor, CALM, PAYER, PAYEE, BANK, funds())
    return dataclasses.replace(plain, **changes)


def changed(account: ChainAccount, **changes: Any) -> ChainAccount:
    return dataclasses.replace(account, **changes)


def codes(of: Case) -> list[str]:
    return [reason.code for reason in decide(of).reasons]


@pytest.mark.parametrize(
    ("wallet", "from_wallet", "from_deposit"),
    [(500, 500, 0), (900, 500, 0), (499, 499, 1), (0, 0, 500), (-30, 0, 500)],
)
def test_the_wallet_pays_first_and_the_deposit_the_rest(
    wallet: int, from_wallet: int, from_deposit: int
) -> None:
    decision = decide(case(500, funds=funds(wallet=wallet)))
    assert decision.is_accepted
    assert (decision.from_wallet_minor, decision.from_deposit_minor) == (from_wallet, from_deposit)


def test_every_reason_is_given_at_once_in_a_fixed_order() -> None:
    refused = case(
        9_000,
        conditions=Conditions(is_paused=True, frozen_flow_reason="a person looks"),
        payer=changed(PAYER, flags=REGISTERED | FROZEN | CLOSED),
        payee=changed(PAYEE, flags=REGISTERED | FROZEN | CLOSED),
        funds=funds(wallet=10, deposit=20),
    )
    assert codes(refused) == [
        "FlowFrozen", "CurrencyPaused", "PayerFrozen", "PayerClosed", "PayeeFrozen", "PayeeClosed",
        "PerPaymentLimitExceeded", "DailyLimitExceeded", "HoldingLimitExceeded", "InsufficientFunds",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"conditions": Conditions(is_paused=True, frozen_flow_reason=None)}, "CurrencyPaused"),
        ({"conditions": Conditions(is_paused=False, frozen_flow_reason="why")}, "FlowFrozen"),
        ({"payer": None}, "PayerNotRegistered"),
        ({"payer": changed(PAYER, flags=REGISTERED | FROZEN)}, "PayerFrozen"),
        ({"payer": changed(PAYER, flags=REGISTERED | CLOSED)}, "PayerClosed"),
        ({"payee": None}, "PayeeNotRegistered"),
        ({"payee": None, "is_payee_known": False}, "UnknownPayee"),
        ({"payee": changed(PAYEE, flags=REGISTERED | LINKED | FROZEN)}, "PayeeFrozen"),
        ({"payee": changed(PAYEE, flags=REGISTERED | LINKED | CLOSED)}, "PayeeClosed"),
        ({"payee": changed(PAYEE, flags=REGISTERED | SUSPENDED)}, "PayeeSuspended"),
        ({"payee": changed(PAYEE, flags=REGISTERED | SYSTEM)}, "PayeeIsSystem"),
        ({"payee": PAYER}, "SelfPayment"),
        ({"payer": changed(PAYER, flags=REGISTERED | SUSPENDED)}, "PayerSuspended"),
        ({"is_wallet_own": False}, "PayerNotOfParticipant"),
        ({"is_wallet_own": False, "kind": "redemption", "funds": funds(wallet=500)}, "PayerNotOfParticipant"),
        ({"is_wallet_own": False, "kind": "funding", "payer": BANK}, "PayeeNotOfParticipant"),
        ({"is_wallet_own": False, "was_wallet_own": False}, "AddressOfAnotherParticipant"),
        ({"is_payee_taken": True}, "AddressOfAnotherParticipant"),
        (
            # the wallet is the payee as well
            {
                "is_wallet_own": False,
                "was_wallet_own": False,
                "is_payee_taken": True,
                "kind": "funding",
                "payer": BANK,
            },
            "AddressOfAnotherParticipant",
        ),
        ({"conditions": Conditions(False, None, REGISTERED | SUSPENDED)}, "ParticipantSuspended"),
        ({"conditions": Conditions(False, None, REGISTERED | FROZEN)}, "ParticipantFrozen"),
        ({"conditions": Conditions(False, None, REGISTERED | CLOSED)}, "ParticipantFrozen"),
    ],
)
def test_one_fact_that_forbids_is_the_only_reason(changes: dict[str, Any], code: str) -> None:
    assert codes(case(**changes)) == [code]


@pytest.mark.parametrize(
    ("amount", "wallet", "deposit", "held", "expected"),
    [
        (600, 1_000, None, 400, (600, 0)),
        (601, 1_000, None, 400, ["FundsHeld"]),
        (1_000, 1_000, None, 400, ["FundsHeld"]),
        (1_001, 1_000, None, 400, ["InsufficientFunds"]),
        (601, 1_000, 50, 400, (600, 1)),
        (650, 1_000, 50, 400, (600, 50)),
        (651, 1_000, 50, 400, ["FundsHeld"]),
        (500, 400, 1_000, 400, (0, 500)),
        (500, 399, 1_000, 400, ["FundsHeld"]),
        (1, 0, 1_000, 2**90, ["FundsHeld"]),
    ],
)
def test_what_an_order_holds_of_the_wallet_is_not_paid_with(
    amount: int, wallet: int, deposit: int | None, held: int, expected: tuple[int, int] | list[str]
) -> None:
    payer = changed(PAYER, held_minor=held)
    held_case = case(amount, payer=payer, payee=BANK, funds=funds(wallet=wallet, deposit=deposit))
    decision = decide(held_case)
    if isinstance(expected, list):
        assert [reason.code for reason in decision.reasons] == expected
    else:
        assert decision.is_accepted
        assert (decision.from_wallet_minor, decision.from_deposit_minor) == expected


@pytest.mark.parametrize(("amount", "expected"), [(600, []), (601, ["FundsHeld"])])
def test_what_an_order_holds_of_the_wallet_is_not_redeemed(amount: int, expected: list[str]) -> None:
    payer = changed(PAYER, held_minor=400)
    redemption = case(amount, kind="redemption", payer=payer, payee=BANK, funds=funds(wallet=1_000))
    assert codes(redemption) == expected


def test_an_order_does_not_stop_the_funding_of_a_wallet() -> None:
    held = changed(PAYEE, held_minor=2**90)
    assert codes(case(500, kind="funding", payer=BANK, payee=held)) == []


@pytest.mark.parametrize("flag", [SUSPENDED, SYSTEM])
def test_nothing_flows_on_to_a_bank_that_may_not_be_paid(flag: int) -> None:
    full = changed(PAYEE, balance_minor=1_000)
    bank = changed(BANK, flags=REGISTERED | INSTITUTION | flag)
    assert codes(case(500, payee=full)) == []
    assert codes(case(500, payee=full, payee_bank=bank)) == ["HoldingLimitExceeded"]


@pytest.mark.parametrize(("amount", "expected"), [(2_000, []), (2_001, ["PerPaymentLimitExceeded"])])
def test_the_limit_for_one_payment_binds_above_itself(amount: int, expected: list[str]) -> None:
    assert codes(case(amount, payee=changed(PAYEE, tier=BANK_TIER))) == expected


@pytest.mark.parametrize(("amount", "expected"), [(1_000, []), (1_001, ["DailyLimitExceeded"])])
def test_the_day_counts_what_was_spent_and_what_is_on_its_way(amount: int, expected: list[str]) -> None:
    payer = changed(PAYER, spent_minor=3_000)
    assert codes(case(amount, payer=payer, unsettled_spending_minor=1_000)) == expected


def test_a_tier_without_daily_limit_has_none() -> None:
    tier = Tier(3_000, 2_000, UNLIMITED_DAILY_MINOR)
    assert codes(case(500, payer=changed(PAYER, tier=tier, spent_minor=UNLIMITED_DAILY_MINOR))) == []


UNLINKED = changed(PAYEE, flags=REGISTERED, balance_minor=600)


@pytest.mark.parametrize(("amount", "expected"), [(400, []), (401, ["HoldingLimitExceeded"])])
def test_a_payee_without_account_may_just_hold_its_limit(amount: int, expected: list[str]) -> None:
    assert codes(case(amount, payee=UNLINKED)) == expected


def test_what_is_on_its_way_takes_room_at_a_payee_without_account() -> None:
    assert codes(case(400, payee=UNLINKED, unsettled_receipts_minor=1)) == ["HoldingLimitExceeded"]


def test_the_excess_of_a_linked_payee_flows_on() -> None:
    assert codes(case(2_000, payee=changed(PAYEE, balance_minor=1_000))) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"payee_bank": None},
        {"payee_bank": changed(BANK, flags=REGISTERED | INSTITUTION | FROZEN)},
        {"payee_bank": changed(BANK, flags=REGISTERED | INSTITUTION | CLOSED)},
        {"payee": changed(PAYEE, flags=REGISTERED | LINKED | INSTITUTION)},
        {"payer": changed(PAYER, flags=REGISTERED | INSTITUTION)},
    ],
)
def test_the_excess_needs_an_open_bank_and_two_sides_that_are_none(changes: dict[str, Any]) -> None:
    (reason,) = decide(case(1_300, **changes)).reasons
    assert reason.code == "HoldingLimitExceeded"
    assert reason.values == {"account": "payee", "excess_minor": 300, "limit_minor": 1_000}


@pytest.mark.parametrize(("amount", "expected"), [(800, []), (801, ["InsufficientFunds"])])
def test_wallet_and_deposit_together_are_all_the_money(amount: int, expected: list[str]) -> None:
    assert codes(case(amount, funds=funds(wallet=300, deposit=500))) == expected


def test_a_wallet_without_account_has_only_itself() -> None:
    assert codes(case(500, funds=funds(wallet=500, deposit=None))) == []
    assert codes(case(501, funds=funds(wallet=500, deposit=None))) == ["InsufficientFunds"]


@pytest.mark.parametrize(("fundings", "expected"), [(1_500, []), (1_501, ["HoldingLimitExceeded"])])
def test_a_shortfall_must_fit_beside_what_the_wallet_will_hold(fundings: int, expected: list[str]) -> None:
    payee = changed(PAYEE, tier=BANK_TIER)
    decision = decide(case(1_500, payee=payee, funds=funds(wallet=200, fundings=fundings)))
    assert [reason.code for reason in decision.reasons] == expected
    assert all(reason.values["account"] == "payer" for reason in decision.reasons)


@pytest.mark.parametrize(("inventory", "expected"), [(400, []), (399, ["InsufficientInventory"])])
def test_the_bank_funds_a_shortfall_from_its_inventory(inventory: int, expected: list[str]) -> None:
    assert codes(case(500, funds=funds(wallet=100, inventory=inventory))) == expected


def funding(amount_minor: int, **changes: Any) -> Case:
    return case(amount_minor, kind="funding", payer=BANK, payee=PAYER, **changes)


def test_a_funding_takes_the_deposit_and_leaves_the_wallet() -> None:
    decision = decide(funding(700, funds=funds(wallet=600)))
    assert decision.is_accepted
    assert (decision.from_wallet_minor, decision.from_deposit_minor) == (0, 700)


def test_a_funding_never_flows_on() -> None:
    full = changed(PAYER, balance_minor=2_500)
    assert codes(case(500, kind="funding", payer=BANK, payee=full)) == []
    assert codes(case(501, kind="funding", payer=BANK, payee=full)) == ["HoldingLimitExceeded"]
    assert codes(case(500, kind="funding", payer=BANK, payee=full, unsettled_receipts_minor=1)) == [
        "HoldingLimitExceeded"
    ]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (funds(deposit=99), "InsufficientFunds"),
        (funds(deposit=None), "NoLinkedAccount"),
        (funds(inventory=99), "InsufficientInventory"),
    ],
)
def test_a_funding_needs_deposit_and_inventory(given: Funds, code: str) -> None:
    assert codes(funding(100, funds=given)) == [code]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (funds(wallet=100, deposit=0), []),
        (funds(wallet=99, deposit=1_000), ["InsufficientFunds"]),
        (funds(wallet=100, deposit=None), ["NoLinkedAccount"]),
    ],
)
def test_a_redemption_takes_the_wallet_alone(given: Funds, expected: list[str]) -> None:
    assert codes(case(100, kind="redemption", payee=BANK, funds=given)) == expected
