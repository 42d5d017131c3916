"""What a keystore offers, whatever holds the keys: a file, a token, a cloud service."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol


class SigningKey(Protocol):
    """One key. It signs digests that this node computed itself; no caller ever hands one in."""

    @property
    def address(self) -> bytes:
        """The 20-byte account address."""
        ...

    def sign_digest(self, digest: bytes) -> bytes:
        """Sign 32 bytes: r 32 | s 32 | recovery id 1; low-s (EIP-2), and RFC 6979 for software keys."""
        ...


class KeyProvider(Protocol):
    """All keys of one node."""

    @property
    def named(self) -> Mapping[str, bytes]:
        """Addresses of the institutional keys, by name."""
        ...

    @property
    def derived_count(self) -> int:
        """How many customer keys have been handed out."""
        ...

    def name_of(self, address: bytes) -> str | None:
        """The institutional key with this address, if there is one."""
        ...

    def named_key(self, name: str) -> SigningKey:
        """An institutional key. Raises KeyError."""
        ...

    def derive(self, indices: Sequence[int]) -> list[bytes]:
        """The addresses of customer keys, in the order asked; each is remembered before it is returned."""
        ...

    def own_addresses(self, addresses: Collection[bytes]) -> set[bytes]:
        """Those of `addresses` that this node derived."""
        ...

    def customer_keys(self, addresses: Collection[bytes]) -> dict[bytes, SigningKey]:
        """The keys of derived addresses; an address that was never derived is absent."""
        ...
