"""A transaction as eth_signTransaction sends it -> the node's own intent, strictly. Pure.

Where a field could be read in two ways or would be ignored, it is refused with a sentence that names it: a
caller must never get bytes that do not do what its JSON says.
"""

import hashlib
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contracts.access_lists import access_list, accounts_to_list
from contracts.transactions import AccessList
from wallet_node.errors import (
    AccessListDiffers,
    LegacyTransaction,
    MalformedTransaction,
    Refusal,
    WrongDeployment,
)
from wallet_node.fields import MAXIMUM_DATA_BYTES, MAXIMUM_INTEGER
from wallet_node.intents.call_movements import call_movements
from wallet_node.intents.movements import CURRENCY, Kind, Setting
from wallet_node.intents.requests import Transaction
from wallet_node.signers.transactions import hash_call

LEAST_GAS = 21_000

_QUANTITY = re.compile(r"0x(?:0|[1-9a-fA-F][0-9a-fA-F]{0,15})", re.ASCII)
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_SLOT = re.compile(r"0x[0-9a-fA-F]{64}", re.ASCII)
_DATA = re.compile(r"0x(?:[0-9a-fA-F]{2})*", re.ASCII)

_NEEDED = ("from", "to", "nonce", "gas", "maxFeePerGas", "maxPriorityFeePerGas")
_OPTIONAL = ("value", "data", "input", "chainId", "type", "accessList")
_IDENTIFIER_PREFIX = b"florin-web3signer-transaction/1\0"


@dataclass(frozen=True, slots=True)
class Asked:
    """A transaction as its JSON says it. Addresses have 20 bytes; fees are wei per gas."""

    sender: bytes
    to: bytes
    nonce: int
    value: int
    data: bytes
    gas: int
    max_fee_per_gas: int
    max_priority_fee_per_gas: int
    access_list: AccessList


def parse_transaction(given: Any, chain_id: int) -> Asked:
    """Read one transaction object for a chain. `value` and `data` may be left out: then there are none.

    Raises MalformedTransaction, LegacyTransaction and WrongDeployment.
    """
    if not isinstance(given, dict):
        raise MalformedTransaction("a transaction is a JSON object")
    _require_eip1559(given)
    unknown = sorted(given.keys() - {*_NEEDED, *_OPTIONAL})
    if unknown:
        raise MalformedTransaction(f"{_shown(unknown[0])} is no field of an EIP-1559 transaction here")
    for name in _NEEDED:
        if given.get(name) is None:
            raise MalformedTransaction(f"{name} is missing; this node fills in nothing")
    if "chainId" in given and _quantity(given, "chainId") != chain_id:
        raise WrongDeployment(f"this node signs for chain {chain_id} only")
    gas = _quantity(given, "gas")
    if gas < LEAST_GAS:
        raise MalformedTransaction(f"gas is at least {LEAST_GAS}")
    return Asked(
        sender=_hex(given, "from", _ADDRESS, "20 bytes"),
        to=_hex(given, "to", _ADDRESS, "20 bytes"),
        nonce=_quantity(given, "nonce"),
        value=_quantity(given, "value") if "value" in given else 0,
        data=_call_data(given),
        gas=gas,
        max_fee_per_gas=_quantity(given, "maxFeePerGas"),
        max_priority_fee_per_gas=_quantity(given, "maxPriorityFeePerGas"),
        access_list=_access_list(given.get("accessList", [])),
    )


def own_accounts(asked: Asked, target: str, separator: bytes) -> list[bytes]:
    """The accounts whose storage the node itself would name for this call: those that a packed batch pays
    from and to, as far as they fit; none for any other call, and none where a list would cost more.
    """
    if target != CURRENCY:
        return []
    moved = call_movements(target, Setting(asked.sender, asked.to, separator), asked.data)
    if isinstance(moved, Refusal):
        return []
    parties = {
        party
        for each in moved
        if each.kind is Kind.PAYMENT
        for party in (each.payer, each.payee)
        if party is not None
    }
    return accounts_to_list(parties, len(asked.data))


def listed_accounts(asked: Asked, target: str, separator: bytes) -> bytes:
    """What `Transaction.listed_accounts` is for the caller's access list: nothing, or the node's own list.

    Raises AccessListDiffers.
    """
    if not asked.access_list:
        return b""
    accounts = own_accounts(asked, target, separator)
    if asked.access_list != access_list(asked.to, asked.sender, accounts):
        raise AccessListDiffers(
            "the access list is not the one that this node writes for this call; send none, or exactly that"
        )
    return b"".join(accounts)


def transaction_intent(asked: Asked, key: str, chain_id: int, listed: bytes) -> Transaction:
    """The node's own intent, whose id is derived from all that the nonce is given to.

    Fees are not in it: they may rise. So the same content with the same nonce is the same id for ever.
    """
    return Transaction(
        transaction_id=_identifier(asked, chain_id, listed),
        key=key,
        chain_id=chain_id,
        to="0x" + asked.to.hex(),
        value=asked.value,
        data="0x" + asked.data.hex(),
        gas=asked.gas,
        max_fee_per_gas=asked.max_fee_per_gas,
        max_priority_fee_per_gas=asked.max_priority_fee_per_gas,
        nonce_floor=asked.nonce,
        listed_accounts="0x" + listed.hex(),
    )


def _identifier(asked: Asked, chain_id: int, listed: bytes) -> str:
    numbers = b"".join(number.to_bytes(8, "big") for number in (chain_id, asked.nonce, asked.value))
    content = numbers + asked.sender + asked.to + hash_call(asked.gas, asked.data, listed)
    return str(uuid.UUID(bytes=hashlib.sha256(_IDENTIFIER_PREFIX + content).digest()[:16]))


def _require_eip1559(given: Mapping[str, Any]) -> None:
    if "gasPrice" in given:
        raise LegacyTransaction("gasPrice is of a legacy transaction; send maxFeePerGas instead")
    if given.get("type", "0x2") != "0x2":
        raise LegacyTransaction("only transactions of type 0x2 (EIP-1559) are signed")


def _call_data(given: Mapping[str, Any]) -> bytes:
    said = [_hex(given, name, _DATA, "hex bytes") for name in ("data", "input") if name in given]
    if len(set(said)) > 1:
        raise MalformedTransaction("data and input say two things; send one of them")
    data = said[0] if said else b""
    if len(data) > MAXIMUM_DATA_BYTES:
        raise MalformedTransaction(f"data has at most {MAXIMUM_DATA_BYTES} bytes")
    return data


def _access_list(given: Any) -> AccessList:
    if not isinstance(given, list):
        raise MalformedTransaction("accessList is a list")
    return tuple(map(_access, given))


def _access(entry: Any) -> tuple[bytes, tuple[bytes, ...]]:
    if not isinstance(entry, dict) or entry.keys() != {"address", "storageKeys"}:
        raise MalformedTransaction("an entry of accessList has exactly address and storageKeys")
    slots = entry["storageKeys"]
    if not isinstance(slots, list):
        raise MalformedTransaction("storageKeys is a list")
    address = _hex(entry, "address", _ADDRESS, "20 bytes")
    return address, tuple(_hex({"storageKeys": slot}, "storageKeys", _SLOT, "32 bytes") for slot in slots)


def _quantity(given: Mapping[str, Any], name: str) -> int:
    value = given[name]
    if not isinstance(value, str) or _QUANTITY.fullmatch(value) is None:
        raise MalformedTransaction(f"{name} is a hex quantity without leading zeros, below 2^63")
    number = int(value, 16)
    if number > MAXIMUM_INTEGER:
        raise MalformedTransaction(f"{name} is a hex quantity without leading zeros, below 2^63")
    return number


def _hex(given: Mapping[str, Any], name: str, shape: re.Pattern[str], what: str) -> bytes:
    value = given[name]
    if not isinstance(value, str) or shape.fullmatch(value) is None:
        raise MalformedTransaction(f"{name} is {what} of hex text behind 0x")
    return bytes.fromhex(value[2:])


def _shown(name: str) -> str:
    return name.encode("ascii", "backslashreplace").decode("ascii")[:60]
