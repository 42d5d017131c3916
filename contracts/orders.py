"""Orders of an authority (IOrders.sol): call data, views, and what comes back.

An order's id is the 32-byte hash of its document; amounts are integers in minor units.
"""

from typing import NamedTuple

from contracts.abi import SELECTORS
from contracts.words import encode_address, encode_bytes32, encode_word, split_words


class Order(NamedTuple):
    """A registered order. ``used_minor`` is what is held under it and what was moved under it.

    One that was never registered has an authority of twenty zero bytes.
    """

    authority: bytes
    cap_minor: int
    used_minor: int
    expiry_s: int
    is_revoked: bool


class OrderUse(NamedTuple):
    """What one order does to one account."""

    held_minor: int
    is_frozen: bool


class Restriction(NamedTuple):
    """What all orders together do to an account; ``freezes`` counts the orders that freeze it."""

    held_minor: int
    freezes: int


# ------------------------------------------------------------------------------------------ registrar


def encode_register_order(order: bytes, authority: bytes, cap_minor: int, expiry_s: int) -> bytes:
    """Let ``authority`` hold and move up to ``cap_minor`` strictly before ``expiry_s`` (registrar)."""
    head = SELECTORS["registerOrder(bytes32,address,uint96,uint64)"] + encode_bytes32(order)
    return head + encode_address(authority) + encode_word(cap_minor) + encode_word(expiry_s)


def encode_revoke_order(order: bytes) -> bytes:
    """End the use of an order; what was done under it stays until it is released (registrar)."""
    return SELECTORS["revokeOrder(bytes32)"] + encode_bytes32(order)


# ------------------------------------------------------------------------------------------ authority


def encode_freeze(order: bytes, account: bytes) -> bytes:
    """Stop all payments of an account and to it (the order's authority)."""
    return SELECTORS["freeze(bytes32,address)"] + encode_bytes32(order) + encode_address(account)


def encode_unfreeze(order: bytes, account: bytes) -> bytes:
    """End what ``encode_freeze`` began (the order's authority or the registrar)."""
    return SELECTORS["unfreeze(bytes32,address)"] + encode_bytes32(order) + encode_address(account)


def encode_hold(order: bytes, account: bytes, amount_minor: int) -> bytes:
    """Hold an amount of an account's balance, present or to come (the order's authority)."""
    return _encode_amount("hold(bytes32,address,uint96)", order, account, amount_minor)


def encode_release(order: bytes, account: bytes, amount_minor: int) -> bytes:
    """End a hold or a part of it (the order's authority or the registrar)."""
    return _encode_amount("release(bytes32,address,uint96)", order, account, amount_minor)


def encode_force_transfer(order: bytes, payer: bytes, payee: bytes, amount_minor: int) -> bytes:
    """Move money: first what the order holds, then what no order holds (the order's authority)."""
    head = SELECTORS["forceTransfer(bytes32,address,address,uint96)"] + encode_bytes32(order)
    return head + encode_address(payer) + encode_address(payee) + encode_word(amount_minor)


def _encode_amount(signature: str, order: bytes, account: bytes, amount_minor: int) -> bytes:
    return SELECTORS[signature] + encode_bytes32(order) + encode_address(account) + encode_word(amount_minor)


# ------------------------------------------------------------------------------------------ views


def encode_order(order: bytes) -> bytes:
    """Read an order; the answer goes through ``decode_order``."""
    return SELECTORS["order(bytes32)"] + encode_bytes32(order)


def decode_order(returned: bytes) -> Order:
    """Decode an order. Raises ValueError unless it is five words."""
    authority, cap, used, expiry, is_revoked = split_words(returned, 5)
    return Order(authority.to_bytes(20, "big"), cap, used, expiry, is_revoked != 0)


def encode_order_use(order: bytes, account: bytes) -> bytes:
    """Read what one order does to one account; the answer goes through ``decode_order_use``."""
    return SELECTORS["orderUse(bytes32,address)"] + encode_bytes32(order) + encode_address(account)


def decode_order_use(returned: bytes) -> OrderUse:
    """Decode what an order does. Raises ValueError unless it is two words."""
    held, is_frozen = split_words(returned, 2)
    return OrderUse(held, is_frozen != 0)


def encode_restriction(account: bytes) -> bytes:
    """Read what all orders do to an account; the answer goes through ``decode_restriction``."""
    return SELECTORS["restriction(address)"] + encode_address(account)


def decode_restriction(returned: bytes) -> Restriction:
    """Decode a restriction. Raises ValueError unless it is two words."""
    return Restriction(*split_words(returned, 2))
