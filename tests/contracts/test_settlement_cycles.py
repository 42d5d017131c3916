"""Deferred net cycles, from positions and from a gross list."""

import pytest
from eth_hash.auto import keccak
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import abi, settlement
from contracts.local_evm import Snapshot
from contracts.settlement import (
    MAX_CYCLE_PARTICIPANTS,
    MAX_CYCLE_PAYMENTS,
    CyclePayment,
    net_positions,
    pack_payments,
    pack_positions,
)
from contracts.settlement_events import CycleSettled
from tests.contracts.settlement_world import (
    FUNDS,
    IDS,
    OPERATOR,
    A,
    B,
    C,
    D,
    E,
    SettlementWorld,
    arguments_of,
)
from tests.contracts.world import GOVERNOR, PAUSER, STRANGER, Refused

ROOT = keccak(b"payments")


@pytest.fixture(scope="module")
def consented(built_banks: tuple[SettlementWorld, Snapshot]) -> Snapshot:
    """All five have funds and consent."""
    banks, snapshot = built_banks
    banks.evm.revert(snapshot)
    for number in IDS:
        banks.deposit(number)
        banks.set_cap(number)
    return banks.evm.snapshot()


@pytest.fixture
def consenting(banks: SettlementWorld, consented: Snapshot) -> SettlementWorld:
    """Banks that have funds and consent."""
    banks.evm.revert(consented)
    return banks


def net(banks: SettlementWorld, packed: bytes, cycle: int = 1) -> CycleSettled:
    (event,) = banks.settle_do(OPERATOR, settlement.encode_settle_net(cycle, ROOT, packed))
    assert isinstance(event, CycleSettled)
    return event


def gross(banks: SettlementWorld, participants: bytes, payments: bytes, cycle: int = 1) -> CycleSettled:
    (event,) = banks.settle_do(OPERATOR, settlement.encode_settle_gross(cycle, participants, payments))
    assert isinstance(event, CycleSettled)
    return event


def is_refused(banks: SettlementWorld, data: bytes, code: str, **arguments: object) -> None:
    """And changes nothing."""
    before = banks.settlement_root()
    with pytest.raises(Refused) as refusal:
        banks.settle_do(OPERATOR, data)
    assert arguments_of(refusal) == (code, arguments)
    assert banks.settlement_root() == before


def refuses_positions(banks: SettlementWorld, positions: bytes, code: str, **arguments: object) -> None:
    is_refused(banks, settlement.encode_settle_net(1, ROOT, positions), code, **arguments)


def test_positions_move_and_the_event_says_so(consenting: SettlementWorld) -> None:
    positions = {A: -400, B: 100, C: 250, D: 0, E: 50}
    event = net(consenting, pack_positions(positions))
    assert (event.cycle, event.payments_root, event.positions) == (1, ROOT, positions)
    assert consenting.funds() == [600, 1_100, 1_250, 1_000, 1_050]
    assert abi.decode_uint(consenting.settle_read(settlement.encode_last_cycle())) == 1


def test_a_gross_list_does_what_its_positions_do(consenting: SettlementWorld) -> None:
    payments = [
        CyclePayment(A, B, 700),
        CyclePayment(B, C, 650),
        CyclePayment(C, A, 300),
        CyclePayment(E, A, 7),
    ]
    listed, packed = pack_payments(payments)
    event = gross(consenting, listed, packed)
    assert event.positions == net_positions(payments) == {A: -393, B: 50, C: 350, E: -7}
    assert (event.cycle, event.payments_root) == (1, keccak(packed))
    assert consenting.funds() == [607, 1_050, 1_350, 1_000, 993]


def test_positions_that_do_not_add_up_are_refused(consenting: SettlementWorld) -> None:
    for positions, total in (({A: -5, B: 6}, 1), ({A: 1}, 1), ({A: -1}, -1), ({A: 2**79 - 1}, 2**79 - 1)):
        refuses_positions(consenting, pack_positions(positions), "PositionsUnbalanced", sum=total)


def test_participants_that_do_not_ascend_are_refused(consenting: SettlementWorld) -> None:
    a, b = pack_positions({A: -5}), pack_positions({B: 5})
    nobody = pack_positions({0: 0})
    refuses_positions(consenting, b + a, "ParticipantsNotAscending", participant=A)
    refuses_positions(consenting, a + b + b, "ParticipantsNotAscending", participant=B)
    refuses_positions(consenting, nobody + a + b, "ParticipantsNotAscending", participant=0)
    payments = pack_payments([CyclePayment(A, B, 1)])[1]
    for listed, named in ((bytes.fromhex("00020001"), A), (bytes.fromhex("00010001"), A), (bytes(4), 0)):
        data = settlement.encode_settle_gross(1, listed, payments)
        is_refused(consenting, data, "ParticipantsNotAscending", participant=named)


def test_a_net_debit_stays_within_the_cap(consenting: SettlementWorld) -> None:
    consenting.set_cap(A, 300)
    refuses_positions(
        consenting,
        pack_positions({A: -301, B: 301}),
        "NetDebitCapExceeded",
        participant=A,
        netDebit=301,
        netDebitCap=300,
    )
    net(consenting, pack_positions({A: -300, B: 300}))
    consenting.set_cap(B, 0)
    with pytest.raises(Refused, match="NetDebitCapExceeded"):
        net(consenting, pack_positions({A: 1, B: -1}), cycle=2)
    net(consenting, pack_positions({A: -1, B: 1}), cycle=2)


def test_nobody_ends_below_zero(consenting: SettlementWorld) -> None:
    refuses_positions(
        consenting,
        pack_positions({D: -FUNDS - 1, E: FUNDS + 1}),
        "InsufficientFunds",
        participant=D,
        balance=FUNDS,
        amount=FUNDS + 1,
    )
    net(consenting, pack_positions({D: -FUNDS, E: FUNDS}))
    assert consenting.funds([D, E]) == [0, 2 * FUNDS]


def test_a_credit_too_large_for_its_field_never_stays(consenting: SettlementWorld) -> None:
    """It would spill into the cap; but then somebody else has not got it."""
    huge = 2**79 - 1
    refuses_positions(
        consenting,
        pack_positions({A: huge, B: -huge}),
        "InsufficientFunds",
        participant=B,
        balance=FUNDS,
        amount=huge,
    )


def test_a_participant_out_of_standing_is_refused(consenting: SettlementWorld) -> None:
    net(consenting, pack_positions({A: -1, B: 1}))
    consenting.suspend(B)
    for positions in ({A: -1, B: 1}, {A: 1, B: -1}, {A: 1, B: 0, C: -1}):
        data = settlement.encode_settle_net(2, ROOT, pack_positions(positions))
        is_refused(consenting, data, "ParticipantNotInStanding", participant=B)
    listed, payments = pack_payments([CyclePayment(A, B, 5), CyclePayment(B, A, 5)])
    data = settlement.encode_settle_gross(2, listed, payments)
    is_refused(consenting, data, "ParticipantNotInStanding", participant=B)
    net(consenting, pack_positions({A: -1, C: 1}), cycle=2)
    is_refused(
        consenting,
        settlement.encode_settle_net(3, ROOT, pack_positions({A: -1, B: 1})),
        "ParticipantNotInStanding",
        participant=B,
    )
    consenting.reinstate(B)
    net(consenting, pack_positions({A: -1, B: 1}), cycle=3)


def test_who_is_no_participant_of_the_currency_receives_nothing(consenting: SettlementWorld) -> None:
    refuses_positions(consenting, pack_positions({A: -1, 9: 1}), "ParticipantNotInStanding", participant=9)
    consenting.do(GOVERNOR, abi.encode_set_participant(9, STRANGER.address, 0, 0b110))
    net(consenting, pack_positions({A: -1, 9: 1}))
    consenting.settle_do(STRANGER.address, settlement.encode_withdraw(1))


def test_a_cycle_settles_once_and_none_is_left_out(consenting: SettlementWorld) -> None:
    positions = pack_positions({A: -1, B: 1})
    for cycle in (0, 2, 2**64 - 1):
        data = settlement.encode_settle_net(cycle, ROOT, positions)
        is_refused(consenting, data, "CycleOutOfOrder", cycle=cycle, expected=1)
    net(consenting, positions)
    again = settlement.encode_settle_net(1, ROOT, positions)
    is_refused(consenting, again, "CycleOutOfOrder", cycle=1, expected=2)
    again = settlement.encode_settle_gross(1, *pack_payments([CyclePayment(A, B, 1)]))
    is_refused(consenting, again, "CycleOutOfOrder", cycle=1, expected=2)
    gross(consenting, *pack_payments([CyclePayment(A, B, 1)]), cycle=2)
    assert consenting.funds([A, B]) == [FUNDS - 2, FUNDS + 2]


def test_bytes_that_are_no_whole_records_are_refused(consenting: SettlementWorld) -> None:
    good = pack_positions({A: -1, B: 1})
    too_many = good + bytes(12 * (MAX_CYCLE_PARTICIPANTS - 1))
    for positions in (b"", good[:-1], good + b"\0", too_many):
        refuses_positions(
            consenting, positions, "MalformedCycle", participantBytes=len(positions), paymentBytes=0
        )
    listed, payments = pack_payments([CyclePayment(A, B, 1)])
    for own, others in (
        (b"", payments),
        (listed[:-1], payments),
        (listed + b"\0", payments),
        (listed + bytes(2 * (MAX_CYCLE_PARTICIPANTS - 1)), payments),
        (listed, b""),
        (listed, payments[:-1]),
        (listed, payments + b"\0"),
        (listed, payments * (MAX_CYCLE_PAYMENTS + 1)),
    ):
        data = settlement.encode_settle_gross(1, own, others)
        is_refused(consenting, data, "MalformedCycle", participantBytes=len(own), paymentBytes=len(others))


@pytest.mark.parametrize("behind", [0, 1, 2])
@pytest.mark.parametrize("place", [2, 3, 127, 128, 129, 254, 255])
def test_a_payment_of_a_place_behind_the_list_is_refused(
    consenting: SettlementWorld, place: int, behind: int
) -> None:
    """In each of the three records of a word, on each side; also where both cancel out."""
    listed, good = pack_payments([CyclePayment(A, B, 1)])
    amount = (1).to_bytes(8, "big")
    for sides in (bytes([place, 0]), bytes([0, place]), bytes([place, place]), bytes([255, place])):
        data = settlement.encode_settle_gross(1, listed, good * behind + amount + sides + good)
        is_refused(consenting, data, "ParticipantNotListed", listed=2)
    back_and_forth = amount + bytes([place, 0]) + amount + bytes([0, place])
    data = settlement.encode_settle_gross(1, listed, good * behind + back_and_forth)
    is_refused(consenting, data, "ParticipantNotListed", listed=2)


def test_as_many_participants_and_payments_as_are_allowed(banks: SettlementWorld) -> None:
    """The last place of the longest list is a place like any other."""
    start = 1_000
    for number in range(start, start + MAX_CYCLE_PARTICIPANTS):
        institution = keccak(b"%d" % number)[:20]
        banks.do(GOVERNOR, abi.encode_set_participant(number, institution, 0, 0))
    banks.deposit(A)
    banks.submit(A, start, FUNDS)
    institution = keccak(b"%d" % start)[:20]
    banks.settle_do(institution, settlement.encode_set_net_debit_cap(FUNDS))
    last = start + MAX_CYCLE_PARTICIPANTS - 1
    others = [CyclePayment(start, each, 3) for each in range(start + 1, last)]
    listed, packed = pack_payments([*others, CyclePayment(start, last, 5)])
    filled = packed + packed[-10:-2] + bytes(2) + bytes(10 * (MAX_CYCLE_PAYMENTS - len(others) - 2))
    event = gross(banks, listed, filled)
    assert event.positions[last] == 5
    assert event.positions[start] == -3 * len(others) - 5
    assert banks.funds([last, last - 1]) == [5, 3]


def test_a_payment_of_zero_or_to_oneself_nets_to_nothing(consenting: SettlementWorld) -> None:
    listed, packed = pack_payments([CyclePayment(A, B, 0), CyclePayment(A, A, 9_999), CyclePayment(B, A, 4)])
    assert gross(consenting, listed, packed).positions == {A: 4, B: -4}


def test_while_the_currency_is_paused_no_cycle_settles(consenting: SettlementWorld) -> None:
    consenting.do(PAUSER, abi.encode_pause())
    refuses_positions(consenting, pack_positions({A: -1, B: 1}), "CurrencyPaused")
    data = settlement.encode_settle_gross(1, *pack_payments([CyclePayment(A, B, 1)]))
    is_refused(consenting, data, "CurrencyPaused")


def test_bytes_that_the_abi_does_not_point_at_change_nothing(consenting: SettlementWorld) -> None:
    """Records are read word by word; what follows them in the call data is not theirs."""
    listed, packed = pack_payments([CyclePayment(A, B, 1)])
    data = settlement.encode_settle_gross(1, listed, packed)
    data = data[: data.rindex(packed) + len(packed)] + b"\xff" * 22 + b"\xff" * 64
    (event,) = consenting.settle_do(OPERATOR, data)
    assert isinstance(event, CycleSettled)
    assert event.positions == {A: -1, B: 1}


SIDES = st.sampled_from(IDS)
LISTS = st.lists(
    st.builds(CyclePayment, SIDES, SIDES, st.integers(0, 200) | st.sampled_from([2**63, 2**64 - 1])),
    min_size=1,
    max_size=25,
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(payments=LISTS)
def test_the_contract_nets_as_python_does(consenting: SettlementWorld, payments: list[CyclePayment]) -> None:
    start = consenting.evm.snapshot()
    positions = net_positions(payments)
    overdrawn = [each for each in sorted(positions) if positions[each] < -FUNDS]
    by_list = settlement.encode_settle_gross(1, *pack_payments(payments))
    by_positions = settlement.encode_settle_net(1, ROOT, pack_positions(positions))
    if overdrawn:
        # The first in the list's order is named.
        arguments = {
            "participant": overdrawn[0],
            "balance": FUNDS,
            "amount": -positions[overdrawn[0]],
        }
        for data in (by_list, by_positions):
            is_refused(consenting, data, "InsufficientFunds", **arguments)
        return
    ends = []
    for data in (by_list, by_positions):
        consenting.evm.revert(start)
        (event,) = consenting.settle_do(OPERATOR, data)
        assert isinstance(event, CycleSettled)
        assert event.positions == positions
        ends.append((consenting.funds(), consenting.settlement_root()))
    assert ends[0] == ends[1]
    assert ends[0][0] == [FUNDS + positions.get(each, 0) for each in IDS]
    consenting.evm.revert(start)
