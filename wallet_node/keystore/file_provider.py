"""The provider over the encrypted file keystore: named keys in memory, customers' derived and cached."""

from collections.abc import Collection, Mapping, Sequence
from itertools import islice

from wallet_node.keystore.derivation import CUSTOMER_PATH, HARDENED, ExtendedKey
from wallet_node.keystore.files import Secrets
from wallet_node.keystore.provider import SigningKey
from wallet_node.keystore.software_key import SoftwareKey
from wallet_node.store import Store

_CACHED_KEYS = 32_768


class FileKeyProvider:
    """A KeyProvider. The store remembers which indices were handed out; the seed makes their keys."""

    def __init__(self, secrets: Secrets, store: Store) -> None:
        self._keys = dict(secrets.named)
        self._names = {key.address: name for name, key in self._keys.items()}
        self._parent = ExtendedKey.from_seed(secrets.seed).descend(CUSTOMER_PATH)
        self._store = store
        self._cache: dict[bytes, SoftwareKey] = {}
        self._derived_count: int = store.query("SELECT count(*) FROM derived_keys")[0][0]

    @property
    def named(self) -> Mapping[str, bytes]:
        return {name: key.address for name, key in self._keys.items()}

    @property
    def derived_count(self) -> int:
        return self._derived_count

    def name_of(self, address: bytes) -> str | None:
        return self._names.get(address)

    def named_key(self, name: str) -> SigningKey:
        return self._keys[name]

    def derive(self, indices: Sequence[int]) -> list[bytes]:
        wanted = list(dict.fromkeys(indices))
        rows = self._store.query_in(
            "SELECT key_index, address FROM derived_keys WHERE key_index IN (#)", wanted
        )
        known: dict[int, bytes] = dict(rows)
        fresh = {index: self._key_at(index) for index in wanted if index not in known}
        if fresh:
            with self._store.transaction() as connection:
                connection.executemany(
                    "INSERT INTO derived_keys (key_index, address) VALUES (?, ?)",
                    [(index, key.address) for index, key in fresh.items()],
                )
            self._derived_count += len(fresh)
            for index, key in fresh.items():
                known[index] = key.address
                self._remember(key)
        return [known[index] for index in indices]

    def own_addresses(self, addresses: Collection[bytes]) -> set[bytes]:
        own = {address for address in addresses if address in self._cache}
        own.update(address for address, _ in self._indices([a for a in addresses if a not in own]))
        return own

    def customer_keys(self, addresses: Collection[bytes]) -> dict[bytes, SigningKey]:
        keys: dict[bytes, SigningKey] = {a: self._cache[a] for a in addresses if a in self._cache}
        for address, index in self._indices([a for a in addresses if a not in keys]):
            key = self._key_at(index)
            # The store is not encrypted: an edited row must not make this key sign for another account.
            if key.address == address:
                self._remember(key)
                keys[address] = key
        return keys

    def _indices(self, addresses: Sequence[bytes]) -> list[tuple[bytes, int]]:
        if not addresses:
            return []
        return self._store.query_in(
            "SELECT address, key_index FROM derived_keys WHERE address IN (#)", addresses
        )

    def _key_at(self, index: int) -> SoftwareKey:
        return SoftwareKey(self._parent.child(HARDENED + index).secret)

    def _remember(self, key: SoftwareKey) -> None:
        if len(self._cache) >= _CACHED_KEYS:
            for address in list(islice(self._cache, _CACHED_KEYS // 8)):
                del self._cache[address]
        self._cache[key.address] = key
