"""What packed batches of payments move: one payment for each record. Pure.

A record's payer is in no byte of it but its signature, and recovering takes time: it is done where the
setting has the separator that was signed under.
"""

from collections.abc import Mapping
from typing import Any

from contracts.batch import (
    GROUP_HEAD_BYTES,
    GROUPED_RECORD_BYTES,
    RECORD_BYTES,
    MalformedBatch,
    Record,
    unpack,
    unpack_fan_out,
    unpack_grouped,
)
from contracts.typed_data import fan_out_digest, payment_digest
from wallet_node.intents.movements import Kind, Movement, Movements, Setting
from wallet_node.keystore.signatures import expand
from wallet_node.keystore.software_key import recover


def settle(setting: Setting, arguments: Mapping[str, Any]) -> Movements:
    """What a batch of flat records pays. Raises MalformedBatch."""
    return _records(setting, unpack(arguments["records"]), arguments["validBefore"])


def settle_grouped(setting: Setting, arguments: Mapping[str, Any]) -> Movements:
    """What a batch grouped by payee pays. Raises MalformedBatch."""
    packed: bytes = arguments["groups"]
    groups, flat = unpack_grouped(packed)
    size = sum(GROUP_HEAD_BYTES + GROUPED_RECORD_BYTES * len(group) for group in groups)
    size += GROUP_HEAD_BYTES + RECORD_BYTES * len(flat) if flat else 0
    if size != len(packed):
        raise MalformedBatch("a head of zeros ends the groups, and no record follows it")
    records = [record for group in groups for record in group] + flat
    return _records(setting, records, arguments["validBefore"])


def _records(setting: Setting, records: list[Record], valid_before_s: int) -> Movements:
    if not records:
        raise MalformedBatch("a batch has at least one record")
    return tuple(
        Movement(
            Kind.PAYMENT,
            _record_payer(setting, record, valid_before_s),
            record.payee,
            record.amount_minor,
            valid_before_s,
            {"nonce": record.nonce},
        )
        for record in records
    )


def _record_payer(setting: Setting, record: Record, valid_before_s: int) -> bytes | None:
    if setting.separator is None:
        return None
    digest = payment_digest(
        setting.separator, record.payee, record.amount_minor, record.nonce, valid_before_s
    )
    return _signer(digest, record.r + record.vs)


def settle_fan_out(setting: Setting, arguments: Mapping[str, Any]) -> Movements:
    """What a fan-out pays. Raises MalformedBatch."""
    packed: bytes = arguments["payments"]
    nonce, valid_before_s = arguments["nonce"], arguments["validBefore"]
    payer = None
    if setting.separator is not None:
        digest = fan_out_digest(setting.separator, packed, nonce, valid_before_s)
        payer = _signer(digest, arguments["r"] + arguments["vs"])
    return fan_out_movements(payer, packed, nonce, valid_before_s)


def fan_out_movements(payer: bytes | None, packed: bytes, nonce: int, valid_before_s: int) -> Movements:
    """One payment for each entry of packed bytes. Raises MalformedBatch."""
    entries = unpack_fan_out(packed)
    if not entries:
        raise MalformedBatch("a fan-out has at least one payment")
    return tuple(
        Movement(Kind.PAYMENT, payer, entry.payee, entry.amount_minor, valid_before_s, {"nonce": nonce})
        for entry in entries
    )


def _signer(digest: bytes, compacted: bytes) -> bytes:
    try:
        return recover(digest, expand(compacted))
    except Exception as error:  # coincurve raises Exception itself
        raise MalformedBatch("a record's signature is nobody's") from error
