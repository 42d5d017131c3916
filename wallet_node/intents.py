"""The closed set of things that the node can be asked for: payments, one transaction, derived keys.

There is no intent that carries a bare digest. Addresses and data are hex text at this edge and bytes behind
it.
"""

from functools import lru_cache
from typing import Annotated

import msgspec

from contracts.access_lists import MAX_LISTED_ACCOUNTS

MAXIMUM_BATCH = 1_000
MAXIMUM_AMOUNT_MINOR = 2**40 - 1  # five bytes of a packed record
MAXIMUM_PAYMENT_NONCE = 2**32 - 2  # four bytes, and the contract stores nonce + 1 in as many
MAXIMUM_TIME_S = 2**40 - 1
MAXIMUM_INTEGER = 2**63 - 1
MAXIMUM_KEY_INDEX = 2**31 - 1
MAXIMUM_DATA_BYTES = 1_500_000

# \Z and not $: $ also matches before a trailing newline.
Address = Annotated[str, msgspec.Meta(pattern=r"\A0x[0-9a-fA-F]{40}\Z")]
Identifier = Annotated[
    str, msgspec.Meta(pattern=r"\A[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
]
KeyName = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_-]{0,31}\Z")]
HexData = Annotated[
    str, msgspec.Meta(pattern=r"\A0x(?:[0-9a-fA-F]{2})*\Z", max_length=2 + 2 * MAXIMUM_DATA_BYTES)
]
PackedAddresses = Annotated[
    str,
    msgspec.Meta(pattern=r"\A0x(?:[0-9a-fA-F]{40})*\Z", max_length=2 + 40 * MAX_LISTED_ACCOUNTS),
]
Amount = Annotated[int, msgspec.Meta(ge=0, le=MAXIMUM_AMOUNT_MINOR)]
Time = Annotated[int, msgspec.Meta(ge=1, le=MAXIMUM_TIME_S)]
Attempt = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
PaymentNonce = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
Integer = Annotated[int, msgspec.Meta(ge=0, le=MAXIMUM_INTEGER)]
ChainId = Annotated[int, msgspec.Meta(ge=1, le=MAXIMUM_INTEGER)]
KeyIndex = Annotated[int, msgspec.Meta(ge=0, le=MAXIMUM_KEY_INDEX)]
DomainName = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class Payment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One payment to sign. `nonce_floor` is the payer's nonce on chain as the caller last saw it."""

    payment_id: Identifier
    attempt: Attempt
    payer: Address
    payee: Address
    amount_minor: Amount
    nonce_floor: PaymentNonce


class PaymentBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Up to 1,000 payments that share one deployment and one `valid_before_s`."""

    chain_id: Integer
    contract: Address
    domain_name: DomainName
    valid_before_s: Time
    payments: Annotated[tuple[Payment, ...], msgspec.Meta(min_length=1, max_length=MAXIMUM_BATCH)]


class Transaction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One EIP-1559 transaction of an institutional key.

    `listed_accounts` are the token's accounts whose storage its access list names, 20 bytes after 20 bytes in
    ascending order; none, no list.
    """

    transaction_id: Identifier
    key: KeyName
    chain_id: Integer
    to: Address
    value: Integer
    data: HexData
    gas: Annotated[int, msgspec.Meta(ge=21_000, le=MAXIMUM_INTEGER)]
    max_fee_per_gas: Integer
    max_priority_fee_per_gas: Integer
    nonce_floor: Integer
    listed_accounts: PackedAddresses = "0x"


class Derivation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Customer keys to derive, by index."""

    indices: Annotated[tuple[KeyIndex, ...], msgspec.Meta(min_length=1, max_length=MAXIMUM_BATCH)]


@lru_cache(maxsize=65_536)
def address_bytes(address: str) -> bytes:
    """The 20 bytes of an already checked address."""
    return bytes.fromhex(address[2:])


def identifier_bytes(identifier: str) -> bytes:
    """The 16 bytes of an already checked UUID."""
    return bytes.fromhex(identifier.replace("-", ""))
