"""Settlement accounts: money in and out, consent, standing, and where it is all stored."""

from collections.abc import Callable

import pytest

from contracts import abi, settlement, trades
from contracts.batch import SkipReason
from contracts.settlement_events import Deposited, Leg, NetDebitCapSet, Withdrawn
from tests.contracts.settlement_world import (
    AUTHORITY,
    BANKS,
    DEPLOYER,
    FUNDS,
    IDS,
    LOSSES,
    OPERATOR,
    ORDER,
    STANDING_EPOCH_SLOT,
    A,
    B,
    C,
    D,
    SettlementWorld,
    arguments_of,
    bank_of,
    word_slot,
)
from tests.contracts.world import (
    ALICE,
    BANK_A,
    BOB,
    CAROL,
    GOVERNOR,
    NO_LIMIT,
    PAUSER,
    RETAIL_TIER,
    STRANGER,
    SUPPLY,
    Person,
    Refused,
)

BALANCE_LIMIT = 2**64 - 1


def test_it_is_not_created_without_a_currencys_code(banks: SettlementWorld) -> None:
    creation = banks.evm.send(DEPLOYER, b"", settlement.settlement_creation_code(STRANGER.address, OPERATOR))
    code, arguments = abi.decode_revert(creation.returned)
    assert (code, arguments) == ("CurrencyWithoutCode", {"currency": STRANGER.address})


def test_it_is_not_created_without_an_operator(banks: SettlementWorld) -> None:
    creation = banks.evm.send(DEPLOYER, b"", settlement.settlement_creation_code(banks.currency, bytes(20)))
    code, arguments = abi.decode_revert(creation.returned)
    assert (code, arguments) == ("RoleWithoutHolder", {"role": settlement.OPERATOR_ROLE})


def test_it_takes_no_money_until_it_is_an_account_of_the_system(banks: SettlementWorld) -> None:
    """Whoever registers its address first as a customer's could have it paid, or emptied under an order."""
    creation = settlement.settlement_creation_code(banks.currency, OPERATOR)
    fresh = Person(b"", banks.create(creation))
    banks.do(BANK_A.address, abi.encode_approve(fresh.address, NO_LIMIT))
    for _ in range(2):
        outcome = banks.evm.send(BANK_A.address, fresh.address, settlement.encode_deposit(1))
        expected = ("NotASystemAccount", {"settlement": fresh.address})
        assert abi.decode_revert(outcome.returned) == expected
        banks.register(BANK_A, [fresh], RETAIL_TIER)


def test_its_creation_fixes_the_currency_and_the_operator(banks: SettlementWorld) -> None:
    assert banks.settle_read(settlement.SELECTORS["currency()"])[12:] == banks.currency
    assert banks.settle_read(abi.encode_role_holder(settlement.OPERATOR_ROLE))[12:] == OPERATOR


def test_a_deposit_moves_currency_in(banks: SettlementWorld) -> None:
    before = banks.balance(BANK_A)
    (deposited,) = banks.deposit(A, 700)
    assert isinstance(deposited, Deposited)
    assert (deposited.participant, deposited.amount_minor) == (A, 700)
    assert banks.participant(A) == (700, 0, True, (0, 0, 0))
    assert (banks.balance(BANK_A), banks.held_by_settlement()) == (before - 700, 700)
    banks.deposit(A, 1)
    assert banks.funds() == [701, 0, 0, 0, 0]


def test_a_deposit_that_the_currency_refuses_changes_nothing(banks: SettlementWorld) -> None:
    banks.do(bank_of(B), abi.encode_approve(banks.settlement, 50))
    banks.do(bank_of(C), abi.encode_transfer(bank_of(D), SUPPLY - 50))
    cases = [(A, 0, "ZeroAmount"), (B, 51, "InsufficientAllowance"), (C, 51, "InsufficientBalance")]
    before = banks.settlement_root()
    for number, amount, code in cases:
        with pytest.raises(Refused, match=code):
            banks.deposit(number, amount)
    banks.do(PAUSER, abi.encode_pause())
    with pytest.raises(Refused, match="CurrencyPaused"):
        banks.deposit(A, 1)
    assert banks.settlement_root() == before
    banks.do(PAUSER, abi.encode_unpause())
    banks.deposit(B, 50)
    banks.deposit(C, 50)


def test_the_sum_of_balances_never_leaves_64_bits(banks: SettlementWorld) -> None:
    banks.deposit(B, 5)
    held = BALANCE_LIMIT - 10
    banks.set_account(Person(b"", banks.settlement), balance=held)
    banks.evm.write_storage(banks.settlement, word_slot(A), held - 5 << 128)
    with pytest.raises(Refused) as refusal:
        banks.deposit(B, 11)
    assert arguments_of(refusal) == (
        "SettlementBalanceExceeded",
        {"total": BALANCE_LIMIT + 1, "limit": BALANCE_LIMIT},
    )
    banks.deposit(B, 10)
    banks.submit(B, A, 15)
    assert banks.participant(A) == (BALANCE_LIMIT, 0, True, (0, 0, 0))


def test_a_withdrawal_moves_currency_out(banks: SettlementWorld) -> None:
    before = banks.balance(BANK_A)
    banks.deposit(A, 700)
    (event,) = banks.withdraw(A, 300)
    assert isinstance(event, Withdrawn)
    assert (event.participant, event.amount_minor) == (A, 300)
    assert (banks.funds([A]), banks.held_by_settlement()) == ([400], 400)
    banks.withdraw(A, 400)
    assert (banks.funds([A]), banks.held_by_settlement()) == ([0], 0)
    assert banks.balance(BANK_A) == before


def test_a_new_institution_of_a_participant_has_its_account(banks: SettlementWorld) -> None:
    banks.deposit(A, 700)
    banks.do(GOVERNOR, abi.encode_set_participant(A, STRANGER.address, 0, 0b110))
    with pytest.raises(Refused, match="NotAParticipant"):
        banks.withdraw(A, 1)
    banks.settle_do(STRANGER.address, settlement.encode_withdraw(700))
    assert banks.balance(STRANGER) == 700


def test_a_withdrawal_that_is_refused_changes_nothing(banks: SettlementWorld) -> None:
    banks.deposit(A, 700)
    banks.deposit(B, 700)
    before = banks.settlement_root()
    with pytest.raises(Refused, match="ZeroAmount"):
        banks.withdraw(A, 0)
    with pytest.raises(Refused) as refusal:
        banks.withdraw(A, 701)
    assert arguments_of(refusal) == ("InsufficientFunds", {"participant": A, "balance": 700, "amount": 701})
    banks.do(PAUSER, abi.encode_pause())
    with pytest.raises(Refused, match="CurrencyPaused"):
        banks.withdraw(A, 1)
    banks.do(PAUSER, abi.encode_unpause())
    banks.set_tier(0, 10, 10, NO_LIMIT)
    with pytest.raises(Refused, match="PerPaymentLimitExceeded"):
        banks.withdraw(A, 11)
    assert banks.settlement_root() == before


PAYMENTS: dict[str, Callable[[SettlementWorld], object]] = {
    "a bank's transfer": lambda banks: banks.do(bank_of(A), abi.encode_transfer(banks.settlement, 5)),
    "a customer's transfer": lambda banks: banks.do(ALICE.address, abi.encode_transfer(banks.settlement, 5)),
    "another spender's transferFrom": lambda banks: banks.do(
        BOB.address, abi.encode_transfer_from(ALICE.address, banks.settlement, 5)
    ),
    "a leg of a trade": lambda banks: banks.trade_do(
        bank_of(A), trades.encode_execute_trade(trade_to_settlement(banks))
    ),
}


def trade_to_settlement(banks: SettlementWorld) -> bytes:
    banks.do(bank_of(A), abi.encode_approve(banks.trades, 5))
    leg = Leg(banks.currency, bank_of(A), banks.settlement, 5)
    identifier = banks.propose(bank_of(A), [leg], banks.evm.time_s + 9)
    banks.trade_do(bank_of(A), trades.encode_affirm(identifier))
    return identifier


@pytest.mark.parametrize("way", PAYMENTS)
def test_nobody_else_pays_the_settlements_account(banks: SettlementWorld, way: str) -> None:
    """Else its balance would be more than what its books say."""
    banks.deposit(A, 700)
    banks.do(ALICE.address, abi.encode_approve(BOB.address, 5))
    with pytest.raises(Refused) as refusal:
        PAYMENTS[way](banks)
    assert arguments_of(refusal) == ("PayeeIsSystem", {"payee": banks.settlement})
    assert banks.held_by_settlement() == sum(banks.funds()) == 700


def test_a_batch_does_not_pay_the_settlements_account(banks: SettlementWorld) -> None:
    banks.deposit(A, 700)
    account = Person(b"", banks.settlement)
    records = [banks.sign(ALICE, account, 5), banks.sign(ALICE, CAROL, 5, nonce=1)]
    assert banks.skips(*records) == {0: SkipReason.PayeeIsSystem}
    assert banks.held_by_settlement() == sum(banks.funds()) == 700


def test_an_order_neither_pays_nor_takes_from_the_settlements_account(banks: SettlementWorld) -> None:
    banks.deposit(A, 700)
    account, alice = banks.settlement, ALICE.address
    force = "forceTransfer(bytes32,address,address,uint96)"
    for signature, arguments in (
        (force, (ORDER, alice, account, 5)),
        (force, (ORDER, account, alice, 5)),
        ("hold(bytes32,address,uint96)", (ORDER, account, 5)),
        ("freeze(bytes32,address)", (ORDER, account)),
    ):
        with pytest.raises(Refused) as refusal:
            banks.order(AUTHORITY, signature, *arguments)
        assert arguments_of(refusal) == ("AccountNotChangeable", {"account": account})
    assert banks.held_by_settlement() == sum(banks.funds()) == 700


def test_two_participants_of_one_slot_do_not_touch_each_other(banks: SettlementWorld) -> None:
    """2 and 3 share a word; every field of one changes beside full fields of the other."""
    for own, other in ((B, C), (C, B)):
        start = banks.evm.snapshot()
        banks.deposit(other, FUNDS)
        banks.set_cap(other)
        beside = banks.participant(other)
        banks.deposit(own, 300)
        banks.set_cap(own, 77)
        assert (banks.participant(own), banks.participant(other)) == ((300, 77, True, (0, 0, 0)), beside)
        banks.settle_net({A: 0, own: 0})
        assert (banks.participant(own), banks.participant(other)) == ((300, 77, True, (0, 0, 0)), beside)
        banks.withdraw(own, 300)
        assert banks.participant(own) == (0, 77, True, (0, 0, 0))
        assert banks.participant(other) == beside
        banks.evm.revert(start)


def test_a_net_debit_cap_is_set_replaced_and_withdrawn(banks: SettlementWorld) -> None:
    for cap in (5, settlement.NO_NET_DEBIT_CAP, 0):
        (event,) = banks.set_cap(A, cap)
        assert isinstance(event, NetDebitCapSet)
        assert (event.participant, event.net_debit_cap_minor) == (A, cap)
        assert banks.participant(A).net_debit_cap_minor == cap
    with pytest.raises(Refused) as refusal:
        banks.set_cap(A, settlement.NO_NET_DEBIT_CAP + 1)
    assert arguments_of(refusal) == (
        "NetDebitCapTooLarge",
        {"netDebitCap": 2**47, "limit": 2**47 - 1},
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_the_standing_is_the_currencys(banks: SettlementWorld, loss: str) -> None:
    assert banks.participant(A) == (0, 0, True, (0, 0, 0))
    assert banks.participant(9) == (0, 0, False, (0, 0, 0))
    banks.lose(A, loss)
    assert banks.participant(A).is_in_standing is False
    assert banks.participant(B).is_in_standing is True
    banks.regain(A, loss)
    assert banks.participant(A).is_in_standing is True
    banks.do(GOVERNOR, abi.encode_set_participant(9, STRANGER.address, 0, 0b110))
    assert banks.participant(9).is_in_standing is True


def test_the_slots_are_where_the_layout_says(banks: SettlementWorld) -> None:
    rows = abi.load_artifact("Settlement")["storageLayout"]
    layout = {row["member"]: row["slot"] for row in rows}
    assert layout == {"_words": 0, "_queued": 1, "_payments": 2, "lastCycle": 3}
    (payments,) = (row for row in rows if row["member"] == "_payments")
    assert [(row["member"], row["slot"], row["offset"]) for row in payments["members"]] == [
        ("amount", 0, 0),
        ("expiry", 0, 8),
        ("payer", 0, 16),
        ("payee", 0, 18),
        ("priority", 0, 20),
        ("state", 0, 21),
    ]
    for number in IDS:
        banks.deposit(number, 100 + number)
        banks.set_cap(number, 200 + number)
    banks.settle_net(dict.fromkeys(IDS[1:], 0))
    banks.set_standing_epoch(2**16)  # replaces an epoch with other bits
    banks.settle_net(dict.fromkeys(IDS[1:], 0), cycle=2)
    assert banks.evm.read_storage(banks.currency, STANDING_EPOCH_SLOT) == banks.standing_epoch() > 0
    for number in IDS:
        half = banks.evm.read_storage(banks.settlement, word_slot(number)) >> (number % 2 * 128)
        assert half & BALANCE_LIMIT == 100 + number
        assert half >> 64 & (2**47 - 1) == 200 + number
        assert half >> 111 & (2**17 - 1) == (0 if number == A else 1 + banks.standing_epoch())
    assert len(BANKS) == len(IDS)
