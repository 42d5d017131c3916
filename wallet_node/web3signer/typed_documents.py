"""EIP-712 documents as eth_signTypedData_v4 sends them, matched to the closed set: all or nothing. Pure.

A document brings its own types and its own domain, which is how wallets are made to sign what nobody meant.
So both must be exactly the known ones: every type, member and order, the bound name, version, chain and
contract. Integers are JSON integers, decimal text or hex quantities, each without leading zeros. What comes
out is an intent; its digest is computed from that, never from the document.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from contracts import authorizations, memberships
from contracts.accounts import AccountFlag
from contracts.typed_data import FAN_OUT_TYPES, PAYMENT_TYPES, PaymentDomain, full_message
from wallet_node import strict_json
from wallet_node.errors import MalformedRequest, UnknownTypedData
from wallet_node.fields import Address, Amount, Time
from wallet_node.intents.typed_intents import (
    AccountMove,
    AccountNonce,
    CancelAuthorization,
    FanOut,
    Permit,
    ReceiveWithAuthorization,
    TransferWithAuthorization,
    TypedIntent,
    message,
    signer,
)

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,77}", re.ASCII)
_QUANTITY = re.compile(r"0x(?:0|[1-9a-fA-F][0-9a-fA-F]{0,63})", re.ASCII)
_LINKED = {0: False, int(AccountFlag.LINKED): True}

_SHAPES = {
    "address": re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII),
    "bytes32": re.compile(r"0x[0-9a-fA-F]{64}", re.ASCII),
    "bytes": re.compile(r"0x(?:[0-9a-fA-F]{2})*", re.ASCII),
}

Members: TypeAlias = list[dict[str, str]]


class PaymentDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A payment as its document says it: with the nonce, which the node else allocates, and the payer, which
    is in no member.
    """

    payer: Address
    payee: Address
    amount_minor: Amount
    nonce: AccountNonce
    valid_before_s: Time


def _listed(written: tuple[str, ...]) -> Members:
    """Members as a document lists them, from how EIP-712 writes them ("address owner")."""
    return [{"name": each.split()[1], "type": each.split()[0]} for each in written]


_MEMBERS: dict[str, Members] = {
    **PAYMENT_TYPES,
    **FAN_OUT_TYPES,
    **{
        kind.__name__: _listed(kind.MEMBERS)
        for kind in (
            authorizations.Permit,
            authorizations.TransferWithAuthorization,
            authorizations.ReceiveWithAuthorization,
            authorizations.CancelAuthorization,
            memberships.AccountMove,
        )
    },
}

# Each structure: how its members are called in the intent, in the document's order.
_FIELDS: dict[str, tuple[type[Any], tuple[str, ...]]] = {
    "Payment": (PaymentDocument, ("payee", "amount_minor", "nonce", "valid_before_s")),
    "FanOut": (FanOut, ("payments", "nonce", "valid_before_s")),
    "Permit": (Permit, ("owner", "spender", "amount_minor", "nonce", "deadline_s")),
    "TransferWithAuthorization": (
        TransferWithAuthorization,
        ("payer", "payee", "amount_minor", "valid_after_s", "valid_before_s", "nonce"),
    ),
    "ReceiveWithAuthorization": (
        ReceiveWithAuthorization,
        ("payer", "payee", "amount_minor", "valid_after_s", "valid_before_s", "nonce"),
    ),
    "CancelAuthorization": (CancelAuthorization, ("authorizer", "nonce")),
    "AccountMove": (
        AccountMove,
        ("owner", "participant", "tier", "flags", "nonce", "valid_before_s"),
    ),
}


def parse_document(document: Any, domain: PaymentDomain, signed_by: bytes) -> TypedIntent | PaymentDocument:
    """The intent that a parsed document is. `signed_by` is the account that is asked to sign.

    Raises UnknownTypedData, with the first thing that differs.
    """
    _require_keys(document, ["types", "primaryType", "domain", "message"], "the document")
    primary = document["primaryType"]
    if not isinstance(primary, str) or primary not in _FIELDS:
        raise UnknownTypedData(f"the primary type is none of {', '.join(_FIELDS)}")
    known = full_message(domain, primary, _MEMBERS[primary], {})
    if document["types"] != known["types"]:
        raise UnknownTypedData(f"the types are not exactly those of {primary} and EIP712Domain")
    _require_domain(document["domain"], known["domain"])
    kind, fields = _FIELDS[primary]
    content = document["message"]
    _require_keys(content, [member["name"] for member in _MEMBERS[primary]], "the message")
    values = {
        field: _read_member(member["name"], member["type"], content[member["name"]])
        for field, member in zip(fields, _MEMBERS[primary], strict=True)
    }
    if "flags" in values:
        flags = values.pop("flags")
        if flags not in _LINKED:
            raise UnknownTypedData("the flags of a move are 0 or LINKED (4)")
        values["is_linked"] = _LINKED[flags]
    if kind in (PaymentDocument, FanOut):
        values["payer"] = "0x" + signed_by.hex()
    if kind is not PaymentDocument:
        values["type"] = primary
    try:
        intent: TypedIntent | PaymentDocument = strict_json.convert(values, kind)
    except MalformedRequest as error:
        raise UnknownTypedData(f"the message is outside this node's bounds: {error.detail}") from None
    if not isinstance(intent, PaymentDocument) and signer(intent) != signed_by:
        raise UnknownTypedData("the message is another account's than the one that is asked to sign")
    return intent


def read_document(given: Any) -> Any:
    """A document that came as JSON or, as wallets send it, as text of JSON. Raises UnknownTypedData."""
    if not isinstance(given, str):
        return given
    try:
        return strict_json.decode(given.encode("utf-8", "surrogatepass"), dict)
    except MalformedRequest as error:
        raise UnknownTypedData(f"the document cannot be read: {error.detail}") from None


def document_of(intent: TypedIntent | PaymentDocument, domain: PaymentDomain) -> dict[str, Any]:
    """The full document of an intent, for wallets and other encoders."""
    if isinstance(intent, PaymentDocument):
        content = {
            "payee": intent.payee,
            "amount": intent.amount_minor,
            "nonce": intent.nonce,
            "validBefore": intent.valid_before_s,
        }
        return full_message(domain, "Payment", PAYMENT_TYPES["Payment"], content)
    if isinstance(intent, FanOut):
        content = {
            "payments": intent.payments,
            "nonce": intent.nonce,
            "validBefore": intent.valid_before_s,
        }
        return full_message(domain, "FanOut", FAN_OUT_TYPES["FanOut"], content)
    return message(intent).typed_data(domain)


def _require_domain(said: Any, bound: Mapping[str, Any]) -> None:
    _require_keys(said, list(bound), "the domain")
    is_same = (
        said["name"] == bound["name"]
        and said["version"] == bound["version"]
        and _read_integer("chainId", said["chainId"]) == bound["chainId"]
        and _read_member("verifyingContract", "address", said["verifyingContract"])
        == bound["verifyingContract"]
    )
    if not is_same:
        raise UnknownTypedData(
            f"the domain is not the bound one: {bound['name']!r}, version {bound['version']}, chain"
            f" {bound['chainId']}, contract {bound['verifyingContract']}"
        )


def _require_keys(said: Any, keys: list[str], what: str) -> None:
    if not isinstance(said, dict) or said.keys() != set(keys):
        raise UnknownTypedData(f"{what} has exactly the members {', '.join(keys)}")


def _read_member(name: str, kind: str, value: Any) -> int | str:
    """A member's value in its one form: an integer, or hex text in lower case."""
    if kind.startswith("uint"):
        return _read_integer(name, value)
    if not isinstance(value, str) or _SHAPES[kind].fullmatch(value) is None:
        raise UnknownTypedData(f"{name} is no {kind} as hex text")
    return value.lower()


def _read_integer(name: str, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return int(value)
    if isinstance(value, str) and _QUANTITY.fullmatch(value):
        return int(value, 16)
    raise UnknownTypedData(f"{name} is no integer, decimal text or hex quantity without leading zeros")
