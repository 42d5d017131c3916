"""What Python packs and reads, beside eth-abi and the contracts' own ABI."""

from typing import Any

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from contracts import abi, settlement, trades
from contracts.call_data import encode_argument, encode_arguments, encode_bytes, selectors_of
from contracts.events import UnknownEvent
from contracts.settlement import CyclePayment, MalformedCycle
from contracts.settlement_events import (
    CycleSettled,
    Deposited,
    Leg,
    NetDebitCapSet,
    PaymentCancelled,
    PaymentExpired,
    PaymentHeld,
    PaymentQueued,
    PaymentReprioritised,
    PaymentResumed,
    PaymentSettled,
    QueueResolved,
    TradeAffirmed,
    TradeCancelled,
    TradeExecuted,
    TradeProposed,
    Withdrawn,
    decode_settlement_logs,
)
from contracts.words import split_words

ID, ROOT, SALT = keccak(b"id"), keccak(b"root"), keccak(b"salt")
ONE, TWO, THREE = (bytes([digit] * 20) for digit in (0x11, 0x22, 0x33))
LEGS = [Leg(ONE, TWO, THREE, 5), Leg(THREE, ONE, TWO, 2**256 - 1)]
LEG_VALUES = [(leg.token, leg.payer, leg.payee, leg.amount_minor) for leg in LEGS]
LEG_TYPE = "(address,address,address,uint256)[]"
POSITIONS = settlement.pack_positions({1: -5, 2: 5})

CALLS: dict[str, tuple[bytes, tuple[Any, ...]]] = {
    "deposit(uint64)": (settlement.encode_deposit(2**64 - 1), (2**64 - 1,)),
    "withdraw(uint64)": (settlement.encode_withdraw(7), (7,)),
    "setNetDebitCap(uint64)": (settlement.encode_set_net_debit_cap(2**64 - 1), (2**64 - 1,)),
    "submit(bytes32,uint16,uint64,uint8,uint64)": (
        settlement.encode_submit(ID, 2, 3, 1, 99),
        (ID, 2, 3, 1, 99),
    ),
    "hold(bytes32)": (settlement.encode_hold(ID), (ID,)),
    "resume(bytes32)": (settlement.encode_resume(ID), (ID,)),
    "reprioritise(bytes32,uint8)": (settlement.encode_reprioritise(ID, 2), (ID, 2)),
    "cancel(bytes32)": (settlement.encode_cancel(ID), (ID,)),
    "expire(bytes32[])": (settlement.encode_expire([ID, ROOT]), ([ID, ROOT],)),
    "resolve(bytes32[])": (settlement.encode_resolve([ID, ROOT, SALT]), ([ID, ROOT, SALT],)),
    "settleNet(uint64,bytes32,bytes)": (
        settlement.encode_settle_net(7, ROOT, POSITIONS),
        (7, ROOT, POSITIONS),
    ),
    "settleGross(uint64,bytes,bytes)": (
        settlement.encode_settle_gross(8, bytes(range(4)), bytes(range(40))),
        (8, bytes(range(4)), bytes(range(40))),
    ),
    "participant(uint16)": (settlement.encode_participant(3), (3,)),
    "payment(bytes32)": (settlement.encode_payment(ID), (ID,)),
    "lastCycle()": (settlement.encode_last_cycle(), ()),
    f"proposeTrade({LEG_TYPE},uint64,bytes32)": (
        trades.encode_propose_trade(LEGS, 99, SALT),
        (LEG_VALUES, 99, SALT),
    ),
    "affirm(bytes32)": (trades.encode_affirm(ID), (ID,)),
    "executeTrade(bytes32)": (trades.encode_execute_trade(ID), (ID,)),
    "cancelTrade(bytes32)": (trades.encode_cancel_trade(ID), (ID,)),
    "trade(bytes32)": (trades.encode_trade(ID), (ID,)),
}


def types_of(signature: str) -> list[str]:
    inner = signature[signature.index("(") + 1 : -1]
    if inner.startswith("("):
        return [LEG_TYPE, *inner[len(LEG_TYPE) + 1 :].split(",")]
    return inner.split(",") if inner else []


@pytest.mark.parametrize("signature", CALLS)
def test_call_data_equals_eth_abis(signature: str) -> None:
    data, values = CALLS[signature]
    assert data == keccak(signature.encode())[:4] + encode(types_of(signature), values)
    assert signature in settlement.SELECTORS or signature in trades.SELECTORS


def test_every_function_that_changes_anything_can_be_called() -> None:
    inherited = {"offerRole", "acceptRole"}  # contracts.abi encodes them
    for contract in ("Settlement", "Trades"):
        for entry in abi.load_artifact(contract)["abi"]:
            if entry["type"] == "function" and entry["stateMutability"] not in ("view", "pure"):
                names = {signature.partition("(")[0] for signature in CALLS}
                assert entry["name"] in names | inherited


EVENTS: dict[str, tuple[Any, ...]] = {
    "Deposited": (Deposited, 1, 2),
    "Withdrawn": (Withdrawn, 1, 2),
    "NetDebitCapSet": (NetDebitCapSet, 1, 2),
    "PaymentSettled": (PaymentSettled, ID, 1, 2, 3, 1),
    "PaymentQueued": (PaymentQueued, ID, 1, 2, 3, 1, 99),
    "PaymentHeld": (PaymentHeld, ID, 1),
    "PaymentResumed": (PaymentResumed, ID, 1),
    "PaymentReprioritised": (PaymentReprioritised, ID, 1, 2),
    "PaymentCancelled": (PaymentCancelled, ID, 1),
    "PaymentExpired": (PaymentExpired, ID, 1),
    "QueueResolved": (QueueResolved, ID, ONE, 5),
    "CycleSettled": (CycleSettled, 7, ROOT, {1: -5, 2: 5}),
    "TradeProposed": (TradeProposed, ID, ONE, 99, SALT, tuple(LEGS)),
    "TradeAffirmed": (TradeAffirmed, ID, ONE),
    "TradeExecuted": (TradeExecuted, ID, ONE),
    "TradeCancelled": (TradeCancelled, ID, ONE),
}


def event_entries() -> dict[str, dict[str, Any]]:
    return {
        entry["name"]: entry
        for contract in ("Settlement", "Trades")
        for entry in abi.load_artifact(contract)["abi"]
        if entry["type"] == "event"
    }


def type_of(field: dict[str, Any]) -> str:
    return LEG_TYPE if field["type"] == "tuple[]" else str(field["type"])


def as_log(name: str, values: tuple[Any, ...]) -> dict[str, Any]:
    """The log that a contract would emit, by its ABI."""
    inputs = event_entries()[name]["inputs"]
    plain = {"CycleSettled": (*values[:2], POSITIONS), "TradeProposed": (*values[:4], LEG_VALUES)}
    fields = list(zip(inputs, plain.get(name, values), strict=True))
    signature = f"{name}({','.join(type_of(field) for field in inputs)})"
    indexed = [encode([type_of(field)], [value]) for field, value in fields if field["indexed"]]
    rest = [(type_of(field), value) for field, value in fields if not field["indexed"]]
    data = encode([kind for kind, _ in rest], [value for _, value in rest])
    return {
        "address": "0x" + ONE.hex(),
        "topics": ["0x" + topic.hex() for topic in (keccak(signature.encode()), *indexed)],
        "data": "0x" + data.hex(),
        "blockNumber": "0x10",
        "blockHash": "0x" + ID.hex(),
        "transactionHash": "0x" + ROOT.hex(),
        "logIndex": "0x2",
    }


@pytest.mark.parametrize("name", EVENTS)
def test_events_equal_the_abis(name: str) -> None:
    event_class, *values = EVENTS[name]
    place = {"block_number": 16, "block_hash": ID, "transaction_hash": ROOT, "log_index": 2}
    assert decode_settlement_logs([as_log(name, tuple(values))]) == [event_class(*values, **place)]


def test_every_event_is_known() -> None:
    assert set(event_entries()) == {*EVENTS, "RoleOffered", "RoleTransferred"}


def test_an_unknown_event_is_refused() -> None:
    log = {**as_log("TradeExecuted", (ID, ONE)), "topics": ["0x" + "00" * 32]}
    for topics in (log["topics"], []):
        with pytest.raises(UnknownEvent):
            decode_settlement_logs([{**log, "topics": topics}])


IDS = st.integers(0, 2**16 - 1)


@given(st.dictionaries(IDS, st.integers(-(2**79), 2**79 - 1), max_size=settlement.MAX_CYCLE_PARTICIPANTS))
def test_packing_positions_and_unpacking_are_inverse(positions: dict[int, int]) -> None:
    packed = settlement.pack_positions(positions)
    assert len(packed) == 12 * len(positions)
    assert settlement.unpack_positions(packed) == positions


@given(st.lists(st.builds(CyclePayment, IDS, IDS, st.integers(0, 2**64 - 1)), max_size=40))
def test_packing_payments_and_unpacking_are_inverse(payments: list[CyclePayment]) -> None:
    participants, packed = settlement.pack_payments(payments)
    assert settlement.unpack_payments(participants, packed) == payments
    assert sum(settlement.net_positions(payments).values()) == 0


def test_positions_that_do_not_fit_are_refused() -> None:
    too_many = dict.fromkeys(range(settlement.MAX_CYCLE_PARTICIPANTS + 1), 0)
    for positions in ({2**16: 0}, {-1: 0}, {1: 2**79}, {1: -(2**79) - 1}, too_many):
        with pytest.raises(MalformedCycle):
            settlement.pack_positions(positions)
    one, two = settlement.pack_positions({1: 5}), settlement.pack_positions({2: 5})
    for packed in (one[:-1], one + b"\0", two + one, one + one):
        with pytest.raises(MalformedCycle):
            settlement.unpack_positions(packed)


def test_payments_that_do_not_fit_are_refused() -> None:
    fine = CyclePayment(1, 2, 3)
    crowd = [CyclePayment(0, each, 1) for each in range(1, settlement.MAX_CYCLE_PARTICIPANTS + 1)]
    for payments in (
        [CyclePayment(1, 2**16, 3)],
        [CyclePayment(1, 2, 2**64)],
        [CyclePayment(1, 2, -1)],
        crowd,
        [fine] * (settlement.MAX_CYCLE_PAYMENTS + 1),
    ):
        with pytest.raises(MalformedCycle):
            settlement.pack_payments(payments)
    listed, packed = settlement.pack_payments([fine])
    for participants, others in ((listed[:-1], packed), (listed, packed[:-1]), (listed[:2], packed)):
        with pytest.raises(MalformedCycle):
            settlement.unpack_payments(participants, others)


@pytest.mark.parametrize(
    "call",
    [
        lambda: settlement.encode_deposit(2**64),
        lambda: settlement.encode_withdraw(-1),
        lambda: settlement.encode_set_net_debit_cap(2**64),
        lambda: settlement.encode_submit(ID, 2**16, 1, 0),
        lambda: settlement.encode_submit(ID, 1, 2**64, 0),
        lambda: settlement.encode_submit(ID, 1, 1, 256),
        lambda: settlement.encode_submit(ID, 1, 1, 0, 2**64),
        lambda: settlement.encode_submit(ID[:31], 1, 1, 0),
        lambda: settlement.encode_settle_net(2**64, ROOT, b""),
        lambda: trades.encode_propose_trade(LEGS, 2**64, SALT),
        lambda: encode_argument(2**256),
        lambda: encode_argument(-(2**255) - 1),
    ],
)
def test_what_does_not_fit_its_place_is_refused(call: Any) -> None:
    with pytest.raises(ValueError, match=r"fit|one word"):
        call()


def test_negative_words_are_twos_complement() -> None:
    assert encode_arguments(-1, encode_bytes(b"x")) == encode(["int256", "bytes"], [-1, b"x"])


def test_payment_ids_keep_their_reference_and_open_with_their_payer() -> None:
    assert settlement.payment_id(0x0102, b"ref") == b"\x01\x02" + bytes(27) + b"ref"
    assert settlement.payment_id(1, bytes(range(30))) == b"\0\x01" + bytes(range(30))
    assert settlement.payment_id(1, bytes(31)) == b"\0\x01" + keccak(bytes(31))[:30]
    with pytest.raises(ValueError, match="participant"):
        settlement.payment_id(2**16, b"ref")


def test_answers_of_another_length_are_refused() -> None:
    for decode in (settlement.decode_participant, settlement.decode_payment):
        for length in (0, 160, 191, 224):
            with pytest.raises(ValueError, match="6 words expected"):
                decode(bytes(length))
    assert split_words(bytes(64), 2) == [0, 0]
    for returned in (b"", bytes(32 * 6), bytes(32 * 8)):
        with pytest.raises(ValueError, match="a trade expected"):
            trades.decode_trade(returned)


def test_errors_of_one_name_are_one_error() -> None:
    """A revert is read by its name alone: no two contracts may mean different things by it."""
    seen: dict[str, list[tuple[str, str]]] = {}
    for contract in ("DigitalCurrency", "Settlement", "Trades"):
        for entry in abi.load_artifact(contract)["abi"]:
            if entry["type"] == "error":
                fields = [(field["type"], field["name"]) for field in entry["inputs"]]
                assert seen.setdefault(entry["name"], fields) == fields


def test_reverts_of_every_contract_are_read_by_name() -> None:
    selector = keccak(b"NetDebitCapExceeded(uint256,uint256,uint256)")[:4]
    assert abi.decode_revert(selector + encode_arguments(1, 2, 3)) == (
        "NetDebitCapExceeded",
        {"participant": 1, "netDebit": 2, "netDebitCap": 3},
    )
    assert abi.decode_revert(keccak(b"NotAPayer(bytes32,address)")[:4] + encode_arguments(ID, ONE)) == (
        "NotAPayer",
        {"tradeId": ID, "caller": ONE},
    )
    assert selectors_of("Trades")["affirm(bytes32)"] == keccak(b"affirm(bytes32)")[:4]
