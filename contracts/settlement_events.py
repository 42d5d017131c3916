"""The events of Settlement and Trades, decoded from a node's JSON. All amounts are minor units."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.events import AdministrativeEvent, Event, UnknownEvent, topic_of
from contracts.settlement import unpack_positions


@dataclass(frozen=True, slots=True)
class Deposited(Event):
    """A participant moved currency into its settlement account."""

    participant: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Withdrawn(Event):
    """A participant moved currency out of its settlement account."""

    participant: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class NetDebitCapSet(Event):
    """What a participant consents to lose in one net cycle."""

    participant: int
    net_debit_cap_minor: int


@dataclass(frozen=True, slots=True)
class StandingChanged(Event):
    """The copy of a participant's standing that net cycles ask."""

    participant: int
    is_in_standing: bool


@dataclass(frozen=True, slots=True)
class PaymentSettled(Event):
    """A payment is final."""

    payment_id: bytes
    payer: int
    payee: int
    amount_minor: int
    priority: int


@dataclass(frozen=True, slots=True)
class PaymentQueued(Event):
    """A payment waits for funds, or behind another one of its payer."""

    payment_id: bytes
    payer: int
    payee: int
    amount_minor: int
    priority: int
    expiry_s: int


@dataclass(frozen=True, slots=True)
class PaymentHeld(Event):
    """Its payer took a payment aside."""

    payment_id: bytes
    payer: int


@dataclass(frozen=True, slots=True)
class PaymentResumed(Event):
    """Its payer put a held payment back into the queue."""

    payment_id: bytes
    payer: int


@dataclass(frozen=True, slots=True)
class PaymentReprioritised(Event):
    """Its payer gave a waiting payment another priority."""

    payment_id: bytes
    payer: int
    priority: int


@dataclass(frozen=True, slots=True)
class PaymentCancelled(Event):
    """Its payer withdrew a waiting payment for ever."""

    payment_id: bytes
    payer: int


@dataclass(frozen=True, slots=True)
class PaymentExpired(Event):
    """A waiting payment's time passed."""

    payment_id: bytes
    payer: int


@dataclass(frozen=True, slots=True)
class QueueResolved(Event):
    """The payments whose PaymentSettled come just before settled together."""

    batch_id: bytes
    proposer: bytes
    payments: int


@dataclass(frozen=True, slots=True)
class CycleSettled(Event):
    """A net cycle; ``positions`` by participant, positive received."""

    cycle: int
    payments_root: bytes
    positions: dict[int, int]


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg of a trade. Addresses have 20 bytes."""

    token: bytes
    payer: bytes
    payee: bytes
    amount_minor: int


@dataclass(frozen=True, slots=True)
class TradeProposed(Event):
    """The legs of a trade were fixed."""

    trade_id: bytes
    proposer: bytes
    expiry_s: int
    salt: bytes
    legs: tuple[Leg, ...]


@dataclass(frozen=True, slots=True)
class TradeAffirmed(Event):
    """A payer agreed to its legs."""

    trade_id: bytes
    payer: bytes


@dataclass(frozen=True, slots=True)
class TradeExecuted(Event):
    """All legs moved."""

    trade_id: bytes
    by: bytes


@dataclass(frozen=True, slots=True)
class TradeCancelled(Event):
    """A party ended the trade before it was executed."""

    trade_id: bytes
    by: bytes


def decode_settlement_logs(raw_json_rpc_logs: Sequence[Mapping[str, Any]]) -> list[Event]:
    """Decode logs of Settlement and Trades as eth_getLogs returns them, in their order.

    Raises UnknownEvent for a topic that neither has.
    """
    events: list[Event] = []
    for log in raw_json_rpc_logs:
        topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
        decoder = _DECODERS.get("0x" + topics[0].hex()) if topics else None
        if decoder is None:
            raise UnknownEvent(log["topics"][0] if topics else "none", log["transactionHash"])
        data = bytes.fromhex(log["data"][2:])
        place = {
            "block_number": int(log["blockNumber"], 16),
            "block_hash": bytes.fromhex(log["blockHash"][2:]),
            "transaction_hash": bytes.fromhex(log["transactionHash"][2:]),
            "log_index": int(log["logIndex"], 16),
        }
        events.append(decoder(topics, data, place))
    return events


_Decoder = Callable[[list[bytes], bytes, dict[str, Any]], Event]


def _number(word: bytes) -> int:
    return int.from_bytes(word, "big")


def _address(word: bytes) -> bytes:
    return word[12:]


def _identifier(word: bytes) -> bytes:
    return word


def _static(event: Callable[..., Event], *readers: Callable[[bytes], Any]) -> _Decoder:
    """Return a decoder of fields that are one word each: the indexed ones, then those of the data."""

    def decode(topics: list[bytes], data: bytes, place: dict[str, Any]) -> Event:
        words = topics[1:] + [data[start : start + 32] for start in range(0, len(data), 32)]
        return event(*(read(word) for read, word in zip(readers, words, strict=True)), **place)

    return decode


def _cycle_settled(topics: list[bytes], data: bytes, place: dict[str, Any]) -> Event:
    length = _number(data[32:64])
    return CycleSettled(_number(topics[1]), topics[2], unpack_positions(data[64 : 64 + length]), **place)


def _trade_proposed(topics: list[bytes], data: bytes, place: dict[str, Any]) -> Event:
    words = [data[start : start + 32] for start in range(0, len(data), 32)]
    legs = tuple(
        Leg(
            _address(words[first]),
            _address(words[first + 1]),
            _address(words[first + 2]),
            _number(words[first + 3]),
        )
        for first in range(4, 4 + 4 * _number(words[3]), 4)
    )
    return TradeProposed(topics[1], _address(topics[2]), _number(words[0]), words[1], legs, **place)


def _administrative(name: str) -> _Decoder:
    def decode(topics: list[bytes], data: bytes, place: dict[str, Any]) -> Event:
        return AdministrativeEvent(name, tuple(topics), data, **place)

    return decode


_DECODERS: dict[str, _Decoder] = {
    topic_of(signature): decoder
    for signature, decoder in {
        "Deposited(uint16,uint256)": _static(Deposited, _number, _number),
        "Withdrawn(uint16,uint256)": _static(Withdrawn, _number, _number),
        "NetDebitCapSet(uint16,uint256)": _static(NetDebitCapSet, _number, _number),
        "StandingChanged(uint16,bool)": _static(StandingChanged, _number, lambda word: _number(word) == 1),
        "PaymentSettled(bytes32,uint16,uint16,uint256,uint8)": _static(
            PaymentSettled, _identifier, _number, _number, _number, _number
        ),
        "PaymentQueued(bytes32,uint16,uint16,uint256,uint8,uint64)": _static(
            PaymentQueued, _identifier, _number, _number, _number, _number, _number
        ),
        "PaymentHeld(bytes32,uint16)": _static(PaymentHeld, _identifier, _number),
        "PaymentResumed(bytes32,uint16)": _static(PaymentResumed, _identifier, _number),
        "PaymentReprioritised(bytes32,uint16,uint8)": _static(
            PaymentReprioritised, _identifier, _number, _number
        ),
        "PaymentCancelled(bytes32,uint16)": _static(PaymentCancelled, _identifier, _number),
        "PaymentExpired(bytes32,uint16)": _static(PaymentExpired, _identifier, _number),
        "QueueResolved(bytes32,address,uint256)": _static(QueueResolved, _identifier, _address, _number),
        "CycleSettled(uint64,bytes32,bytes)": _cycle_settled,
        "TradeProposed(bytes32,address,uint64,bytes32,(address,address,address,uint256)[])": _trade_proposed,
        "TradeAffirmed(bytes32,address)": _static(TradeAffirmed, _identifier, _address),
        "TradeExecuted(bytes32,address)": _static(TradeExecuted, _identifier, _address),
        "TradeCancelled(bytes32,address)": _static(TradeCancelled, _identifier, _address),
        "RoleOffered(bytes32,address,address)": _administrative("RoleOffered"),
        "RoleTransferred(bytes32,address,address)": _administrative("RoleTransferred"),
    }.items()
}
