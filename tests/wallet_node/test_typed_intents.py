"""The closed set of EIP-712 intents: digests, what they move, and which documents are one of them."""

import copy
import json
from typing import Any

import msgspec
import pytest
from eth_account.messages import _hash_eip191_message, encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st
from node_builders import CHAIN_ID, CONTRACT, DOMAIN, DOMAIN_NAME

from contracts.batch import Entry, pack_fan_out
from contracts.typed_data import PaymentDomain
from wallet_node import strict_json
from wallet_node.errors import MalformedRequest, UnknownTypedData
from wallet_node.fields import MAXIMUM_INTEGER, MAXIMUM_PAYMENT_NONCE, MAXIMUM_TIME_S, address_bytes
from wallet_node.intents.movements import Kind, Movement, describe
from wallet_node.intents.typed_intents import (
    KINDS,
    AccountMove,
    CancelAuthorization,
    FanOut,
    NonceUse,
    Permit,
    ReceiveWithAuthorization,
    TransferWithAuthorization,
    TypedIntent,
    digest,
    movements,
    nonce_use,
    plain_refusals,
    signer,
    valid_until_s,
    with_nonce,
)
from wallet_node.web3signer.typed_documents import PaymentDocument, document_of, parse_document, read_document

ALICE, BOB = "0x" + "a1" * 20, "0x" + "b0" * 20
NONCE = "0x" + "77" * 32
UNTIL_S = 1_800_000_600
PACKED = "0x" + pack_fan_out([Entry(address_bytes(BOB), 5), Entry(address_bytes(ALICE), 6)]).hex()


def _hex(size: int) -> st.SearchStrategy[str]:
    return st.binary(min_size=size, max_size=size).map(lambda drawn: "0x" + drawn.hex())


ADDRESSES, RANDOM = _hex(20), _hex(32)
AMOUNTS = st.integers(0, MAXIMUM_INTEGER)
TIMES = st.integers(1, MAXIMUM_TIME_S)
ACCOUNT_NONCES = st.integers(0, MAXIMUM_PAYMENT_NONCE)
AUTHORIZATION = (ADDRESSES, ADDRESSES, AMOUNTS, st.integers(0, MAXIMUM_TIME_S), TIMES, RANDOM)
ENTRIES = st.builds(Entry, st.binary(min_size=20, max_size=20), st.integers(0, 2**40 - 1))
PACKED_ENTRIES = st.lists(ENTRIES, min_size=1, max_size=4).map(
    lambda entries: "0x" + pack_fan_out(entries).hex()
)
INTENTS = st.one_of(
    st.builds(FanOut, ADDRESSES, PACKED_ENTRIES, ACCOUNT_NONCES, TIMES),
    st.builds(Permit, ADDRESSES, ADDRESSES, AMOUNTS, st.integers(0, MAXIMUM_INTEGER), TIMES),
    st.builds(TransferWithAuthorization, *AUTHORIZATION),
    st.builds(ReceiveWithAuthorization, *AUTHORIZATION),
    st.builds(CancelAuthorization, ADDRESSES, RANDOM),
    st.builds(
        AccountMove,
        ADDRESSES,
        st.integers(1, 2**16 - 1),
        st.integers(0, 255),
        st.booleans(),
        ACCOUNT_NONCES,
        TIMES,
    ),
)
PAYMENTS = st.builds(PaymentDocument, ADDRESSES, ADDRESSES, st.integers(0, 2**40 - 1), ACCOUNT_NONCES, TIMES)

EXAMPLES: dict[str, TypedIntent] = {
    "FanOut": FanOut(ALICE, PACKED, 3, UNTIL_S),
    "Permit": Permit(ALICE, BOB, 7, 2, UNTIL_S),
    "TransferWithAuthorization": TransferWithAuthorization(ALICE, BOB, 7, 5, UNTIL_S, NONCE),
    "ReceiveWithAuthorization": ReceiveWithAuthorization(ALICE, BOB, 7, 5, UNTIL_S, NONCE),
    "CancelAuthorization": CancelAuthorization(ALICE, NONCE),
    "AccountMove": AccountMove(ALICE, 2, 1, True, 3, UNTIL_S),
}
PAYMENT = PaymentDocument(ALICE, BOB, 7, 3, UNTIL_S)


def read_back(intent: TypedIntent | PaymentDocument, document: Any) -> TypedIntent | PaymentDocument:
    signed_by = intent.payer if isinstance(intent, PaymentDocument) else "0x" + signer(intent).hex()
    return parse_document(document, DOMAIN, address_bytes(signed_by))


def documents() -> list[tuple[TypedIntent | PaymentDocument, dict[str, Any]]]:
    return [(each, document_of(each, DOMAIN)) for each in (*EXAMPLES.values(), PAYMENT)]


def detail(intent: TypedIntent | PaymentDocument, document: Any) -> str:
    with pytest.raises(UnknownTypedData) as refused:
        read_back(intent, document)
    assert refused.value.code == "UnknownTypedData"
    return refused.value.detail


# --- as JSON ------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(intent=INTENTS)
def test_an_intent_reads_back_from_its_own_json(intent: TypedIntent) -> None:
    assert strict_json.decode(msgspec.json.encode(intent), TypedIntent) == intent  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_a_field_too_many_too_few_or_out_of_bounds_is_refused(name: str) -> None:
    fields = msgspec.to_builtins(EXAMPLES[name])
    assert fields["type"] == name
    for wrong in [
        fields | {"chain_id": 1},
        fields | {"type": "Mail"},
        {key: value for key, value in fields.items() if key != "type"},
        *({key: value for key, value in fields.items() if key != left} for left in fields),
        *(fields | {key: None} for key in fields),
        *(fields | {key: -1} for key in fields),
        *(fields | {key: 2**64} for key in fields),
        *(fields | {key: value + "\n"} for key, value in fields.items() if isinstance(value, str)),
    ]:
        with pytest.raises(MalformedRequest):
            strict_json.convert(wrong, TypedIntent)  # type: ignore[arg-type]


def test_the_set_is_closed() -> None:
    assert {kind.__name__ for kind in KINDS} == EXAMPLES.keys()


# --- digests ------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    intent=INTENTS,
    name=st.text(min_size=1, max_size=20),
    chain_id=st.integers(1, 2**63),
    contract=st.binary(min_size=20, max_size=20),
)
def test_a_digest_is_what_eth_account_signs_for_the_document(
    intent: TypedIntent, name: str, chain_id: int, contract: bytes
) -> None:
    domain = PaymentDomain(name, chain_id, contract)
    theirs = _hash_eip191_message(encode_typed_data(full_message=document_of(intent, domain)))
    assert digest(intent, domain.separator) == theirs


@settings(max_examples=100, deadline=None)
@given(first=INTENTS, second=INTENTS)
def test_two_intents_never_share_a_digest(first: TypedIntent, second: TypedIntent) -> None:
    # who pays a fan-out is in its signature and in no member
    def said(intent: TypedIntent) -> Any:
        return document_of(intent, DOMAIN)["message"], type(intent)

    is_same = digest(first, DOMAIN.separator) == digest(second, DOMAIN.separator)
    assert is_same == (said(first) == said(second))


# --- what they are ------------------------------------------------------------------------------------------


def test_each_names_its_signer_its_nonce_and_its_end() -> None:
    assert {signer(each) for each in EXAMPLES.values()} == {address_bytes(ALICE)}
    random = bytes.fromhex(NONCE[2:])
    assert {name: nonce_use(each) for name, each in EXAMPLES.items()} == {
        "FanOut": NonceUse("payment", counted=3),
        "Permit": NonceUse("permit", counted=2),
        "TransferWithAuthorization": NonceUse("authorization", random=random),
        "ReceiveWithAuthorization": NonceUse("authorization", random=random),
        "CancelAuthorization": NonceUse("cancellation", random=random),
        "AccountMove": NonceUse("payment", counted=3),
    }
    assert {name for name, each in EXAMPLES.items() if valid_until_s(each) is None} == {"CancelAuthorization"}
    assert {valid_until_s(each) for each in EXAMPLES.values()} == {UNTIL_S, None}


def test_the_node_puts_its_own_nonce_into_a_counted_row_and_into_no_other() -> None:
    for name in ("FanOut", "Permit", "AccountMove"):
        moved = with_nonce(EXAMPLES[name], 9)
        assert nonce_use(moved).counted == 9
        assert with_nonce(moved, nonce_use(EXAMPLES[name]).counted or 0) == EXAMPLES[name]
    with pytest.raises(AssertionError):
        with_nonce(EXAMPLES["CancelAuthorization"], 9)


def test_each_moves_what_it_says() -> None:
    alice, bob, random = address_bytes(ALICE), address_bytes(BOB), bytes.fromhex(NONCE[2:])
    transfer = Movement(Kind.TRANSFER, alice, bob, 7, UNTIL_S, {"nonce": random, "valid_after_s": 5})
    assert {name: movements(each) for name, each in EXAMPLES.items()} == {
        "FanOut": (
            Movement(Kind.PAYMENT, alice, bob, 5, UNTIL_S, {"nonce": 3}),
            Movement(Kind.PAYMENT, alice, alice, 6, UNTIL_S, {"nonce": 3}),
        ),
        "Permit": (Movement(Kind.ALLOWANCE, alice, bob, 7, UNTIL_S),),
        "TransferWithAuthorization": (transfer,),
        "ReceiveWithAuthorization": (transfer,),
        "CancelAuthorization": (Movement(Kind.AUTHORIZATION_CANCELLED, alice, detail={"nonce": random}),),
        "AccountMove": (
            Movement(
                Kind.ACCOUNT_MOVED,
                alice,
                until_s=UNTIL_S,
                detail={"destination": "participant 2", "tier": 1, "linked": "linked", "nonce": 3},
            ),
        ),
    }


@settings(max_examples=100, deadline=None)
@given(intent=INTENTS)
def test_each_is_said_in_sentences(intent: TypedIntent) -> None:
    for movement in movements(intent):
        assert describe(movement).endswith(".")


def test_what_the_contract_would_refuse_is_refused_before_any_policy() -> None:
    def found(intent: TypedIntent) -> list[str]:
        return [each.code for each in plain_refusals(intent)]

    assert found(EXAMPLES["FanOut"]) == ["SelfPayment"], "its second entry pays the payer"
    assert [found(EXAMPLES[name]) for name in EXAMPLES if name != "FanOut"] == [[]] * 5
    replace = msgspec.structs.replace
    paid = EXAMPLES["TransferWithAuthorization"]
    assert found(replace(paid, amount_minor=0)) == ["ZeroAmount"]
    assert found(replace(paid, payee=ALICE)) == ["SelfPayment"]
    assert found(replace(paid, valid_after_s=UNTIL_S - 1)) == ["NeverValid"]
    assert found(replace(paid, valid_after_s=UNTIL_S - 2)) == []
    zero = "0x" + pack_fan_out([Entry(address_bytes(BOB), 0)]).hex()
    assert found(FanOut(ALICE, zero, 3, UNTIL_S)) == ["ZeroAmount"]


# --- documents ----------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(intent=st.one_of(INTENTS, PAYMENTS))
def test_an_intent_reads_back_from_its_document(intent: TypedIntent | PaymentDocument) -> None:
    document = document_of(intent, DOMAIN)
    assert read_back(intent, document) == intent
    assert read_back(intent, read_document(json.dumps(document))) == intent
    assert read_back(intent, json.loads(json.dumps(document))) == intent


@settings(max_examples=100, deadline=None)
@given(intent=st.one_of(INTENTS, PAYMENTS), form=st.sampled_from([str, hex]))
def test_integers_may_be_decimal_text_or_hex_quantities(
    intent: TypedIntent | PaymentDocument, form: Any
) -> None:
    document = document_of(intent, DOMAIN)
    document["domain"] |= {"chainId": form(CHAIN_ID), "verifyingContract": CONTRACT}
    document["message"] = {
        name: form(value) if isinstance(value, int) else value for name, value in document["message"].items()
    }
    assert read_back(intent, document) == intent


@pytest.mark.parametrize(
    "written",
    [True, 7.0, "07", "0x07", "0x", "0X7", " 7", "7 ", "+7", "-7", "7.0", "1e1", "٧", "", None, [7]],
)
def test_an_integer_that_could_be_written_otherwise_is_refused(written: Any) -> None:
    document = document_of(EXAMPLES["Permit"], DOMAIN)
    document["message"]["value"] = written
    assert "value" in detail(EXAMPLES["Permit"], document)


@pytest.mark.parametrize("value", [-1, 2**63, 2**256 - 1, 2**256, 10**100])
def test_an_amount_beyond_this_nodes_bounds_is_refused(value: int) -> None:
    document = document_of(EXAMPLES["Permit"], DOMAIN)
    document["message"]["value"] = value
    assert "bounds" in detail(EXAMPLES["Permit"], document)


def _change(document: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    place: Any = changed
    for step in path[:-1]:
        place = place[step]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("domain", "name"), DOMAIN_NAME + " "),
        (("domain", "name"), 1),
        (("domain", "name"), None),
        (("domain", "version"), "2"),
        (("domain", "version"), 1),
        (("domain", "chainId"), CHAIN_ID + 1),
        (("domain", "chainId"), "0x0" + hex(CHAIN_ID)[2:]),
        (("domain", "chainId"), None),
        (("domain", "verifyingContract"), "0x" + "00" * 20),
        (("domain", "verifyingContract"), None),
        (("domain", "salt"), "0x" + "00" * 32),
        (("domain",), []),
        (("primaryType",), "EIP712Domain"),
        (("primaryType",), ["Permit"]),
        (("primaryType",), None),
        (("types", "EIP712Domain"), None),
        (("types", "EIP712Domain", 2, "type"), "uint64"),
        (("types", "Extra"), []),
        (("types",), []),
        (("message", "extra"), 1),
        (("message",), "0x"),
        (("extra",), 1),
        (("types",), None),
        (("domain",), None),
        (("message",), None),
    ],
)
def test_a_document_that_differs_anywhere_is_refused(path: tuple[str | int, ...], value: Any) -> None:
    for intent, document in documents():
        assert detail(intent, _change(document, path, value))


def test_types_that_differ_in_any_member_or_order_are_refused() -> None:
    for intent, document in documents():
        members = document["types"][document["primaryType"]]
        for at in range(len(members)):
            path = ("types", document["primaryType"], at)
            for changed in (
                _change(document, (*path, "type"), "uint128"),
                _change(document, (*path, "name"), "other"),
                _change(document, (*path, "extra"), "x"),
                _change(document, path, None),
            ):
                assert "types" in detail(intent, changed)
        turned = _change(document, ("types", document["primaryType"]), members[::-1])
        assert "types" in detail(intent, turned)


def test_a_message_without_any_one_member_or_of_another_kind_is_refused() -> None:
    for intent, document in documents():
        for name, value in document["message"].items():
            assert name in detail(intent, _change(document, ("message", name), None))
            wrong = {"a": 1} if isinstance(value, int) else 5
            assert name in detail(intent, _change(document, ("message", name), wrong))
            if isinstance(value, str):
                for text in (value[:-1], value + "00", value[2:], value + "\n", "0X" + value[2:]):
                    assert detail(intent, _change(document, ("message", name), text))


def test_an_account_that_is_asked_to_sign_for_another_is_refused() -> None:
    for name, intent in EXAMPLES.items():
        if name != "FanOut":
            with pytest.raises(UnknownTypedData, match="another account"):
                parse_document(document_of(intent, DOMAIN), DOMAIN, address_bytes(BOB))


def test_flags_beside_linked_are_refused() -> None:
    document = document_of(EXAMPLES["AccountMove"], DOMAIN)
    for flags in (1, 2, 5, 16, 32):
        assert "flags" in detail(EXAMPLES["AccountMove"], _change(document, ("message", "flags"), flags))


@pytest.mark.parametrize(
    "text", ["", "[]", "1", '"0x"', "{", '{"types":{},"types":{}}', '{"a":1.0}', "\ud800", "[" * 5000]
)
def test_text_that_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(UnknownTypedData):
        parse_document(read_document(text), DOMAIN, address_bytes(ALICE))


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_document_at_all_is_refused_or_is_exactly_its_intents(data: st.DataObject) -> None:
    intent = data.draw(st.one_of(INTENTS, PAYMENTS))
    document = document_of(intent, DOMAIN)
    place: Any = document
    path: list[Any] = []
    while isinstance(place, dict | list) and place and (not path or data.draw(st.booleans())):
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        path.append(data.draw(st.sampled_from(keys)))
        place = place[path[-1]]
    document = _change(document, tuple(path), data.draw(JSON)) if path else data.draw(JSON)
    try:
        found = read_back(intent, document)
    except UnknownTypedData:
        return
    again = document_of(found, DOMAIN)
    assert again["types"] == document["types"]
    assert again["primaryType"] == document["primaryType"]
    for name, value in again["message"].items():
        said = document["message"][name]
        assert said == value or (isinstance(value, int) and int(said, 0) == value)
