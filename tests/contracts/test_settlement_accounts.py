"""Settlement accounts: money in and out, consent, standing, and where it is all stored."""

import pytest
from eth_hash.auto import keccak

from contracts import abi, settlement
from contracts.abi import AccountFlag
from contracts.settlement_events import Deposited, NetDebitCapSet, StandingChanged, Withdrawn
from tests.contracts.settlement_world import (
    BANKS,
    DEPLOYER,
    FUNDS,
    IDS,
    OPERATOR,
    SUSPENDED,
    A,
    B,
    C,
    D,
    SettlementWorld,
    arguments_of,
    bank_of,
)
from tests.contracts.world import (
    BANK_A,
    GOVERNOR,
    NO_LIMIT,
    PAUSER,
    STRANGER,
    SUPPLY,
    Person,
    Refused,
)

BALANCE_LIMIT = 2**72 - 1


def test_it_is_not_created_without_a_currencys_code(banks: SettlementWorld) -> None:
    creation = banks.evm.send(DEPLOYER, b"", settlement.settlement_creation_code(STRANGER.address, OPERATOR))
    code, arguments = abi.decode_revert(creation.returned)
    assert (code, arguments) == ("CurrencyWithoutCode", {"currency": STRANGER.address})


def test_it_is_not_created_without_an_operator(banks: SettlementWorld) -> None:
    creation = banks.evm.send(DEPLOYER, b"", settlement.settlement_creation_code(banks.currency, bytes(20)))
    code, arguments = abi.decode_revert(creation.returned)
    assert (code, arguments) == ("RoleWithoutHolder", {"role": settlement.OPERATOR_ROLE})


def test_its_creation_fixes_the_currency_and_the_operator(banks: SettlementWorld) -> None:
    assert banks.settle_read(settlement.SELECTORS["currency()"])[12:] == banks.currency
    assert banks.settle_read(abi.encode_role_holder(settlement.OPERATOR_ROLE))[12:] == OPERATOR


def test_a_deposit_moves_currency_in_and_brings_into_standing(banks: SettlementWorld) -> None:
    before = banks.balance(BANK_A)
    standing, deposited = banks.deposit(A, 700)
    assert standing == StandingChanged(A, True, **place_of(standing))
    assert isinstance(deposited, Deposited)
    assert (deposited.participant, deposited.amount_minor) == (A, 700)
    assert banks.participant(A) == (700, 0, True, (0, 0, 0))
    assert (banks.balance(BANK_A), banks.held_by_settlement()) == (before - 700, 700)
    (second,) = banks.deposit(A, 1)
    assert isinstance(second, Deposited)
    assert banks.funds() == [701, 0, 0, 0, 0]


def place_of(event: object) -> dict[str, object]:
    return {
        name: getattr(event, name) for name in ("block_number", "block_hash", "transaction_hash", "log_index")
    }


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


def test_the_sum_of_balances_never_leaves_72_bits(banks: SettlementWorld) -> None:
    banks.deposit(B, 5)
    held = BALANCE_LIMIT - 10
    banks.set_account(Person(b"", banks.settlement), balance=held)
    banks.evm.write_storage(banks.settlement, word_slot(A), (1 << 127 | held - 5) << 128)
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
        banks.suspend(own)
        banks.refresh(own)
        assert banks.participant(own) == (300, 77, False, (0, 0, 0))
        banks.reinstate(own)
        banks.withdraw(own, 300)
        assert banks.participant(own) == (0, 77, False, (0, 0, 0))
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
        {"netDebitCap": 2**55, "limit": 2**55 - 1},
    )


@pytest.mark.parametrize("flag", [SUSPENDED, AccountFlag.FROZEN, AccountFlag.CLOSED])
def test_the_standing_follows_the_currency(banks: SettlementWorld, flag: int) -> None:
    (event,) = banks.refresh(A)
    assert isinstance(event, StandingChanged)
    assert (event.participant, event.is_in_standing) == (A, True)
    banks.mark_institution(A, flag)
    (event,) = banks.refresh(A)
    assert (event.participant, event.is_in_standing) == (A, False)  # type: ignore[attr-defined]
    banks.reinstate(A)
    assert banks.participant(A).is_in_standing is False
    banks.deposit(A, 1)
    assert banks.participant(A).is_in_standing is True


def test_refreshing_says_nothing_when_nothing_changed(banks: SettlementWorld) -> None:
    assert banks.refresh(9) == []
    assert banks.participant(9) == (0, 0, False, (0, 0, 0))
    banks.refresh(A)
    before = banks.settlement_root()
    assert banks.refresh(A) == []
    assert banks.settlement_root() == before


def word_slot(number: int) -> int:
    """Where the layout says that a participant's word is."""
    return int.from_bytes(keccak((number // 2).to_bytes(32, "big") + bytes(32)), "big")


def test_the_slots_are_where_the_layout_says(banks: SettlementWorld) -> None:
    rows = abi.load_artifact("Settlement")["storageLayout"]
    layout = {row["member"]: row["slot"] for row in rows}
    assert layout == {"_words": 0, "_queued": 1, "_payments": 2, "lastCycle": 3}
    (payments,) = (row for row in rows if row["member"] == "_payments")
    assert [(row["member"], row["slot"], row["offset"]) for row in payments["members"]] == [
        ("amount", 0, 0),
        ("expiry", 0, 9),
        ("payer", 0, 17),
        ("payee", 0, 19),
        ("priority", 0, 21),
        ("state", 0, 22),
    ]
    for number in IDS:
        banks.deposit(number, 100 + number)
        banks.set_cap(number, 200 + number)
    for number in IDS:
        half = banks.evm.read_storage(banks.settlement, word_slot(number)) >> (number % 2 * 128)
        assert half & BALANCE_LIMIT == 100 + number
        assert half >> 72 & (2**55 - 1) == 200 + number
        assert half >> 127 & 1 == 1
    assert len(BANKS) == len(IDS)
