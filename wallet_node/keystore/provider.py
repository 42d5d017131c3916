"""What a keystore offers, whatever holds the keys: a file, a token, a cloud service."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from wallet_node.keystore.seals import Seals

K_contra = TypeVar("K_contra", contravariant=True)


class SigningKey(Protocol):
    """One key. It signs digests that this node computed itself; no caller ever hands one in."""

    @property
    def address(self) -> bytes:
        """The 20-byte account address."""
        ...

    def sign_digest(self, digest: bytes) -> bytes:
        """Sign 32 bytes: r 32 | s 32 | recovery id 1; low-s (EIP-2). The same digest gives the same bytes,
        by RFC 6979 for software keys, by remembering for the others.
        """
        ...


class SignatureProvider(Protocol[K_contra]):
    """Something that holds keys and gives bare signatures; `signing.ProviderKey` makes them what a
    SigningKey promises.
    """

    def sign_digest(self, key: K_contra, digest: bytes) -> tuple[int, int]:
        """(r, s) of the ECDSA signature over 32 bytes, s high or low, not remembered. Raises
        TokenUnavailable.
        """
        ...


class Derived(msgspec.Struct, frozen=True):
    """Addresses in the order asked, and what must be written before anybody hears of them."""

    addresses: list[bytes]
    changes: list[tuple[str, Sequence[tuple[Any, ...]]]]
    """Statements and their rows, for the caller's own transaction (`journal.Page.changes`)."""


class KeyProvider(Protocol):
    """All keys of one node."""

    seals: Seals
    """For rows that must be this node's own."""

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

    def derive(self, indices: Sequence[int]) -> Derived:
        """The addresses of customer keys. The caller writes the changes before it tells an address; until
        then no key of this answer signs. A second `derive` of the same indices comes after that.
        """
        ...

    def own_addresses(self, addresses: Collection[bytes]) -> set[bytes]:
        """Those of `addresses` that this node derived."""
        ...

    def customer_keys(self, addresses: Collection[bytes]) -> dict[bytes, SigningKey]:
        """The keys of derived addresses; an address that was never derived is absent."""
        ...
