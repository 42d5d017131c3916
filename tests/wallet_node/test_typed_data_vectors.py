"""EIP-712's own vectors and awkward ones: they prove the oracle, and to the node each is a stranger.

The node has no generic encoder on purpose. Its digests are held against eth-account's; here eth-account's is
held against what the standard prints, and against an encoder that was written from the standard's text.
"""

from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import _hash_eip191_message, encode_typed_data
from eth_hash.auto import keccak
from node_builders import DOMAIN

from contracts.authorizations import CancelAuthorization, Permit, TransferWithAuthorization
from contracts.transactions import address_of
from contracts.typed_data import DOMAIN_TYPEHASH, PaymentDomain
from wallet_node.errors import UnknownTypedData
from wallet_node.web3signer.typed_documents import parse_document

COW = keccak(b"cow")
VERIFIER = bytes.fromhex("CcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC")

MAIL: dict[str, Any] = {
    "types": {
        "EIP712Domain": [
            {"name": "name", "type": "string"},
            {"name": "version", "type": "string"},
            {"name": "chainId", "type": "uint256"},
            {"name": "verifyingContract", "type": "address"},
        ],
        "Person": [{"name": "name", "type": "string"}, {"name": "wallet", "type": "address"}],
        "Mail": [
            {"name": "from", "type": "Person"},
            {"name": "to", "type": "Person"},
            {"name": "contents", "type": "string"},
        ],
    },
    "primaryType": "Mail",
    "domain": {
        "name": "Ether Mail",
        "version": "1",
        "chainId": 1,
        "verifyingContract": "0x" + VERIFIER.hex(),
    },
    "message": {
        "from": {"name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
        "to": {"name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},
        "contents": "Hello, Bob!",
    },
}


def _document(primary: str, types: dict[str, list[tuple[str, str]]], message: dict[str, Any]) -> Any:
    named = {
        name: [{"name": member, "type": kind} for kind, member in members] for name, members in types.items()
    }
    return MAIL | {
        "types": {"EIP712Domain": MAIL["types"]["EIP712Domain"]} | named,
        "primaryType": primary,
        "message": message,
    }


AWKWARD: dict[str, Any] = {
    "Mail of the standard": MAIL,
    "nested structures, three deep": _document(
        "Outer",
        {
            "Outer": [("Middle", "middle"), ("uint8", "small")],
            "Middle": [("Inner", "inner"), ("bytes", "data")],
            "Inner": [("bool", "yes"), ("address", "who")],
        },
        {
            "middle": {"inner": {"yes": True, "who": "0x" + "ab" * 20}, "data": "0x0102"},
            "small": 255,
        },
    ),
    "arrays of structures, of words, of a fixed size, of none": _document(
        "Lists",
        {
            "Lists": [("Item[]", "items"), ("uint256[]", "words"), ("int16[2]", "two"), ("string[]", "none")],
            "Item": [("string", "name"), ("uint256[]", "counts")],
        },
        {
            "items": [{"name": "a", "counts": [1, 2]}, {"name": "", "counts": []}],
            "words": [0, 2**256 - 1],
            "two": [-1, 2**15 - 1],
            "none": [],
        },
    ),
    "negative integers of every width": _document(
        "Signed",
        {"Signed": [("int8", "a"), ("int64", "b"), ("int256", "c"), ("int256", "d")]},
        {"a": -128, "b": -1, "c": -(2**255), "d": 2**255 - 1},
    ),
    "bytes of fixed sizes, padded on the right": _document(
        "Sized",
        {"Sized": [("bytes1", "a"), ("bytes4", "b"), ("bytes31", "c"), ("bytes32", "d"), ("bytes", "e")]},
        {
            "a": "0xff",
            "b": "0xdeadbeef",
            "c": "0x" + "01" * 31,
            "d": "0x" + "02" * 32,
            "e": "0x",
        },
    ),
    "empty and non-ASCII text": _document(
        "Text", {"Text": [("string", "a"), ("string", "b")]}, {"a": "", "b": "Žluťoučký kůň 🐎"}
    ),
}


# --- the standard's text, once more ---


def _encode_type(name: str, types: dict[str, Any]) -> str:
    found: list[str] = []

    def visit(each: str) -> None:
        each = each.split("[", maxsplit=1)[0]
        if each in types and each not in found:
            found.append(each)
            for member in types[each]:
                visit(member["type"])

    visit(name)
    ordered = [name, *sorted(set(found) - {name})]
    return "".join(
        f"{each}({','.join(member['type'] + ' ' + member['name'] for member in types[each])})"
        for each in ordered
    )


def _encode_value(kind: str, value: Any, types: dict[str, Any]) -> bytes:
    if kind.endswith("]"):
        element = kind[: kind.rindex("[")]
        return keccak(b"".join(_encode_value(element, each, types) for each in value))
    if kind in types:
        return _hash_structure(kind, value, types)
    if kind == "string":
        return keccak(value.encode())
    if kind == "bool":
        return int(value).to_bytes(32, "big")
    if kind.startswith(("uint", "int")):
        return (value % 2**256).to_bytes(32, "big")
    raw = bytes.fromhex(value[2:])
    if kind == "bytes":
        return keccak(raw)
    return raw.rjust(32, b"\0") if kind == "address" else raw.ljust(32, b"\0")


def _hash_structure(name: str, value: dict[str, Any], types: dict[str, Any]) -> bytes:
    encoded = b"".join(_encode_value(each["type"], value[each["name"]], types) for each in types[name])
    return keccak(keccak(_encode_type(name, types).encode()) + encoded)


def _digest(document: dict[str, Any]) -> bytes:
    types = document["types"]
    domain = _hash_structure("EIP712Domain", document["domain"], types)
    return keccak(b"\x19\x01" + domain + _hash_structure(document["primaryType"], document["message"], types))


@pytest.mark.parametrize("name", sorted(AWKWARD))
def test_the_oracle_agrees_with_the_standards_text(name: str) -> None:
    document = AWKWARD[name]
    assert _hash_eip191_message(encode_typed_data(full_message=document)) == _digest(document)


@pytest.mark.parametrize("name", sorted(AWKWARD))
def test_the_node_signs_no_document_but_its_own(name: str) -> None:
    with pytest.raises(UnknownTypedData):
        parse_document(AWKWARD[name], DOMAIN, address_of(COW))


def test_what_the_standard_prints_for_its_example_comes_out() -> None:
    """EIP-712, Test Cases (Example.js)."""
    encoded = "Mail(Person from,Person to,string contents)Person(string name,address wallet)"
    assert _encode_type("Mail", MAIL["types"]) == encoded
    assert keccak(encoded.encode()).hex() == (
        "a0cedeb2dc280ba39b857546d74f5549c3a1d7bdc2dd96bf881f76108e23dac2"
    )
    assert _hash_structure("Mail", MAIL["message"], MAIL["types"]).hex() == (
        "c52c0ee5d84264471806290a3f2c4cecfc5490626bf912d01f240d7a274b371e"
    )
    digest = "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"
    assert _digest(MAIL).hex() == digest
    signed = Account.sign_message(encode_typed_data(full_message=MAIL), COW)
    assert (signed.v, hex(signed.r), hex(signed.s)) == (
        28,
        "0x4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c9d",
        "0x7299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b91562",
    )


def test_our_own_separator_is_the_standards() -> None:
    """EIP-712's example has just the domain members that the currency has."""
    assert DOMAIN_TYPEHASH.hex() == "8b73c3c69bb8fe3d512ecc4cf759cc79239f7b179b0ffacaa9a75d522b39400f"
    separator = PaymentDomain("Ether Mail", 1, VERIFIER).separator
    assert separator.hex() == "f2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f"


def test_our_own_structures_are_hashed_as_the_standards_text_says() -> None:
    domain = PaymentDomain("Ether Mail", 1, VERIFIER)
    for message in (
        Permit(b"\x01" * 20, b"\x02" * 20, 2**256 - 1, 0, 2**256 - 1),
        TransferWithAuthorization(b"\x01" * 20, b"\x02" * 20, 1, 0, 2**64, b"\xff" * 32),
        CancelAuthorization(b"\x00" * 20, b"\x00" * 32),
    ):
        assert message.digest(domain.separator) == _digest(message.typed_data(domain))
