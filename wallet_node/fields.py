"""What the fields of requests may hold, as text at the edge, and the bytes behind them."""

from functools import lru_cache
from typing import Annotated

import msgspec

from contracts import base64url
from contracts.access_lists import MAX_LISTED_ACCOUNTS
from wallet_node.errors import MalformedRequest

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
Place = Annotated[int, msgspec.Meta(ge=1, le=MAXIMUM_INTEGER)]
ChainId = Annotated[int, msgspec.Meta(ge=1, le=MAXIMUM_INTEGER)]
KeyIndex = Annotated[int, msgspec.Meta(ge=0, le=MAXIMUM_KEY_INDEX)]
DomainName = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Signature64 = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{85}[AQgw]\Z")]
"""64 bytes as base64url."""


@lru_cache(maxsize=65_536)
def address_bytes(address: str) -> bytes:
    """The 20 bytes of an already checked address."""
    return bytes.fromhex(address[2:])


def identifier_bytes(identifier: str) -> bytes:
    """The 16 bytes of an already checked UUID."""
    return bytes.fromhex(identifier.replace("-", ""))


def signature_bytes(text: str) -> bytes:
    """The bytes of base64url text. Raises MalformedRequest."""
    try:
        return base64url.decode(text)
    except ValueError:
        raise MalformedRequest("signature is base64url without padding") from None
