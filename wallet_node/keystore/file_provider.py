"""The provider over an unlocked keystore: named keys as they came, customers' derived and cached."""

import hmac
from collections.abc import Collection, Mapping, Sequence
from itertools import islice

from wallet_node.keystore.derivation import CUSTOMER_PATH, HARDENED, SEAL_PATH, ExtendedKey
from wallet_node.keystore.files import Secrets
from wallet_node.keystore.provider import Derived, SigningKey
from wallet_node.keystore.remembered import RememberedKey
from wallet_node.keystore.seals import Seals
from wallet_node.keystore.software_key import SoftwareKey
from wallet_node.store import Store

_CACHED_KEYS = 65_536  # about half a kilobyte each
_SEAL_BYTES = 16
_INSERT = "INSERT INTO derived_keys (key_index, address, seal) VALUES (?, ?, ?)"


class FileKeyProvider:
    """A KeyProvider. The store remembers which indices were handed out; the seed makes their keys.

    The store is not encrypted, and a row that somebody edited must not make a key sign for another account.
    So each row has a seal, an HMAC under a key from the seed: checking it costs a fiftieth of the public key
    that would show the same. A row without one (an older store's) is checked by its public key.
    """

    def __init__(self, secrets: Secrets, store: Store) -> None:
        self._keys: dict[str, SigningKey] = {
            name: RememberedKey(key, store) if secrets.origins.get(name) == "token" else key
            for name, key in secrets.named.items()
        }
        self._names = {key.address: name for name, key in self._keys.items()}
        root = ExtendedKey.from_seed(secrets.seed)
        self._parent = root.descend(CUSTOMER_PATH)
        self._seal_key = root.descend(SEAL_PATH).secret
        self.seals = Seals(self._seal_key)
        self._store = store
        self._add_seals()
        self._cache: dict[bytes, SoftwareKey] = {}
        self._fresh: dict[int, SoftwareKey] = {}  # by index: computed, perhaps not written yet
        self._derived_count = self._count()
        self._expected_count = self._derived_count

    @property
    def named(self) -> Mapping[str, bytes]:
        return {name: key.address for name, key in self._keys.items()}

    @property
    def derived_count(self) -> int:
        # Counting a million rows takes milliseconds: only when what was derived is not known to be written.
        if self._derived_count != self._expected_count:
            self._derived_count = self._count()
        return self._derived_count

    def name_of(self, address: bytes) -> str | None:
        return self._names.get(address)

    def named_key(self, name: str) -> SigningKey:
        return self._keys[name]

    def derive(self, indices: Sequence[int]) -> Derived:
        wanted = list(dict.fromkeys(indices))
        known: dict[int, bytes] = dict(
            self._store.query_in("SELECT key_index, address FROM derived_keys WHERE key_index IN (#)", wanted)
        )
        self._fresh = {index: self._key_at(index) for index in wanted if index not in known}
        rows = [(index, key.address, self._seal(index, key.address)) for index, key in self._fresh.items()]
        known.update((index, key.address) for index, key in self._fresh.items())
        self._expected_count = self.derived_count + len(rows)
        return Derived([known[index] for index in indices], [(_INSERT, rows)] if rows else [])

    def own_addresses(self, addresses: Collection[bytes]) -> set[bytes]:
        own = {address for address in addresses if address in self._cache}
        own.update(
            address
            for address, index, seal in self._rows([a for a in addresses if a not in own])
            if self._is_sealed(index, address, seal) or self._key_at(index).address == address
        )
        return own

    def customer_keys(self, addresses: Collection[bytes]) -> dict[bytes, SigningKey]:
        keys: dict[bytes, SigningKey] = {a: self._cache[a] for a in addresses if a in self._cache}
        for address, index, seal in self._rows([a for a in addresses if a not in keys]):
            key = self._fresh.pop(index, None)
            if key is None:
                is_sealed = self._is_sealed(index, address, seal)
                key = self._key_at(index, address if is_sealed else None)
            if key.address == address:
                self._remember(key)
                keys[address] = key
        return keys

    def _rows(self, addresses: Sequence[bytes]) -> list[tuple[bytes, int, bytes | None]]:
        if not addresses:
            return []
        return self._store.query_in(
            "SELECT address, key_index, seal FROM derived_keys WHERE address IN (#)", addresses
        )

    def _key_at(self, index: int, address: bytes | None = None) -> SoftwareKey:
        return SoftwareKey(self._parent.child(HARDENED + index).secret, address)

    def _seal(self, index: int, address: bytes) -> bytes:
        return hmac.digest(self._seal_key, index.to_bytes(4) + address, "sha256")[:_SEAL_BYTES]

    def _is_sealed(self, index: int, address: bytes, seal: bytes | None) -> bool:
        return seal is not None and hmac.compare_digest(seal, self._seal(index, address))

    def _count(self) -> int:
        count: int = self._store.query("SELECT count(*) FROM derived_keys")[0][0]
        return count

    def _remember(self, key: SoftwareKey) -> None:
        if len(self._cache) >= _CACHED_KEYS:
            for address in list(islice(self._cache, _CACHED_KEYS // 8)):
                del self._cache[address]
        self._cache[key.address] = key

    def _add_seals(self) -> None:
        """A store that was made before there were seals gets the column."""
        columns = {row[1] for row in self._store.query("PRAGMA table_info(derived_keys)")}
        if "seal" not in columns:
            with self._store.transaction() as connection:
                connection.execute("ALTER TABLE derived_keys ADD COLUMN seal BLOB")
