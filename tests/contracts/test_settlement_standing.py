"""Who loses its good standing in the currency takes part in nothing from then on, until it has it back."""

from collections.abc import Callable

import pytest

from contracts import abi, settlement
from contracts.local_evm import Snapshot
from contracts.settlement import CyclePayment, Priority
from tests.contracts.settlement_world import (
    FUNDS,
    IDS,
    LOSSES,
    OPERATOR,
    A,
    B,
    C,
    D,
    E,
    SettlementWorld,
    arguments_of,
    word_slot,
)
from tests.contracts.world import GOVERNOR, Refused

PAID_BY_A, PAID_BY_B = settlement.payment_id(A, b"waits"), settlement.payment_id(B, b"waits")
HIGHLY_URGENT = Priority.HIGHLY_URGENT


def settle_gross(banks: SettlementWorld, payments: list[CyclePayment], cycle: int) -> None:
    banks.settle_do(OPERATOR, settlement.encode_settle_gross(cycle, *settlement.pack_payments(payments)))


# All of them succeed while B is in good standing; two cycles settled before.
VERBS: dict[str, Callable[[SettlementWorld], object]] = {
    "settleNet, B pays": lambda banks: banks.settle_net({A: 1, B: -1}, cycle=3),
    "settleNet, B is paid": lambda banks: banks.settle_net({A: -1, B: 1}, cycle=3),
    "settleNet, B at zero": lambda banks: banks.settle_net({A: 1, B: 0, C: -1}, cycle=3),
    "settleGross, B pays": lambda banks: settle_gross(banks, [CyclePayment(B, C, 1)], 3),
    "settleGross, B is paid": lambda banks: settle_gross(banks, [CyclePayment(C, B, 1)], 3),
    "resolve": lambda banks: banks.resolve(PAID_BY_A, PAID_BY_B),
    "submit by B": lambda banks: banks.submit(B, A, 1, HIGHLY_URGENT),
    "submit to B": lambda banks: banks.submit(A, B, 1, HIGHLY_URGENT),
    "deposit": lambda banks: banks.deposit(B, 1),
    "withdraw": lambda banks: banks.withdraw(B, 1),
}


@pytest.fixture(scope="module")
def under_way(built_banks: tuple[SettlementWorld, Snapshot]) -> Snapshot:
    """All five have funds and consent; cycles have found them in good standing; A and B owe each other."""
    banks, snapshot = built_banks
    banks.evm.revert(snapshot)
    for number in IDS:
        banks.deposit(number)
        banks.set_cap(number)
    banks.settle_net({A: -1, B: 1, C: 0, D: 0, E: 0})
    banks.settle_net({A: 1, B: -1, C: 0, D: 0, E: 0}, cycle=2)
    banks.submit(A, B, 2 * FUNDS, identifier=PAID_BY_A)
    banks.submit(B, A, 2 * FUNDS, identifier=PAID_BY_B)
    return banks.evm.snapshot()


@pytest.fixture
def settling(banks: SettlementWorld, under_way: Snapshot) -> SettlementWorld:
    """Banks whose settlement is under way."""
    banks.evm.revert(under_way)
    return banks


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("verb", VERBS)
def test_a_participant_is_refused_a_second_later_and_works_again_at_once(
    settling: SettlementWorld, verb: str, loss: str
) -> None:
    settling.lose(B, loss)
    settling.evm.set_time(settling.evm.time_s + 1)
    before = settling.settlement_root()
    with pytest.raises(Refused) as refusal:
        VERBS[verb](settling)
    assert arguments_of(refusal) == ("ParticipantNotInStanding", {"participant": B})
    assert settling.settlement_root() == before
    settling.regain(B, loss)
    VERBS[verb](settling)
    assert settling.settlement_root() != before


@pytest.mark.parametrize("loss", LOSSES)
def test_the_others_go_on_without_it(settling: SettlementWorld, loss: str) -> None:
    settling.lose(B, loss)
    settling.settle_net({A: -5, C: 5}, cycle=3)
    settle_gross(settling, [CyclePayment(C, D, 6), CyclePayment(A, E, 7)], 4)
    assert settling.funds() == [FUNDS - 12, FUNDS, FUNDS - 1, FUNDS + 6, FUNDS + 7]
    with pytest.raises(Refused, match="ParticipantNotInStanding"):
        settling.settle_net({A: -1, B: 1}, cycle=5)


def test_what_an_earlier_cycle_found_holds_for_nobody_else(settling: SettlementWorld) -> None:
    """A new participant in the slot of one that was looked up is looked up itself."""
    with pytest.raises(Refused) as refusal:
        settling.settle_net({A: -1, 6: 1}, cycle=3)
    assert arguments_of(refusal) == ("ParticipantNotInStanding", {"participant": 6})
    settling.suspend(E)
    with pytest.raises(Refused) as refusal:
        settling.settle_net({C: -1, D: 0, E: 1}, cycle=3)
    assert arguments_of(refusal) == ("ParticipantNotInStanding", {"participant": E})


def test_an_institution_that_was_replaced_counts_no_longer(settling: SettlementWorld) -> None:
    """The participant is in the standing of whoever is its institution now."""
    successor = bytes([0xC1] * 20)
    settling.do(GOVERNOR, abi.encode_set_participant(B, successor, 0, 0b110))
    settling.settle_net({A: -1, B: 1}, cycle=3)
    settling.suspend(B)
    with pytest.raises(Refused, match="ParticipantNotInStanding"):
        settling.settle_net({A: -1, B: 1}, cycle=4)
    settling.reinstate(B)
    settling.settle_do(successor, settlement.encode_withdraw(1))


@pytest.mark.parametrize("epoch", [0, 2**17 - 4, 2**17 - 3, 2**17 - 2, 2**17 - 1, 2**17, 2**200])
def test_a_loss_binds_whatever_the_currencys_epoch_is(settling: SettlementWorld, epoch: int) -> None:
    settling.set_standing_epoch(epoch)
    settling.settle_net({A: -1, B: 1}, cycle=3)
    settling.suspend(B)
    with pytest.raises(Refused, match="ParticipantNotInStanding"):
        settling.settle_net({A: -1, B: 1}, cycle=4)
    settling.settle_net({A: -1, C: 1}, cycle=4)
    settling.reinstate(B)
    settling.settle_net({A: -1, B: 1}, cycle=5)
    assert settling.funds([A, B, C]) == [FUNDS - 3, FUNDS + 2, FUNDS + 1]


@pytest.mark.parametrize("epoch", [2**17 - 4, 2**17 - 3, 2**17 - 2])
def test_a_credit_that_nobody_has_does_not_reach_the_neighbour(settling: SettlementWorld, epoch: int) -> None:
    """2 has one unit and no limit, 3 in the same slot all others that fit: a carry would be one more."""
    held = 2**64 - 2
    no_limit = settlement.NO_NET_DEBIT_CAP << 64
    settling.evm.write_storage(settling.settlement, word_slot(B), (no_limit | held) << 128 | no_limit | 1)
    settling.set_standing_epoch(epoch)
    with pytest.raises(Refused) as refusal:
        settling.settle_net({B: held + 1, C: -held - 1}, cycle=3)
    assert arguments_of(refusal) == (
        "InsufficientFunds",
        {"participant": C, "balance": held, "amount": held + 1},
    )
    settling.settle_net({B: held, C: -held}, cycle=3)
    assert settling.funds([B, C]) == [held + 1, 0]
