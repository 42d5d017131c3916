"""The token's events, decoded by fixed widths straight from a node's JSON (no generic ABI decoding)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eth_hash.auto import keccak

from contracts.batch import SkipReason, decode_skipped


class UnknownEvent(ValueError):
    """The token emitted a log that this build does not know: it was upgraded, or it is another contract."""

    code = "UnknownEvent"

    def __init__(self, topic: str, transaction_hash: str) -> None:
        super().__init__(f"no event of the token has topic {topic} (transaction {transaction_hash})")
        self.topic = topic
        self.transaction_hash = transaction_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Where a log is. Hashes have 32 bytes."""

    block_number: int
    block_hash: bytes
    transaction_hash: bytes
    log_index: int


@dataclass(frozen=True, slots=True)
class Transfer(Event):
    """Money moved; the payer is 20 zero bytes when minted, the payee when burned."""

    payer: bytes
    payee: bytes
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Waterfall(Event):
    """``excess_minor`` flowed on from the payee to its bank; the two Transfers come just before."""

    payee: bytes
    bank: bytes
    excess_minor: int


@dataclass(frozen=True, slots=True)
class BatchSettled(Event):
    """The last log of every ``settle``."""

    participant: int
    records: int
    executed: int


@dataclass(frozen=True, slots=True)
class Skipped(Event):
    """Why records of a batch were skipped, by their index; comes just before BatchSettled."""

    reasons: dict[int, SkipReason]


@dataclass(frozen=True, slots=True)
class AccountRegistered(Event):
    """An account was registered, or its tier or flags changed."""

    account: bytes
    participant: int
    tier: int
    flags: int


@dataclass(frozen=True, slots=True)
class ParticipantSet(Event):
    """A participant was created or changed."""

    participant: int
    institution: bytes
    tier: int
    tier_mask: int


@dataclass(frozen=True, slots=True)
class TierSet(Event):
    """A tier's limits. A daily limit of 2**64 - 1 means none."""

    tier: int
    holding_limit_minor: int
    per_payment_limit_minor: int
    daily_limit_minor: int


@dataclass(frozen=True, slots=True)
class MintAllowanceChanged(Event):
    """The issuer changed a participant's allowance, or the participant minted."""

    participant: int
    previous_allowance_minor: int
    allowance_minor: int


@dataclass(frozen=True, slots=True)
class PauseChanged(Event):
    """All movement of money was stopped, or restarted, by ``by``."""

    is_paused: bool
    by: bytes


@dataclass(frozen=True, slots=True)
class AccountMoved(Event):
    """The owner moved the account with its money to another bank; follows its AccountRegistered."""

    account: bytes
    from_participant: int
    to_participant: int


@dataclass(frozen=True, slots=True)
class ParticipantStandingChanged(Event):
    """A participant was suspended or reinstated; follows the AccountRegistered of its institution."""

    participant: int
    is_suspended: bool


@dataclass(frozen=True, slots=True)
class OrderRegistered(Event):
    """``order`` is the hash of its document (32 bytes), as in all events of orders."""

    order: bytes
    authority: bytes
    cap_minor: int
    expiry_s: int


@dataclass(frozen=True, slots=True)
class OrderRevoked(Event):
    """What was frozen or held under the order stays until it is released."""

    order: bytes


@dataclass(frozen=True, slots=True)
class AccountFrozen(Event):
    """The account's flags come in the AccountRegistered that follows, where they changed."""

    order: bytes
    account: bytes


@dataclass(frozen=True, slots=True)
class AccountUnfrozen(Event):
    """The account stays frozen while another order freezes it."""

    order: bytes
    account: bytes


@dataclass(frozen=True, slots=True)
class FundsHeldUnderOrder(Event):
    """So much more is held of the account's balance."""

    order: bytes
    account: bytes
    amount_minor: int


@dataclass(frozen=True, slots=True)
class FundsReleased(Event):
    """So much less is held of the account's balance."""

    order: bytes
    account: bytes
    amount_minor: int


@dataclass(frozen=True, slots=True)
class TransferForced(Event):
    """Money moved under an order: first what the order holds of the payer. The Transfer comes just before."""

    order: bytes
    payer: bytes
    payee: bytes
    amount_minor: int


@dataclass(frozen=True, slots=True)
class AuthorizationUsed(Event):
    """An owner's EIP-3009 authorisation was executed; the Transfer comes just after."""

    authorizer: bytes
    nonce: bytes


@dataclass(frozen=True, slots=True)
class AuthorizationCanceled(Event):
    """An owner's EIP-3009 authorisation ended unused."""

    authorizer: bytes
    nonce: bytes


@dataclass(frozen=True, slots=True)
class AdministrativeEvent(Event):
    """Approvals, roles and upgrades: what moves no money and changes no account."""

    name: str
    topics: tuple[bytes, ...]
    data: bytes


Log = Mapping[str, Any]


def decode_logs(raw_json_rpc_logs: Sequence[Log]) -> list[Event]:
    """Decode logs as eth_getLogs returns them (hex strings), in their order.

    All must be the token's own. Raises UnknownEvent for a topic that the token does not have.
    """
    events: list[Event] = []
    for log in raw_json_rpc_logs:
        topics = log["topics"]
        decoder = _DECODERS.get(topics[0]) if topics else None
        if decoder is None:
            raise UnknownEvent(topics[0] if topics else "none", log["transactionHash"])
        events.append(decoder(topics, bytes.fromhex(log["data"][2:]), _position(log)))
    return events


def _position(log: Log) -> dict[str, Any]:
    return {
        "block_number": int(log["blockNumber"], 16),
        "block_hash": bytes.fromhex(log["blockHash"][2:]),
        "transaction_hash": bytes.fromhex(log["transactionHash"][2:]),
        "log_index": int(log["logIndex"], 16),
    }


def _address(topic: str) -> bytes:
    return bytes.fromhex(topic[26:])


def _id(topic: str) -> bytes:
    return bytes.fromhex(topic[2:])


def _word(data: bytes, index: int) -> int:
    return int.from_bytes(data[32 * index : 32 * index + 32], "big")


def _dynamic(data: bytes, index: int) -> bytes:
    """Return the bytes argument whose offset is word ``index``."""
    start = _word(data, index)
    length = int.from_bytes(data[start : start + 32], "big")
    return data[start + 32 : start + 32 + length]


def _transfer(topics: Sequence[str], data: bytes, position: dict[str, Any]) -> Event:
    return Transfer(_address(topics[1]), _address(topics[2]), _word(data, 0), **position)


def _waterfall(topics: Sequence[str], data: bytes, position: dict[str, Any]) -> Event:
    return Waterfall(_address(topics[1]), _address(topics[2]), _word(data, 0), **position)


def _batch_settled(topics: Sequence[str], data: bytes, position: dict[str, Any]) -> Event:
    return BatchSettled(int(topics[1], 16), _word(data, 0), _word(data, 1), **position)


def _skipped(_topics: Sequence[str], data: bytes, position: dict[str, Any]) -> Event:
    return Skipped(decode_skipped(_dynamic(data, 0), _dynamic(data, 1)), **position)


def _account_registered(topics: Sequence[str], data: bytes, position: dict[str, Any]) -> Event:
    return AccountRegistered(
        _address(topics[1]), int(topics[2], 16), _word(data, 0), _word(data, 1), **position
    )


def _participant_set(topics: Sequence[str], data: bytes, position: dict[str, Any]) -> Event:
    return ParticipantSet(int(topics[1], 16), _address(topics[2]), _word(data, 0), _word(data, 1), **position)


def _tier_set(topics: Sequence[str], data: bytes, position: dict[str, Any]) -> Event:
    return TierSet(int(topics[1], 16), _word(data, 0), _word(data, 1), _word(data, 2), **position)


def _mint_allowance_changed(topics: Sequence[str], data: bytes, position: dict[str, Any]) -> Event:
    return MintAllowanceChanged(int(topics[1], 16), _word(data, 0), _word(data, 1), **position)


def _paused(topics: Sequence[str], _data: bytes, position: dict[str, Any]) -> Event:
    return PauseChanged(True, _address(topics[1]), **position)


def _unpaused(topics: Sequence[str], _data: bytes, position: dict[str, Any]) -> Event:
    return PauseChanged(False, _address(topics[1]), **position)


def _account_moved(topics: Sequence[str], _data: bytes, position: dict[str, Any]) -> Event:
    return AccountMoved(_address(topics[1]), int(topics[2], 16), int(topics[3], 16), **position)


def _participant_standing_changed(topics: Sequence[str], data: bytes, position: dict[str, Any]) -> Event:
    return ParticipantStandingChanged(int(topics[1], 16), _word(data, 0) != 0, **position)


def _order_registered(topics: Sequence[str], data: bytes, position: dict[str, Any]) -> Event:
    return OrderRegistered(_id(topics[1]), _address(topics[2]), _word(data, 0), _word(data, 1), **position)


def _order_revoked(topics: Sequence[str], _data: bytes, position: dict[str, Any]) -> Event:
    return OrderRevoked(_id(topics[1]), **position)


def _account_frozen(topics: Sequence[str], _data: bytes, position: dict[str, Any]) -> Event:
    return AccountFrozen(_id(topics[1]), _address(topics[2]), **position)


def _account_unfrozen(topics: Sequence[str], _data: bytes, position: dict[str, Any]) -> Event:
    return AccountUnfrozen(_id(topics[1]), _address(topics[2]), **position)


def _funds_held(topics: Sequence[str], data: bytes, position: dict[str, Any]) -> Event:
    return FundsHeldUnderOrder(_id(topics[1]), _address(topics[2]), _word(data, 0), **position)


def _funds_released(topics: Sequence[str], data: bytes, position: dict[str, Any]) -> Event:
    return FundsReleased(_id(topics[1]), _address(topics[2]), _word(data, 0), **position)


def _transfer_forced(topics: Sequence[str], data: bytes, position: dict[str, Any]) -> Event:
    payer, payee = _address(topics[2]), _address(topics[3])
    return TransferForced(_id(topics[1]), payer, payee, _word(data, 0), **position)


def _authorization_used(topics: Sequence[str], _data: bytes, position: dict[str, Any]) -> Event:
    return AuthorizationUsed(_address(topics[1]), _id(topics[2]), **position)


def _authorization_canceled(topics: Sequence[str], _data: bytes, position: dict[str, Any]) -> Event:
    return AuthorizationCanceled(_address(topics[1]), _id(topics[2]), **position)


def _administrative(topics: Sequence[str], data: bytes, position: dict[str, Any]) -> Event:
    raw = tuple(bytes.fromhex(topic[2:]) for topic in topics)
    return AdministrativeEvent(_ADMINISTRATIVE[topics[0]], raw, data, **position)


def topic_of(signature: str) -> str:
    """Return the first topic of an event, as a node writes it."""
    return "0x" + keccak(signature.encode()).hex()


_ADMINISTRATIVE = {
    topic_of(signature): signature.partition("(")[0]
    for signature in (
        "Approval(address,address,uint256)",
        "RoleOffered(bytes32,address,address)",
        "RoleTransferred(bytes32,address,address)",
        "UpgradeProposed(address,bytes,uint256)",
        "UpgradeCancelled(bytes32)",
        "Upgraded(address)",
        "Initialized(uint64)",
    )
}

_DECODERS: dict[str, Callable[[Sequence[str], bytes, dict[str, Any]], Event]] = {
    topic_of("Transfer(address,address,uint256)"): _transfer,
    topic_of("Waterfall(address,address,uint256)"): _waterfall,
    topic_of("BatchSettled(uint16,uint256,uint256)"): _batch_settled,
    topic_of("Skipped(bytes,bytes)"): _skipped,
    topic_of("AccountRegistered(address,uint16,uint8,uint24)"): _account_registered,
    topic_of("ParticipantSet(uint16,address,uint8,uint256)"): _participant_set,
    topic_of("TierSet(uint8,uint256,uint256,uint256)"): _tier_set,
    topic_of("MintAllowanceChanged(uint16,uint256,uint256)"): _mint_allowance_changed,
    topic_of("Paused(address)"): _paused,
    topic_of("Unpaused(address)"): _unpaused,
    topic_of("AccountMoved(address,uint16,uint16)"): _account_moved,
    topic_of("ParticipantStandingChanged(uint16,bool)"): _participant_standing_changed,
    topic_of("OrderRegistered(bytes32,address,uint256,uint256)"): _order_registered,
    topic_of("OrderRevoked(bytes32)"): _order_revoked,
    topic_of("AccountFrozen(bytes32,address)"): _account_frozen,
    topic_of("AccountUnfrozen(bytes32,address)"): _account_unfrozen,
    topic_of("FundsHeldUnderOrder(bytes32,address,uint256)"): _funds_held,
    topic_of("FundsReleased(bytes32,address,uint256)"): _funds_released,
    topic_of("TransferForced(bytes32,address,address,uint256)"): _transfer_forced,
    topic_of("AuthorizationUsed(address,bytes32)"): _authorization_used,
    topic_of("AuthorizationCanceled(address,bytes32)"): _authorization_canceled,
    **dict.fromkeys(_ADMINISTRATIVE, _administrative),
}
