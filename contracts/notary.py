"""The one place that knows how the notary is called: call data, what came back, and its event.

Addresses are 20 bytes, logs 32, roots 32; sizes count leaves. Reverts are read by ``contracts.abi``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from contracts.abi import load_artifact
from contracts.events import Event, UnknownEvent, topic_of

LEDGER_LOG = b"ledger".ljust(32, b"\0")
SIGNER_LOG = b"signer".ljust(32, b"\0")

ANCHOR_SIGNATURE = "anchor(bytes32,uint64,bytes32)"
ANCHORED_TOPIC = topic_of("Anchored(address,bytes32,uint256,uint64,bytes32)")

SELECTORS: dict[str, bytes] = {
    signature: bytes.fromhex(selector)
    for signature, selector in load_artifact("Notary")["methodIdentifiers"].items()
}


class Anchor(NamedTuple):
    """A commitment to the first ``size`` leaves of a log; ``time_s`` is its block's."""

    root: bytes
    size: int
    time_s: int


class AnchorCall(NamedTuple):
    """What one call anchors."""

    log: bytes
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Anchored(Event):
    """An institution's anchor number ``index`` in a log."""

    institution: bytes
    log: bytes
    index: int
    size: int
    root: bytes


def creation_code(currency: bytes) -> bytes:
    """Return the data of the transaction that creates a notary for the institutions of a currency."""
    return bytes.fromhex(load_artifact("Notary")["bytecode"][2:]) + _address(currency)


# ------------------------------------------------------------------------------------------ calls


def encode_anchor(log: bytes, size: int, root: bytes) -> bytes:
    """Anchor the first ``size`` leaves of one's own log."""
    return SELECTORS[ANCHOR_SIGNATURE] + _bytes32(log) + _word(size, 64) + _bytes32(root)


def decode_anchor(data: bytes) -> AnchorCall | None:
    """Return what call data anchors, or None if it is no such call or not exactly one."""
    if len(data) != 100 or data[:4] != SELECTORS[ANCHOR_SIGNATURE]:
        return None
    size = int.from_bytes(data[36:68], "big")
    return AnchorCall(data[4:36], size, data[68:100]) if size < 1 << 64 else None


# ------------------------------------------------------------------------------------------ views


def encode_anchor_count(institution: bytes, log: bytes) -> bytes:
    """Read how many anchors an institution has in a log; one word."""
    return SELECTORS["anchorCount(address,bytes32)"] + _address(institution) + _bytes32(log)


def encode_anchors(institution: bytes, log: bytes, first: int, count: int) -> bytes:
    """Read up to ``count`` anchors from place ``first`` on; the answer goes through ``decode_anchors``."""
    selector = SELECTORS["anchors(address,bytes32,uint256,uint256)"]
    return selector + _address(institution) + _bytes32(log) + _word(first) + _word(count)


def encode_anchor_of_day(institution: bytes, log: bytes, day: int) -> bytes:
    """Read a UTC day's last anchor; the answer goes through ``decode_anchor_of_day``."""
    selector = SELECTORS["anchorOfDay(address,bytes32,uint256)"]
    return selector + _address(institution) + _bytes32(log) + _word(day)


def encode_verify(
    institution: bytes, log: bytes, index: int, *, leaf_index: int, hashed_leaf: bytes, proof: Sequence[bytes]
) -> bytes:
    """Ask whether anchor ``index`` commits to a leaf at ``leaf_index`` (contracts.merkle); one word."""
    selector = SELECTORS["verify(address,bytes32,uint256,uint256,bytes32,bytes32[])"]
    head = _address(institution) + _bytes32(log) + _word(index) + _word(leaf_index) + _bytes32(hashed_leaf)
    return selector + head + _word(192) + _word(len(proof)) + b"".join(map(_bytes32, proof))


def encode_currency() -> bytes:
    """Read whose institutions may anchor; one word."""
    return SELECTORS["currency()"]


def decode_anchors(returned: bytes) -> list[Anchor]:
    """Decode returned anchors. Raises ValueError where bytes are missing or left over."""
    if len(returned) < 64 or int.from_bytes(returned[:32], "big") != 32:
        raise ValueError(f"an array of anchors expected, {len(returned)} bytes returned")
    count = int.from_bytes(returned[32:64], "big")
    if len(returned) != 64 + 96 * count:
        raise ValueError(f"{count} anchors announced, {len(returned)} bytes returned")
    return [_anchor(returned[at : at + 96]) for at in range(64, len(returned), 96)]


def decode_anchor_of_day(returned: bytes) -> tuple[int, Anchor]:
    """Decode an anchor behind its place. Raises ValueError."""
    if len(returned) != 128:
        raise ValueError(f"a place and an anchor expected, {len(returned)} bytes returned")
    return int.from_bytes(returned[:32], "big"), _anchor(returned[32:])


def decode_notary_logs(raw_json_rpc_logs: Sequence[Mapping[str, Any]]) -> list[Anchored]:
    """Decode the notary's own logs as eth_getLogs returns them, in their order. Raises UnknownEvent."""
    return [_anchored(log) for log in raw_json_rpc_logs]


def _anchored(log: Mapping[str, Any]) -> Anchored:
    topics, data = log["topics"], bytes.fromhex(log["data"][2:])
    if not topics or topics[0] != ANCHORED_TOPIC:
        raise UnknownEvent(topics[0] if topics else "none", log["transactionHash"])
    return Anchored(
        institution=bytes.fromhex(topics[1][26:]),
        log=bytes.fromhex(topics[2][2:]),
        index=int(topics[3], 16),
        size=int.from_bytes(data[:32], "big"),
        root=data[32:64],
        block_number=int(log["blockNumber"], 16),
        block_hash=bytes.fromhex(log["blockHash"][2:]),
        transaction_hash=bytes.fromhex(log["transactionHash"][2:]),
        log_index=int(log["logIndex"], 16),
    )


def _anchor(words: bytes) -> Anchor:
    return Anchor(words[:32], int.from_bytes(words[32:64], "big"), int.from_bytes(words[64:96], "big"))


def _word(value: int, bits: int = 256) -> bytes:
    if not 0 <= value < 1 << bits:
        raise ValueError(f"{value} does not fit {bits} bits")
    return value.to_bytes(32, "big")


def _bytes32(value: bytes) -> bytes:
    if len(value) != 32:
        raise ValueError("a log, a root and a leaf's hash have 32 bytes")
    return value


def _address(address: bytes) -> bytes:
    if len(address) != 20:
        raise ValueError("an address has 20 bytes")
    return bytes(12) + address
