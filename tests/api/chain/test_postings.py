"""What final events mean in a bank's books, case by case.

a movement that no payment of ours explains
├── out of a customer's wallet is booked, and freezes settlement
├── out of the bank's own account is booked in transit, and freezes settlement
├── between two strangers is none of ours
└── into the bank's account from its customer waits in transit
a minting or burning that we did not ask for is booked, and freezes settlement
a payment that was given up, and paid after all, is booked, and freezes settlement
"""

from __future__ import annotations

import uuid

from api.chain.matching import BatchedPayment, key_of
from api.chain.postings import BankPlanner, OwnWallet, Plan
from api.ledger.chart import BankChart
from contracts.abi import Transfer

BANK, ALICE, BOB, STRANGER, NOBODY = (bytes([n]) * 20 for n in (1, 2, 3, 4, 0))
CHART = BankChart("CZK", reserves=1, inventory=2, fees=3, equity=4, custody=5, in_transit_unidentified=6,
                  in_transit_credit_transfer=7)  # fmt: skip
WALLETS = {ALICE: OwnWallet(20, 21), BOB: OwnWallet(30, 31)}


def moved(payer: bytes, payee: bytes, amount_minor: int = 100) -> Transfer:
    return Transfer(
        payer,
        payee,
        amount_minor,
        block_number=1,
        block_hash=b"\x01" * 32,
        transaction_hash=b"\x02" * 32,
        log_index=0,
    )


def planned(event: Transfer, payment: BatchedPayment | None = None) -> Plan:
    payments = {} if payment is None else {key_of(event): payment}
    return BankPlanner(CHART, 1, BANK, WALLETS, payments, {}).plan([event])


def legs(plan: Plan) -> list[tuple[int, int]]:
    return [(leg.account_id, leg.amount_minor) for each in plan.entries for leg in each.entry.legs]


def freezing(plan: Plan) -> list[str]:
    return [case.kind for case in plan.cases if case.freezes == "settle"]


def test_an_unexplained_payment_out_of_a_wallet_is_booked_and_freezes() -> None:
    plan = planned(moved(ALICE, STRANGER))
    assert legs(plan) == [(20, 100), (5, -100)]
    assert freezing(plan) == ["UnmatchedTransfer"]


def test_an_unexplained_payment_out_of_the_banks_account_waits_in_transit_and_freezes() -> None:
    plan = planned(moved(BANK, STRANGER))
    assert legs(plan) == [(2, -100), (6, 100)]
    assert freezing(plan) == ["UnmatchedTransfer"]


def test_an_unexplained_funding_does_not_touch_the_deposit() -> None:
    plan = planned(moved(BANK, ALICE))
    assert legs(plan) == [(5, 100), (20, -100), (2, -100), (6, 100)]
    assert freezing(plan) == ["UnmatchedTransfer"]


def test_a_movement_between_strangers_is_none_of_ours() -> None:
    plan = planned(moved(STRANGER, b"\x05" * 20))
    assert plan.entries == []
    assert plan.cases == []


def test_an_unexplained_minting_is_booked_and_freezes() -> None:
    plan = planned(moved(NOBODY, BANK))
    assert legs(plan) == [(2, 100), (1, -100)]
    assert freezing(plan) == ["UnmatchedTransfer"]


def test_another_banks_minting_is_none_of_ours() -> None:
    assert planned(moved(NOBODY, STRANGER)).entries == []


def test_a_payment_that_was_given_up_and_paid_after_all_is_booked_and_freezes() -> None:
    payment = BatchedPayment(uuid.uuid4(), "payment", None, ALICE, BOB, 100, 0, 0, "failed")
    plan = planned(moved(ALICE, BOB), payment)
    assert legs(plan) == [(20, 100), (30, -100)]
    assert freezing(plan) == ["PaidAfterFailing"]


def test_a_funding_books_both_classes_in_one_entry() -> None:
    payment = BatchedPayment(uuid.uuid4(), "funding", None, BANK, ALICE, 100, 0, 0, "batched")
    plan = planned(moved(BANK, ALICE), payment)
    assert legs(plan) == [(5, 100), (20, -100), (2, -100), (21, 100)]
    assert plan.entries[0].resolves == payment.payment_id
    assert plan.cases == []
