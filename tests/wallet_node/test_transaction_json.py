"""A transaction's JSON is read in one way only, and becomes one intent for ever."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node_builders import CHAIN_ID, CONTRACT, DOMAIN, NOTARY, STRANGER

from contracts.abi import encode_mint, encode_settle, encode_settle_grouped
from contracts.access_lists import access_list, accounts_to_list
from contracts.batch import Record, pack, pack_grouped
from contracts.transactions import AccessList
from contracts.typed_data import payment_digest
from wallet_node.errors import (
    AccessListDiffers,
    LegacyTransaction,
    MalformedTransaction,
    WalletNodeError,
    WrongDeployment,
)
from wallet_node.fields import MAXIMUM_INTEGER
from wallet_node.intents.movements import CURRENCY
from wallet_node.keystore.signatures import compact
from wallet_node.keystore.software_key import SoftwareKey
from wallet_node.web3signer.transaction_json import (
    Asked,
    listed_accounts,
    parse_transaction,
    transaction_intent,
)

SENDER = "0x" + "19" * 20
MINT = "0x" + encode_mint(5).hex()
UNTIL_S = 1_800_000_600


def asked(**changes: Any) -> dict[str, Any]:
    return {
        "from": SENDER,
        "to": CONTRACT,
        "nonce": "0x0",
        "gas": "0x186a0",
        "maxFeePerGas": "0x77359400",
        "maxPriorityFeePerGas": "0x3b9aca00",
        "value": "0x0",
        "data": MINT,
        "chainId": hex(CHAIN_ID),
    } | changes


def without(*names: str, **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in asked(**changes).items() if name not in names}


def detail(given: Any, kind: type[WalletNodeError] = MalformedTransaction) -> str:
    with pytest.raises(kind) as refused:
        parse_transaction(given, CHAIN_ID)
    return refused.value.detail


EXPECTED = Asked(
    sender=bytes.fromhex(SENDER[2:]),
    to=bytes.fromhex(CONTRACT[2:]),
    nonce=0,
    value=0,
    data=encode_mint(5),
    gas=100_000,
    max_fee_per_gas=2_000_000_000,
    max_priority_fee_per_gas=1_000_000_000,
    access_list=(),
)


@pytest.mark.parametrize(
    "given",
    [
        asked(),
        without("chainId"),
        without("value"),
        asked(type="0x2"),
        asked(accessList=[]),
        asked(input=MINT),
        asked(input=MINT.upper().replace("0X", "0x")),
        without("data", input=MINT),
    ],
)
def test_what_says_the_same_is_read_the_same(given: dict[str, Any]) -> None:
    assert parse_transaction(given, CHAIN_ID) == EXPECTED


def test_a_transaction_without_data_calls_nothing() -> None:
    assert parse_transaction(without("data"), CHAIN_ID).data == b""


@pytest.mark.parametrize("name", ["from", "to", "nonce", "gas", "maxFeePerGas", "maxPriorityFeePerGas"])
def test_a_missing_field_is_named(name: str) -> None:
    assert detail(without(name)).startswith(name)
    assert detail(asked(**{name: None})).startswith(name)


@pytest.mark.parametrize(
    "written",
    [
        *("0x00", "0x01", "0x", "0X1", "1", "", " 0x1", "0x1 ", "0x1\n", "0xg", "-0x1", "0x-1", "0x1.0"),
        *("0x1_0", "0x" + "f" * 16, "0x8000000000000000", "0x10000000000000000", "0x١"),
        *(1, 0, 1.0, True, [], {}),
    ],
)
@pytest.mark.parametrize("name", ["nonce", "gas", "maxFeePerGas", "maxPriorityFeePerGas", "value", "chainId"])
def test_a_quantity_that_could_be_written_otherwise_is_refused(name: str, written: Any) -> None:
    assert name in detail(asked(**{name: written}))


def test_the_largest_quantity_is_read() -> None:
    assert parse_transaction(asked(nonce=hex(MAXIMUM_INTEGER)), CHAIN_ID).nonce == MAXIMUM_INTEGER


@pytest.mark.parametrize(
    "written", ["0x", SENDER + "00", SENDER[:-1], SENDER[2:], "0X" + SENDER[2:], 5, SENDER + "\n"]
)
@pytest.mark.parametrize("name", ["from", "to"])
def test_an_address_of_another_form_is_refused(name: str, written: Any) -> None:
    assert name in detail(asked(**{name: written}))


@pytest.mark.parametrize(
    "written", ["0x1", "1234", "0xzz", "0X12", 5, None, "0x12\n", "0x" + "00" * 1_500_001]
)
def test_data_of_another_form_is_refused(written: Any) -> None:
    assert "data" in detail(asked(data=written))


def test_data_and_input_that_differ_are_refused() -> None:
    assert "data and input" in detail(asked(input=MINT + "00"))
    assert "data and input" in detail(asked(input="0x"))


@pytest.mark.parametrize(
    "name",
    [
        *("gasLimit", "blobs", "blobVersionedHashes", "maxFeePerBlobGas", "authorizationList", "hash"),
        *("privateFor", "v", "From", "", "\ud800"),
    ],
)
def test_an_unknown_field_is_refused_by_name_and_not_dropped(name: str) -> None:
    said = detail(asked(**{name: "0x1"}))
    assert name.encode("ascii", "backslashreplace").decode() in said


@pytest.mark.parametrize(
    "given",
    [
        asked(gasPrice="0x1"),
        without("maxFeePerGas", "maxPriorityFeePerGas", gasPrice="0x1"),
        asked(type="0x0"),
        asked(type="0x1"),
        asked(type="0x3"),
        asked(type="0x02"),
        asked(type=2),
        asked(type=None),
    ],
)
def test_a_legacy_form_is_refused_with_a_sentence(given: dict[str, Any]) -> None:
    assert "legacy" in detail(given, LegacyTransaction) or "EIP-1559" in detail(given, LegacyTransaction)


def test_another_chain_is_refused_and_not_ignored() -> None:
    assert str(CHAIN_ID) in detail(asked(chainId="0x1"), WrongDeployment)


def test_too_little_gas_is_refused() -> None:
    assert "gas" in detail(asked(gas=hex(20_999)))
    assert parse_transaction(asked(gas=hex(21_000)), CHAIN_ID).gas == 21_000


@pytest.mark.parametrize("given", [None, [], "0x", 5, [asked()]])
def test_what_is_no_object_is_refused(given: Any) -> None:
    assert "object" in detail(given)


@pytest.mark.parametrize(
    "written",
    [
        {},
        None,
        "0x",
        [5],
        [{}],
        [{"address": CONTRACT}],
        [{"address": CONTRACT, "storageKeys": "0x"}],
        [{"address": CONTRACT, "storageKeys": [], "extra": 1}],
        [{"address": CONTRACT[:-1], "storageKeys": []}],
        [{"address": CONTRACT, "storageKeys": ["0x01"]}],
        [{"address": CONTRACT, "storageKeys": [5]}],
    ],
)
def test_an_access_list_of_another_form_is_refused(written: Any) -> None:
    assert detail(asked(accessList=written))


# --- the node's own access list -----------------------------------------------------------------------------

KEYS = [SoftwareKey(bytes([number]) * 32) for number in range(1, 41)]


def _records() -> list[Record]:
    records = []
    for number, key in enumerate(KEYS):
        payee = bytes([0x80 + number % 3]) * 20
        digest = payment_digest(DOMAIN.separator, payee, 5, number, UNTIL_S)
        signature = compact(key.sign_digest(digest))
        records.append(Record(payee, 5, number, signature[:32], signature[32:]))
    return records


RECORDS = _records()
PARTIES = {key.address for key in KEYS} | {record.payee for record in RECORDS}


def _as_json(listed: AccessList) -> list[dict[str, Any]]:
    return [
        {"address": "0x" + address.hex(), "storageKeys": ["0x" + slot.hex() for slot in slots]}
        for address, slots in listed
    ]


def _own(data: bytes) -> AccessList:
    accounts = accounts_to_list(PARTIES, len(data))
    return access_list(EXPECTED.to, EXPECTED.sender, accounts)


def listed(given: dict[str, Any], target: str = CURRENCY) -> bytes:
    return listed_accounts(parse_transaction(given, CHAIN_ID), target, DOMAIN.separator)


@pytest.mark.parametrize(
    "data",
    [
        encode_settle(pack(RECORDS), UNTIL_S),
        encode_settle_grouped(pack_grouped([[each] for each in RECORDS[:5]], RECORDS[5:]), UNTIL_S),
    ],
)
def test_the_list_that_the_node_writes_itself_is_accepted_and_no_other(data: bytes) -> None:
    own = _own(data)
    ((address, slots),) = own
    assert len(slots) == len(PARTIES) + 2
    settling = asked(data="0x" + data.hex())
    assert listed(settling) == b""
    assert listed(settling | {"accessList": []}) == b""
    assert listed(settling | {"accessList": _as_json(own)}) == b"".join(sorted(PARTIES))
    others: list[AccessList] = [
        ((address, slots[:-1]),),
        ((address, slots[::-1]),),
        ((address, (*slots, bytes(32))),),
        (*own, (address, ())),
        ((b"\x01" * 20, slots),),
    ]
    for other in others:
        with pytest.raises(AccessListDiffers):
            listed(settling | {"accessList": _as_json(other)})
    with pytest.raises(AccessListDiffers):
        listed(settling | {"accessList": _as_json(own), "from": STRANGER})


def test_a_list_with_a_call_for_which_the_node_writes_none_is_refused() -> None:
    own = _as_json(_own(b""))
    for data, target in ((MINT, CURRENCY), ("0x", CURRENCY), (MINT, "other"), ("0xdeadbeef", CURRENCY)):
        with pytest.raises(AccessListDiffers):
            listed(asked(data=data, accessList=own), target)
    with pytest.raises(AccessListDiffers):
        listed(asked(accessList=[{"address": NOTARY, "storageKeys": []}]))


# --- the intent ---------------------------------------------------------------------------------------------


def _id(given: dict[str, Any], listed: bytes = b"", chain_id: int = CHAIN_ID) -> str:
    parsed = parse_transaction(given, CHAIN_ID)
    return transaction_intent(parsed, "institution", chain_id, listed).transaction_id


def test_fees_do_not_change_the_id_and_all_else_does() -> None:
    base = _id(asked())
    assert _id(asked(maxFeePerGas="0x1", maxPriorityFeePerGas="0x0")) == base
    assert _id(without("value", "chainId")) == base
    others = [
        _id(asked(nonce="0x1")),
        _id(asked(value="0x1")),
        _id(asked(gas="0x186a1")),
        _id(asked(data=MINT + "00")),
        _id(asked(to=STRANGER)),
        _id(asked(**{"from": STRANGER})),
        _id(asked(), listed=bytes(20)),
        _id(asked(), chain_id=1),
    ]
    assert len({base, *others}) == len(others) + 1


def test_the_intent_has_the_callers_nonce_as_its_floor() -> None:
    intent = transaction_intent(parse_transaction(asked(nonce="0x7"), CHAIN_ID), "issuer", CHAIN_ID, b"")
    assert (intent.nonce_floor, intent.key, intent.value, intent.listed_accounts) == (7, "issuer", 0, "0x")
    assert (intent.gas, intent.max_fee_per_gas, intent.max_priority_fee_per_gas) == (
        100_000,
        2 * 10**9,
        10**9,
    )


# --- anything at all ----------------------------------------------------------------------------------------

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=8),
    st.integers(0, 2**70).map(hex),
    st.binary(max_size=40).map(lambda drawn: "0x" + drawn.hex()),
)
VALUES = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=3),
    st.lists(
        st.fixed_dictionaries({"address": SCALARS, "storageKeys": st.lists(SCALARS, max_size=2)}), max_size=2
    ),
)
NAMES = st.one_of(st.sampled_from([*asked(), "input", "type", "accessList", "gasPrice"]), st.text(max_size=8))


@settings(max_examples=500, deadline=None)
@given(
    changes=st.dictionaries(NAMES, VALUES, max_size=4),
    left_out=st.sets(st.sampled_from(list(asked())), max_size=1),
)
def test_any_object_is_refused_with_a_code_or_read_as_it_says(
    changes: dict[str, Any], left_out: set[str]
) -> None:
    given = without(*left_out) | changes
    try:
        parsed = parse_transaction(given, CHAIN_ID)
    except (MalformedTransaction, LegacyTransaction, WrongDeployment):
        return
    again: dict[str, Any] = {
        "from": "0x" + parsed.sender.hex(),
        "to": "0x" + parsed.to.hex(),
        "nonce": hex(parsed.nonce),
        "gas": hex(parsed.gas),
        "maxFeePerGas": hex(parsed.max_fee_per_gas),
        "maxPriorityFeePerGas": hex(parsed.max_priority_fee_per_gas),
        "value": hex(parsed.value),
        "data": "0x" + parsed.data.hex(),
        "input": "0x" + parsed.data.hex(),
        "chainId": hex(CHAIN_ID),
        "type": "0x2",
        "accessList": _as_json(parsed.access_list),
    }
    for name, value in given.items():
        same = str(value).lower() == str(again[name]).lower()
        assert same or (name == "accessList" and value == again[name]), name
    assert parse_transaction(again, CHAIN_ID) == parsed
