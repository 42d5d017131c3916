"""py-evm's key-value store over the chain's file."""

from eth.db.backends.base import BaseDB

from scripts.chain.store import ChainStore

CACHE_ENTRIES = 200_000


class NodeCache:
    """Recent nodes, in two generations so that forgetting is cheap. Content-addressed, hence never stale."""

    def __init__(self, entries: int = CACHE_ENTRIES) -> None:
        self._entries = entries
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """The value, when it is still here."""
        value = self._young.get(key)
        return self._old.get(key) if value is None else value

    def put(self, key: bytes, value: bytes) -> None:
        """Remember a value."""
        self._young[key] = value
        if len(self._young) >= self._entries:
            self._old, self._young = self._young, {}


class NodeDatabase(BaseDB):  # type: ignore[misc]  # py-evm is untyped
    """Reads through the cache to the file; keeps writes until the block that made them is stored."""

    def __init__(self, store: ChainStore, cache: NodeCache) -> None:
        self._store = store
        self._cache = cache
        self.pending: dict[bytes, bytes] = {}

    def __getitem__(self, key: bytes) -> bytes:
        value = self._find(key)
        if value is None:
            raise KeyError(key)
        return value

    def _exists(self, key: bytes) -> bool:
        return self._find(key) is not None

    def _find(self, key: bytes) -> bytes | None:
        value = self.pending.get(key)
        if value is None:
            value = self._cache.get(key)
        if value is None:
            value = self._store.node(key)
            if value is not None:
                self._cache.put(key, value)
        return value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self.pending[key] = value

    def __delitem__(self, key: bytes) -> None:
        self.pending.pop(key, None)  # a node already stored may serve an older root

    def keep(self) -> None:
        """The pending writes are stored: move them to the cache."""
        for key, value in self.pending.items():
            self._cache.put(key, value)
        self.pending = {}

    def discard(self) -> None:
        """Forget the pending writes."""
        self.pending = {}
