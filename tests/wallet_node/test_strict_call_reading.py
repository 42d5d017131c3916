"""Calls are read in one way only: what no encoder of ours writes is refused with its code."""

from typing import Any

import msgspec
import pytest
from call_strategies import ARTIFACTS, calls, encoded, values_of
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import abi, settlement, trades
from contracts.abi import SELECTORS, load_artifact
from contracts.batch import Record, pack, pack_grouped
from contracts.call_reading import MalformedCall, UnknownCall, functions_of, read_call
from contracts.settlement_events import Leg
from wallet_node.errors import Refusal
from wallet_node.intents.call_movements import call_movements, readable_signatures
from wallet_node.intents.movements import (
    CURRENCY,
    NOTARY,
    SETTLEMENT,
    TRADES,
    Movements,
    Setting,
    describe,
    movement_fields,
)

BANK, CONTRACT = b"\xba" * 20, b"\xc0" * 20
ALICE, BOB, CAROL = (bytes([number]) * 20 for number in (0xA1, 0xB0, 0xCA))
WORD, SIGNATURE = b"\x77" * 32, b"\x01" * 64 + b"\x1b"
UNTIL_S = 1_800_000_600
SETTING = Setting(BANK, CONTRACT)

# What this node never signs, though a contract answers it: a proxy's constructor makes this call.
NEVER_SIGNED = {
    CURRENCY: {"initialize((string,string,uint8,address,address,address,address,address,address,uint32))"},
}


def moved(target: str, data: bytes, setting: Setting = SETTING) -> Movements:
    found = call_movements(target, setting, data)
    assert not isinstance(found, Refusal), found
    return found


def code(target: str, data: bytes) -> str:
    refused = call_movements(target, SETTING, data)
    assert isinstance(refused, Refusal)
    assert refused.detail
    return refused.code


# --- every function -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", sorted(ARTIFACTS))
def test_every_function_that_changes_state_decodes_or_is_refused_by_name(target: str) -> None:
    every = {each.signature for each in functions_of(*ARTIFACTS[target]).values() if each.changes_state}
    refused = NEVER_SIGNED.get(target, set())
    assert readable_signatures(target) == every - refused
    for selector, function in functions_of(*ARTIFACTS[target]).items():
        if function.signature in refused or not function.changes_state:
            assert code(target, selector + bytes(32 * 12)) == "UnknownCall"


def test_no_artifact_has_a_function_that_is_not_walked() -> None:
    walked = {name for artifacts in ARTIFACTS.values() for name in artifacts}
    others = {path.stem for path in abi.ARTIFACTS.glob("*.json")} - walked
    assert others == {"DigitalCurrencyWithBatchEvents", "ERC1967Proxy"}
    same = load_artifact("DigitalCurrency")["methodIdentifiers"]
    assert load_artifact("DigitalCurrencyWithBatchEvents")["methodIdentifiers"] == same
    assert load_artifact("ERC1967Proxy")["methodIdentifiers"] == {}


@settings(max_examples=300, deadline=None)
@given(call=calls())
def test_whatever_eth_abi_encodes_decodes_and_is_said_in_one_sentence(call: tuple[str, Any, bytes]) -> None:
    target, function, data = call
    found = moved(target, data)
    assert found, function.signature
    for movement in found:
        sentence = describe(movement)
        assert sentence[0].isupper() or sentence[0].isdigit()
        assert sentence.endswith(".")
        assert not set("{}\n") & set(sentence)
        fields = movement_fields(movement)
        assert fields["says"] == sentence
        assert msgspec.json.decode(msgspec.json.encode(fields)) == fields


@settings(max_examples=200, deadline=None)
@given(call=calls())
def test_what_was_read_encodes_to_the_same_bytes(call: tuple[str, Any, bytes]) -> None:
    target, function, data = call
    read = read_call(functions_of(*ARTIFACTS[target]), data)
    assert encoded(data[:4], function, values_of(function, read.arguments)) == data


# --- strictness ---------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(call=calls(), extra=st.binary(min_size=1, max_size=64))
def test_bytes_behind_or_missing_are_refused(call: tuple[str, Any, bytes], extra: bytes) -> None:
    target, _, data = call
    assert code(target, data + extra) == "MalformedCall"
    assert code(target, data + bytes(32)) == "MalformedCall"
    short = data[: -min(len(extra), max(len(data) - 4, 0))] if len(data) > 4 else data[:3]
    assert code(target, short) in ("MalformedCall", "UnknownCall")


@settings(max_examples=400, deadline=None)
@given(call=calls(), place=st.integers(0, 2**16), flip=st.integers(1, 255))
def test_a_changed_byte_is_refused_or_means_exactly_what_it_says(
    call: tuple[str, Any, bytes], place: int, flip: int
) -> None:
    target, _, data = call
    at = place % len(data)
    changed = data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :]
    _must_mean_what_it_says(target, changed)


@settings(max_examples=300, deadline=None)
@given(target=st.sampled_from([*sorted(ARTIFACTS), "other"]), data=st.binary(max_size=300))
def test_any_bytes_at_all_are_refused_or_mean_exactly_what_they_say(target: str, data: bytes) -> None:
    _must_mean_what_it_says(target, data)


@settings(max_examples=300, deadline=None)
@given(target=st.sampled_from(sorted(ARTIFACTS)), pick=st.integers(0, 99), words=st.lists(st.integers(0, 9)))
def test_small_words_behind_any_selector_are_refused_or_mean_what_they_say(
    target: str, pick: int, words: list[int]
) -> None:
    known = sorted(functions_of(*ARTIFACTS[target]))
    data = known[pick % len(known)] + b"".join((32 * each).to_bytes(32, "big") for each in words)
    _must_mean_what_it_says(target, data)


def _must_mean_what_it_says(target: str, data: bytes) -> None:
    """Refused with a known code, or read as what eth-abi would encode to the same bytes."""
    found = call_movements(target, SETTING, data)
    if isinstance(found, Refusal):
        assert found.code in ("UnknownCall", "MalformedCall")
        return
    functions = functions_of(*ARTIFACTS[target])
    read = read_call(functions, data)
    function = functions[data[:4]]
    assert encoded(data[:4], function, values_of(function, read.arguments)) == data


def test_dirty_padding_overlapping_tails_and_moved_offsets_are_refused() -> None:
    transfer = abi.encode_transfer(BOB, 5)
    assert code(CURRENCY, transfer[:4] + b"\x01" + transfer[5:]) == "MalformedCall"
    settle = abi.encode_settle(pack([Record(BOB, 5, 0, WORD, WORD)]), UNTIL_S)
    assert moved(CURRENCY, settle)
    assert code(CURRENCY, settle[:-1] + b"\x01") == "MalformedCall"
    farther = settle[:4] + (96).to_bytes(32, "big") + settle[36:68] + bytes(32) + settle[68:]
    assert code(CURRENCY, farther) == "MalformedCall"
    gross = settlement.encode_settle_gross(1, b"\x00\x01\x00\x02", bytes(8) + b"\x00\x01")
    assert moved(SETTLEMENT, gross)
    overlapping = gross[:68] + gross[36:68] + gross[100:]
    assert code(SETTLEMENT, overlapping) == "MalformedCall"


def test_a_length_beyond_all_memory_is_refused_at_once() -> None:
    huge = SELECTORS["settle(bytes,uint64)"] + (64).to_bytes(32, "big") + bytes(32) + b"\xff" * 32
    assert code(CURRENCY, huge) == "MalformedCall"
    many = SELECTORS["register(address[],uint8,uint24)"] + (96).to_bytes(32, "big") + bytes(64) + b"\x7f" * 32
    assert code(CURRENCY, many) == "MalformedCall"


@pytest.mark.parametrize(
    "data",
    [
        abi.encode_settle(b"", UNTIL_S),
        abi.encode_settle(bytes(92), UNTIL_S),
        abi.encode_settle_grouped(b"", UNTIL_S),
        abi.encode_settle_grouped(bytes(22), UNTIL_S),
        abi.encode_settle_grouped(pack_grouped([[Record(BOB, 5, 0, WORD, WORD)]]) + bytes(22), UNTIL_S),
        abi.encode_settle_grouped(BOB + b"\x00\x00", UNTIL_S),
        abi.encode_settle_grouped(BOB + b"\x00\x02" + bytes(73), UNTIL_S),
        abi.encode_settle_fan_out(b"", 0, UNTIL_S, WORD, WORD),
        abi.encode_settle_fan_out(bytes(24), 0, UNTIL_S, WORD, WORD),
    ],
)
def test_a_batch_of_nothing_or_of_parts_of_records_is_refused(data: bytes) -> None:
    assert code(CURRENCY, data) == "MalformedCall"


@pytest.mark.parametrize(
    "data",
    [
        settlement.encode_settle_net(1, WORD, b""),
        settlement.encode_settle_net(1, WORD, bytes(11)),
        settlement.encode_settle_net(1, WORD, settlement.pack_positions({1: 5, 2: -4})),
        settlement.encode_settle_net(1, WORD, b"\x00\x02" + bytes(10) + b"\x00\x01" + bytes(10)),
        settlement.encode_settle_gross(1, b"", b""),
        settlement.encode_settle_gross(1, b"\x00\x02\x00\x01", bytes(8) + b"\x00\x01"),
        settlement.encode_settle_gross(1, b"\x00\x01\x00\x02\x00\x03", bytes(8) + b"\x00\x01"),
        settlement.encode_settle_gross(1, b"\x00\x01\x00\x02", bytes(8) + b"\x00\x02"),
    ],
)
def test_a_net_cycle_that_is_unbalanced_or_out_of_order_is_refused(data: bytes) -> None:
    assert code(SETTLEMENT, data) == "MalformedCall"


def test_a_trade_of_no_leg_or_too_many_is_refused() -> None:
    leg = Leg(CONTRACT, ALICE, BOB, 5)
    for count in (0, 17):
        assert code(TRADES, trades.encode_propose_trade([leg] * count, UNTIL_S, WORD)) == "MalformedCall"


def test_calls_to_other_addresses_and_unknown_selectors_are_refused() -> None:
    assert code("other", abi.encode_transfer(BOB, 5)) == "UnknownCall"
    assert code(NOTARY, abi.encode_transfer(BOB, 5)) == "UnknownCall"
    for data in (b"", b"\x01", SELECTORS["transfer(address,uint256)"][:3], b"\xde\xad\xbe\xef"):
        assert code(CURRENCY, data) == "UnknownCall"
    assert code(CURRENCY, abi.encode_balance_of(BOB)) == "UnknownCall", "a view is nothing to sign"


def test_reading_raises_the_codes_that_are_refused_with() -> None:
    assert (UnknownCall.code, MalformedCall.code) == ("UnknownCall", "MalformedCall")
