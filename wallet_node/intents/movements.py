"""What an intent moves, in words that policies, officers and journals share. Pure.

Whatever can be signed decodes to movements: a payment to its one, a batch to one for each record, an
administrative call to what it changes. What does not decode is refused, so that nothing is ever signed which
nobody could read (`call_movements` for calls, `typed_intents` for EIP-712).
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias

import msgspec

from wallet_node.addresses import checksummed

CURRENCY, NOTARY, SETTLEMENT, TRADES = "currency", "notary", "settlement", "trades"
"""The contracts whose calls can be read, as a policy names them."""

# What is written for no limit: an allowance's or a mask's, a holding limit's, a payment's or a day's.
_UNLIMITED = (2**256 - 1, 2**96 - 1, 2**64 - 1)
_ADDRESS_BYTES = 20
_LISTED_AT_MOST = 3
_LAST_DATE_S = 253_402_300_799  # 9999-12-31

Detail: TypeAlias = int | str | bytes | tuple[bytes, ...] | tuple[int, ...]


class Kind(StrEnum):
    """Every kind of movement. Money moves in the first group; the others change what may move."""

    PAYMENT = "payment"
    TRANSFER = "transfer"
    MINT = "mint"
    BURN = "burn"
    FORCED_TRANSFER = "forced_transfer"
    SETTLEMENT_DEPOSIT = "settlement_deposit"
    SETTLEMENT_WITHDRAWAL = "settlement_withdrawal"
    SETTLEMENT_PAYMENT = "settlement_payment"
    NET_POSITION = "net_position"
    CYCLE_PAYMENT = "cycle_payment"
    TRADE_LEG = "trade_leg"
    ETHER = "ether"

    ALLOWANCE = "allowance"
    AUTHORIZATION_CANCELLED = "authorization_cancelled"
    MINT_ALLOWANCE_RAISED = "mint_allowance_raised"
    MINT_ALLOWANCE_LOWERED = "mint_allowance_lowered"

    TIER_SET = "tier_set"
    PARTICIPANT_SET = "participant_set"
    PARTICIPANT_SUSPENDED = "participant_suspended"
    PARTICIPANT_REINSTATED = "participant_reinstated"
    SYSTEM_ACCOUNT_SET = "system_account_set"
    ACCOUNTS_REGISTERED = "accounts_registered"
    ACCOUNT_MOVED = "account_moved"
    ROLE_OFFERED = "role_offered"
    ROLE_ACCEPTED = "role_accepted"

    ORDER_REGISTERED = "order_registered"
    ORDER_REVOKED = "order_revoked"
    FROZEN = "frozen"
    UNFROZEN = "unfrozen"
    HELD = "held"
    RELEASED = "released"

    PAUSED = "paused"
    UNPAUSED = "unpaused"
    UPGRADE_PROPOSED = "upgrade_proposed"
    UPGRADE_CANCELLED = "upgrade_cancelled"
    UPGRADED = "upgraded"

    NET_DEBIT_CAP_SET = "net_debit_cap_set"
    QUEUE_HELD = "queue_held"
    QUEUE_RESUMED = "queue_resumed"
    QUEUE_REPRIORITISED = "queue_reprioritised"
    QUEUE_CANCELLED = "queue_cancelled"
    QUEUE_EXPIRED = "queue_expired"
    QUEUE_RESOLVED = "queue_resolved"
    TRADE_AFFIRMED = "trade_affirmed"
    TRADE_EXECUTED = "trade_executed"
    TRADE_CANCELLED = "trade_cancelled"

    ANCHOR = "anchor"
    NONCE_USED = "nonce_used"


class Movement(msgspec.Struct, frozen=True):
    """One thing that happens when what was signed is executed.

    `payer` is who loses the money or whose account is concerned, `payee` who gains it; 20 bytes each, None
    where there is nobody, or where it is a payer whose signature was not asked. `amount_minor` is None where
    no money of the currency is meant. It executes at the latest at `until_s`; None, it does not run out.
    """

    kind: Kind
    payer: bytes | None = None
    payee: bytes | None = None
    amount_minor: int | None = None
    until_s: int | None = None
    detail: dict[str, Detail] = {}


class Setting(NamedTuple):
    """Who calls what. With the currency's EIP-712 `separator`, the payers of packed records are recovered
    (about 50 us each); without, they stay unknown.
    """

    caller: bytes
    contract: bytes
    separator: bytes | None = None


Movements: TypeAlias = tuple[Movement, ...]
Reader: TypeAlias = Callable[[Setting, Mapping[str, Any]], Movements]
"""From the arguments of one function, by name, to what it moves."""


_SENTENCES: dict[Kind, str] = {
    Kind.PAYMENT: "{payer} pays {amount} to {payee}{until}.",
    Kind.TRANSFER: "{payer} pays {amount} to {payee}{until}.",
    Kind.MINT: "{payee} mints {amount} to itself.",
    Kind.BURN: "{payer} returns {amount} to the central bank, which burns it.",
    Kind.FORCED_TRANSFER: "{amount} is taken from {payer} and given to {payee} under the order {order}.",
    Kind.SETTLEMENT_DEPOSIT: "{payer} moves {amount} into its settlement account at {payee}.",
    Kind.SETTLEMENT_WITHDRAWAL: "{payee} takes {amount} out of its settlement account at {payer}.",
    Kind.SETTLEMENT_PAYMENT: (
        "{payer} pays {amount} from its settlement account to participant {payee_participant}, with"
        " priority {priority}, as payment {payment}{until}."
    ),
    Kind.NET_POSITION: "In net cycle {cycle}, participant {participant} {direction} {amount}.",
    Kind.CYCLE_PAYMENT: (
        "In net cycle {cycle}, participant {payer_participant} pays {amount} to participant"
        " {payee_participant}."
    ),
    Kind.TRADE_LEG: (
        "A trade is proposed in which {payer} gives {units} units of the token {token} to {payee}{until}."
    ),
    Kind.ETHER: "{payer} sends {wei} wei of the chain's own money to {payee}.",
    Kind.ALLOWANCE: "{payer} allows {payee} to take up to {amount} from it{by}.",
    Kind.AUTHORIZATION_CANCELLED: "{payer} ends its authorisation {nonce}, if it was not used.",
    Kind.MINT_ALLOWANCE_RAISED: "Participant {participant} may mint {amount} more.",
    Kind.MINT_ALLOWANCE_LOWERED: "Participant {participant} may mint {amount} less.",
    Kind.TIER_SET: (
        "An account of tier {tier} holds at most {holding_limit_minor}, pays at most"
        " {per_payment_limit_minor} at once and {daily_limit_minor} a day."
    ),
    Kind.PARTICIPANT_SET: (
        "{payee} becomes the institution of participant {participant}, in tier {tier}, and may grant the"
        " tiers {tiers}."
    ),
    Kind.PARTICIPANT_SUSPENDED: "Participant {participant} is suspended.",
    Kind.PARTICIPANT_REINSTATED: "Participant {participant} is reinstated.",
    Kind.SYSTEM_ACCOUNT_SET: "{payee} becomes an account of the system, in tier {tier}.",
    Kind.ACCOUNTS_REGISTERED: "Registered in tier {tier}, {linked}: {accounts}.",
    Kind.ACCOUNT_MOVED: (
        "The account {payer} with all its money moves to {destination}, in tier {tier}, {linked}{until}."
    ),
    Kind.ROLE_OFFERED: "{payer} offers its role {role} to {payee}.",
    Kind.ROLE_ACCEPTED: "{payee} takes over the role {role}.",
    Kind.ORDER_REGISTERED: (
        "{payee} may freeze, hold and move up to {amount} of anybody's money under the order {order}{until}."
    ),
    Kind.ORDER_REVOKED: "The order {order} can no longer be used.",
    Kind.FROZEN: "The account {payer} is frozen under the order {order}.",
    Kind.UNFROZEN: "The account {payer} is no longer frozen under the order {order}.",
    Kind.HELD: "{amount} of {payer} is held under the order {order}.",
    Kind.RELEASED: "{amount} of {payer} is no longer held under the order {order}.",
    Kind.PAUSED: "All movement of money stops.",
    Kind.UNPAUSED: "Movement of money starts again.",
    Kind.UPGRADE_PROPOSED: (
        "The currency's code may be replaced by that at {payee} once the delay is over, with the call {data}."
    ),
    Kind.UPGRADE_CANCELLED: "The proposed upgrade is dropped.",
    Kind.UPGRADED: "The currency's code is replaced by that at {payee}, with the call {data}.",
    Kind.NET_DEBIT_CAP_SET: "A net cycle may take up to {amount} from the settlement account of {payer}.",
    Kind.QUEUE_HELD: "The queued payment {payment} is held back.",
    Kind.QUEUE_RESUMED: "The held payment {payment} goes back into the queue.",
    Kind.QUEUE_REPRIORITISED: "The payment {payment} gets the priority {priority}.",
    Kind.QUEUE_CANCELLED: "The payment {payment} is cancelled for ever.",
    Kind.QUEUE_EXPIRED: "Their time has passed and they leave the queue: {payments}.",
    Kind.QUEUE_RESOLVED: "Settled together from the queue: {payments}.",
    Kind.TRADE_AFFIRMED: "{payer} agrees to pay its legs of the trade {trade}.",
    Kind.TRADE_EXECUTED: "All legs of the trade {trade} move.",
    Kind.TRADE_CANCELLED: "The trade {trade} is ended.",
    Kind.ANCHOR: "The first {size} entries of the log {log} are committed to as {root}.",
    Kind.NONCE_USED: "{payer} uses up a nonce, and nothing else happens.",
}


def describe(movement: Movement) -> str:
    """One plain sentence that says what happens, with everything in it that decides about it."""
    words = {name: _in_words(name, value) for name, value in movement.detail.items()}
    words["payer"] = _party(movement.payer, "whoever signed the record")
    words["payee"] = _party(movement.payee, "nobody")
    words["amount"] = "nothing" if movement.amount_minor is None else _amount(movement.amount_minor)
    words["until"] = "" if movement.until_s is None else f", until {_time(movement.until_s)}"
    words["by"] = "" if movement.until_s is None else f" (to be submitted by {_time(movement.until_s)})"
    sentence = _SENTENCES[movement.kind].format_map(words)
    return sentence[0].upper() + sentence[1:]


def total_minor(moved: Movements) -> int:
    """How much of the currency they move, allow or hold together; of net positions, what is given."""
    return sum(
        each.amount_minor
        for each in moved
        if each.amount_minor is not None and each.detail.get("direction") != "receives"
    )


def movement_fields(movement: Movement) -> dict[str, Any]:
    """A movement as JSON says it: without what is absent, addresses checksummed, other bytes as hex."""
    named = {
        "kind": movement.kind.value,
        "payer": movement.payer,
        "payee": movement.payee,
        "amount_minor": movement.amount_minor,
        "until_s": movement.until_s,
        **movement.detail,
    }
    fields = {name: _as_json(value) for name, value in named.items() if value is not None}
    return {**fields, "says": describe(movement)}


def _in_words(name: str, value: Detail) -> str:
    if isinstance(value, tuple):
        shown = ", ".join(_in_words(name, each) for each in value[:_LISTED_AT_MOST]) or "none"
        left = len(value) - _LISTED_AT_MOST
        return shown if left <= 0 else f"{shown} and {left:,} more ({len(value):,} in all)"
    if isinstance(value, int):
        return _amount(value) if name.endswith("_minor") else str(value)
    return value if isinstance(value, str) else _hex(value)


def _as_json(value: Detail) -> Any:
    if isinstance(value, tuple):
        return [_as_json(each) for each in value]
    return _hex(value) if isinstance(value, bytes) else value


def _hex(value: bytes) -> str:
    return checksummed(value) if len(value) == _ADDRESS_BYTES else "0x" + value.hex()


def _party(address: bytes | None, nobody: str) -> str:
    return nobody if address is None else checksummed(address)


def _amount(amount_minor: int) -> str:
    if amount_minor in _UNLIMITED:
        return "any amount"
    return f"{amount_minor:,} minor unit{'' if amount_minor == 1 else 's'}"


def _time(time_s: int) -> str:
    if time_s > _LAST_DATE_S:
        return f"second {time_s} since 1970"
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
