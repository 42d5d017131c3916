"""The payments of a batch from the call that made it: for a deployment whose batches emit no Transfer."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from eth_hash.auto import keccak

from contracts.abi import SELECTORS
from contracts.batch import MalformedBatch, Record, SkipReason, unpack, unpack_fan_out, unpack_grouped
from contracts.typed_data import PaymentDomain, fan_out_digest, payment_digest


class ExecutedPayment(NamedTuple):
    """What a Transfer of the batch would have told. Addresses have 20 bytes."""

    payer: bytes
    payee: bytes
    amount_minor: int


class NotABatch(ValueError):
    """The call is none of settle, settleGrouped and settleFanOut."""

    code = "NotABatch"


def decode_batch(
    calldata: bytes, skipped: Mapping[int, SkipReason], domain: PaymentDomain
) -> list[ExecutedPayment]:
    """Return what a successful batch paid, in the order in which it was paid.

    ``skipped`` is what the transaction's Skipped event says (contracts.events), empty where there was none.
    What a payee could not hold and passed on is not among these payments: Waterfall tells of it in every
    deployment. Raises NotABatch, and MalformedBatch for a call that could not have succeeded.
    """
    reader = _READERS.get(calldata[:4])
    if reader is None:
        raise NotABatch(f"no batch is called by the selector 0x{calldata[:4].hex()}")
    return reader(calldata[4:], skipped, domain.separator)


Reader = Callable[[bytes, Mapping[int, SkipReason], bytes], list[ExecutedPayment]]


def _read_flat(
    arguments: bytes, skipped: Mapping[int, SkipReason], separator: bytes
) -> list[ExecutedPayment]:
    return _signed_one_by_one(unpack(_bytes_at_first_offset(arguments)), arguments, skipped, separator)


def _read_grouped(
    arguments: bytes, skipped: Mapping[int, SkipReason], separator: bytes
) -> list[ExecutedPayment]:
    groups, flat = unpack_grouped(_bytes_at_first_offset(arguments))
    records = [each for group in groups for each in group] + flat
    return _signed_one_by_one(records, arguments, skipped, separator)


def _signed_one_by_one(
    records: list[Record], arguments: bytes, skipped: Mapping[int, SkipReason], separator: bytes
) -> list[ExecutedPayment]:
    valid_before_s = _integer(arguments, 1)
    _require_known(skipped, len(records))
    return [
        ExecutedPayment(
            _signer(
                payment_digest(separator, each.payee, each.amount_minor, each.nonce, valid_before_s),
                each.r,
                each.vs,
            ),
            each.payee,
            each.amount_minor,
        )
        for index, each in enumerate(records)
        if index not in skipped
    ]


def _read_fan_out(
    arguments: bytes, skipped: Mapping[int, SkipReason], separator: bytes
) -> list[ExecutedPayment]:
    packed = _bytes_at_first_offset(arguments)
    entries = unpack_fan_out(packed)
    _require_known(skipped, len(entries))
    digest = fan_out_digest(separator, packed, _integer(arguments, 1), _integer(arguments, 2))
    payer = _signer(digest, arguments[96:128], arguments[128:160])
    return [
        ExecutedPayment(payer, each.payee, each.amount_minor)
        for index, each in enumerate(entries)
        if index not in skipped
    ]


_READERS: dict[bytes, Reader] = {
    SELECTORS["settle(bytes,uint64)"]: _read_flat,
    SELECTORS["settleGrouped(bytes,uint64)"]: _read_grouped,
    SELECTORS["settleFanOut(bytes,uint32,uint64,bytes32,bytes32)"]: _read_fan_out,
}


def _require_known(skipped: Mapping[int, SkipReason], count: int) -> None:
    if any(index >= count for index in skipped):
        raise MalformedBatch(f"record {max(skipped)} was skipped, and there are {count}")


def _integer(arguments: bytes, index: int) -> int:
    return int.from_bytes(arguments[32 * index : 32 * index + 32], "big")


def _bytes_at_first_offset(arguments: bytes) -> bytes:
    """The argument of type bytes, wherever the caller put it: the ABI allows any place."""
    start = _integer(arguments, 0) + 32
    length = int.from_bytes(arguments[start - 32 : start], "big")
    if start + length > len(arguments):
        raise MalformedBatch("the call ends before its records do")
    return arguments[start : start + length]


def _signer(digest: bytes, r: bytes, vs: bytes) -> bytes:
    """The address that ecrecover gives. Raises MalformedBatch where it gives none."""
    from coincurve import PublicKey

    signature = r + bytes([vs[0] & 0x7F]) + vs[1:] + bytes([vs[0] >> 7])
    try:
        key = PublicKey.from_signature_and_message(signature, digest, hasher=None)
    except Exception as error:  # coincurve raises Exception itself
        raise MalformedBatch("a record that was not skipped has no signer") from error
    return keccak(key.format(compressed=False)[1:])[12:]
