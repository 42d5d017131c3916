"""How the Trades contract is called: exchanges of value for value whose legs move together or not at all."""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from eth_hash.auto import keccak

from contracts.call_data import (
    Tail,
    creation_code,
    encode_argument,
    encode_arguments,
    require_fits,
    selectors_of,
)
from contracts.settlement_events import Leg

MAX_LEGS = 16
SELECTORS = selectors_of("Trades")

_LEGS = "(address,address,address,uint256)[]"


class TradeState(IntEnum):
    """Where a trade is. The last two are for ever."""

    NONE = 0
    OPEN = 1
    EXECUTED = 2
    CANCELLED = 3


class TradesDomain(NamedTuple):
    """Which contract, on which chain."""

    chain_id: int
    contract: bytes


class Trade(NamedTuple):
    """A trade. Bit i of ``payers`` is set where leg i is a payer's first, of ``affirmed`` if it agreed."""

    expiry_s: int
    payers: int
    affirmed: int
    state: TradeState
    legs: tuple[Leg, ...]


def trades_creation_code() -> bytes:
    """Return the data of the transaction that creates the contract; one serves a whole chain."""
    return creation_code("Trades")


def trade_id(domain: TradesDomain, proposer: bytes, legs: Sequence[Leg], expiry_s: int, salt: bytes) -> bytes:
    """Return the id that the contract gives to a trade."""
    return keccak(encode_arguments(*domain, proposer, _legs(legs), expiry_s, salt))


def encode_propose_trade(legs: Sequence[Leg], expiry_s: int, salt: bytes) -> bytes:
    """Fix legs and expiry; the caller must be a party."""
    selector = SELECTORS[f"proposeTrade({_LEGS},uint64,bytes32)"]
    return selector + encode_arguments(_legs(legs), require_fits(expiry_s, 64, "expiry"), salt)


def encode_affirm(identifier: bytes) -> bytes:
    """Agree to pay one's legs."""
    return SELECTORS["affirm(bytes32)"] + encode_arguments(identifier)


def encode_execute_trade(identifier: bytes) -> bytes:
    """Move all legs."""
    return SELECTORS["executeTrade(bytes32)"] + encode_arguments(identifier)


def encode_cancel_trade(identifier: bytes) -> bytes:
    """End a trade that was not executed."""
    return SELECTORS["cancelTrade(bytes32)"] + encode_arguments(identifier)


def encode_trade(identifier: bytes) -> bytes:
    """Read a trade; the answer goes through ``decode_trade``."""
    return SELECTORS["trade(bytes32)"] + encode_arguments(identifier)


def decode_trade(returned: bytes) -> Trade:
    """Decode a trade. Raises ValueError for other bytes."""
    words = [returned[start : start + 32] for start in range(0, len(returned), 32)]
    numbers = [int.from_bytes(word, "big") for word in words]
    if len(words) < 7 or len(returned) != 32 * (7 + 4 * numbers[6]):
        raise ValueError(f"a trade expected, {len(returned)} bytes returned")
    legs = tuple(
        Leg(words[first][12:], words[first + 1][12:], words[first + 2][12:], numbers[first + 3])
        for first in range(7, len(words), 4)
    )
    return Trade(numbers[1], numbers[2], numbers[3], TradeState(numbers[4]), legs)


def _legs(legs: Sequence[Leg]) -> Tail:
    fields = (field for leg in legs for field in (leg.token, leg.payer, leg.payee, leg.amount_minor))
    return Tail(encode_argument(len(legs)) + b"".join(map(encode_argument, fields)))
