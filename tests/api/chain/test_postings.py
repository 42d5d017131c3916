"""What final events mean in a bank's books, case by case.

a movement that no payment of ours explains
├── out of a customer's wallet
│   ├── in a settlement of ours is booked, and freezes settlement
│   ├── on the single path is booked, with one case for the wallet, and freezes nothing
│   │   └── also in a transaction that settles another bank's batch
│   └── that was moved to another bank is none of ours
├── out of the bank's own account is booked in transit, and freezes settlement
├── into a customer's wallet is kept as a receipt, to be paid back
├── between two strangers is none of ours
├── into the bank's account waits in transit, with one case for each payer
└── into the bank's account from its customer waits in transit
a transfer under an order
├── out of a customer's wallet is booked, with a case that names the order, and freezes nothing
├── into a customer's wallet is booked
└── out of the bank's own account, or into it, waits in transit
a wallet that is moved
├── to another bank takes its money out of custody, and comes back with what it has then
├── without money books nothing
└── and is not known here is a case
a funding of a wallet that was moved away meanwhile takes the deposit, and nothing in custody
a funding of an address that was never this bank's on chain waits in transit
a minting or burning that we did not ask for is booked, and freezes settlement
a payment that was given up, and paid after all, is booked, and freezes settlement
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from api.chain.matching import BatchedPayment, key_of
from api.chain.postings import BankPlanner, OwnWallet, Plan
from api.ledger.chart import BankChart
from contracts.abi import AccountMoved, AccountRegistered, BatchSettled, Event, Transfer, TransferForced

BANK, ALICE, BOB, STRANGER, NOBODY = (bytes([n]) * 20 for n in (1, 2, 3, 4, 0))
CHART = BankChart("CZK", reserves=1, inventory=2, fees=3, equity=4, custody=5, in_transit_unidentified=6,
                  in_transit_credit_transfer=7)  # fmt: skip
WALLETS = {ALICE: OwnWallet(20, 21), BOB: OwnWallet(30, 31)}


ORDER = b"\x0d" * 32


def at(log_index: int) -> dict[str, Any]:
    return {
        "block_number": 1,
        "block_hash": b"\x01" * 32,
        "transaction_hash": b"\x02" * 32,
        "log_index": log_index,
    }


def moved(payer: bytes, payee: bytes, amount_minor: int = 100, log_index: int = 0) -> Transfer:
    return Transfer(payer, payee, amount_minor, **at(log_index))


def planned(
    *events: Event,
    payment: BatchedPayment | None = None,
    held_minor: int = 0,
    wallets: Mapping[bytes, OwnWallet] = WALLETS,
) -> Plan:
    """The plan of a bank with two customers; `payment` is of the last event, `held_minor` what moves."""
    payments = {} if payment is None else {key_of(events[-1]): payment}
    amounts = {key_of(event): held_minor for event in events}
    keepers = {ALICE: 1, BOB: 1, BANK: 1, STRANGER: 2}
    return BankPlanner(CHART, 1, BANK, wallets, payments, {}, keepers, amounts).plan(events)


def to_bank(account: bytes, source: int, target: int, log_index: int) -> list[Event]:
    """What the contract says of a move."""
    return [
        AccountRegistered(account, target, 1, 1, **at(log_index)),
        AccountMoved(account, source, target, **at(log_index + 1)),
    ]


def under_an_order(payer: bytes, payee: bytes) -> list[Event]:
    """What the contract says of a forced transfer."""
    return [moved(payer, payee), TransferForced(ORDER, payer, payee, 100, **at(1))]


def legs(plan: Plan) -> list[tuple[int, int]]:
    return [(leg.account_id, leg.amount_minor) for each in plan.entries for leg in each.entry.legs]


def freezing(plan: Plan) -> list[str]:
    return [case.kind for case in plan.cases if case.freezes == "settle"]


def test_an_unexplained_payment_in_a_settlement_is_booked_and_freezes() -> None:
    plan = planned(moved(ALICE, STRANGER), BatchSettled(1, 1, 1, **at(1)))
    assert legs(plan) == [(20, 100), (5, -100)]
    assert freezing(plan) == ["UnmatchedTransfer"]


def test_payments_on_the_single_path_are_booked_with_one_case_for_the_wallet() -> None:
    plan = planned(moved(ALICE, STRANGER), moved(ALICE, BOB, 7, log_index=1))
    assert legs(plan) == [(20, 100), (5, -100), (20, 7), (30, -7)]
    assert {(case.kind, case.freezes, *case.detail.items()) for case in plan.cases} == {
        ("PaidOnTheSinglePath", None, ("wallet", "0x" + ALICE.hex()))
    }


def test_what_wallets_were_paid_by_no_payment_of_ours_is_kept_to_be_paid_back() -> None:
    given = [moved(STRANGER, ALICE), moved(ALICE, BOB, 7, log_index=1)]
    others = [moved(BANK, ALICE, 5, log_index=2), moved(ALICE, STRANGER, 3, log_index=3)]
    others += [moved(NOBODY, BANK, 9, log_index=4), moved(STRANGER, BANK, 2, log_index=5)]
    assert planned(*given, *others).receipts == given
    ours = BatchedPayment(uuid.uuid4(), "payment", None, ALICE, BOB, 100, 0, 0, "batched")
    assert planned(moved(ALICE, BOB), payment=ours).receipts == []
    assert planned(*under_an_order(STRANGER, ALICE)).receipts == []


def test_another_banks_batch_in_the_same_transaction_freezes_nothing() -> None:
    plan = planned(moved(ALICE, STRANGER), BatchSettled(2, 1, 1, **at(1)))
    assert legs(plan) == [(20, 100), (5, -100)]
    assert [(case.kind, case.freezes) for case in plan.cases] == [("PaidOnTheSinglePath", None)]


def test_what_comes_in_waits_in_transit_with_one_case_for_each_payer() -> None:
    other = b"\x05" * 20
    plan = planned(
        moved(STRANGER, BANK, 3),
        moved(other, BANK, 20, log_index=1),
        moved(STRANGER, BANK, 4, log_index=2),
        moved(ALICE, BANK, 100, log_index=3),
        moved(ALICE, BANK, 100, log_index=4),
    )
    in_transit = [amount_minor for account_id, amount_minor in legs(plan) if account_id == 6]
    assert in_transit == [-3, -20, -4, -100, -100]
    waiting = [case for case in plan.cases if case.kind == "UnidentifiedTransfer"]
    assert [(case.detail["payer"], case.detail["in_transit_minor"]) for case in waiting] == [
        ("0x" + STRANGER.hex(), 7), ("0x" + other.hex(), 20), ("0x" + ALICE.hex(), 200),
    ]  # fmt: skip
    assert freezing(plan) == []


def test_a_forced_transfer_out_of_a_wallet_is_booked_with_its_order() -> None:
    plan = planned(*under_an_order(ALICE, STRANGER))
    assert legs(plan) == [(20, 100), (5, -100)]
    assert [each.entry.kind for each in plan.entries] == ["forced_transfer"]
    assert [(case.kind, case.freezes, case.detail["order"]) for case in plan.cases] == [
        ("TransferForced", None, "0x" + ORDER.hex())
    ]


def test_a_forced_transfer_into_a_wallet_is_booked() -> None:
    plan = planned(*under_an_order(STRANGER, BOB))
    assert legs(plan) == [(5, 100), (30, -100)]
    assert plan.cases == []


def test_a_forced_transfer_of_the_banks_own_money_waits_in_transit() -> None:
    plan = planned(*under_an_order(BANK, STRANGER))
    assert legs(plan) == [(2, -100), (6, 100)]
    assert [case.kind for case in plan.cases] == ["UnidentifiedTransfer", "TransferForced"]
    assert freezing(plan) == []
    plan = planned(*under_an_order(ALICE, BANK))
    assert legs(plan) == [(20, 100), (5, -100), (2, 100), (6, -100)]
    assert plan.cases[0].detail["in_transit_minor"] == 100
    assert freezing(plan) == []


def test_a_wallet_that_moves_takes_its_money_along_and_comes_back_with_it() -> None:
    elsewhere = moved(ALICE, STRANGER, 60, log_index=2)
    events = [
        *to_bank(ALICE, 1, 2, 0),
        elsewhere,
        *to_bank(ALICE, 2, 1, 3),
        moved(ALICE, BOB, 1, log_index=5),
    ]
    plan = planned(*events, held_minor=90)
    assert legs(plan) == [(20, 90), (5, -90), (5, 90), (20, -90), (20, 1), (30, -1)]
    assert [case.kind for case in plan.cases] == ["WalletMoved", "WalletMoved", "PaidOnTheSinglePath"]


def test_a_wallet_that_moves_without_money_books_nothing() -> None:
    assert planned(*to_bank(ALICE, 1, 2, 0)).entries == []


def test_an_account_that_comes_without_a_wallet_is_a_case() -> None:
    plan = planned(*to_bank(STRANGER, 2, 1, 0), held_minor=90)
    assert plan.entries == []
    assert [(case.kind, case.freezes) for case in plan.cases] == [("AccountWithoutWallet", None)]


def test_an_account_that_moves_between_others_is_none_of_ours() -> None:
    plan = planned(*to_bank(STRANGER, 2, 3, 0), held_minor=90)
    assert (plan.entries, plan.cases) == ([], [])


def test_a_funding_of_a_wallet_that_was_moved_meanwhile_takes_the_deposit() -> None:
    payment = BatchedPayment(uuid.uuid4(), "funding", None, BANK, ALICE, 100, 0, 0, "batched")
    plan = planned(*to_bank(ALICE, 1, 2, 0), moved(BANK, ALICE, log_index=2), payment=payment)
    assert legs(plan) == [(2, -100), (21, 100)]
    assert plan.entries[0].resolves == payment.payment_id


def test_a_funding_of_an_address_that_was_never_this_banks_leaves_the_deposit_alone() -> None:
    payment = BatchedPayment(uuid.uuid4(), "funding", None, BANK, BOB, 100, 0, 0, "batched")
    taken = {BOB: OwnWallet(30, 31, is_registered=False)}
    events = [AccountRegistered(BOB, 2, 1, 4, **at(0)), moved(BANK, BOB, log_index=1)]
    plan = planned(*events, payment=payment, wallets=taken)
    assert legs(plan) == [(2, -100), (6, 100)]
    assert plan.entries[0].resolves == payment.payment_id
    assert [(case.kind, case.detail["in_transit_minor"]) for case in plan.cases] == [
        ("UnidentifiedTransfer", -100)
    ]


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
    plan = planned(moved(ALICE, BOB), payment=payment)
    assert legs(plan) == [(20, 100), (30, -100)]
    assert freezing(plan) == ["PaidAfterFailing"]


def test_a_funding_books_both_classes_in_one_entry() -> None:
    payment = BatchedPayment(uuid.uuid4(), "funding", None, BANK, ALICE, 100, 0, 0, "batched")
    plan = planned(moved(BANK, ALICE), payment=payment)
    assert legs(plan) == [(5, 100), (20, -100), (2, -100), (21, 100)]
    assert plan.entries[0].resolves == payment.payment_id
    assert plan.cases == []
