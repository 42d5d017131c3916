"""A key whose signatures differ from call to call, made to repeat itself."""

from wallet_node.errors import SignatureCheckFailed
from wallet_node.keystore.provider import SigningKey
from wallet_node.keystore.software_key import recover
from wallet_node.store import Store


class RememberedKey:
    """A SigningKey over another one that draws its nonces at random, as tokens do.

    The journal promises the same bytes for the same attempt. So the first signature over a digest is durable
    before it leaves, and is the answer for ever. What is read back is verified: the store is not encrypted.
    """

    def __init__(self, key: SigningKey, store: Store) -> None:
        self.afresh = key
        """The key itself, for the self-test, which must reach the token."""
        self._store = store

    @property
    def address(self) -> bytes:
        return self.afresh.address

    def sign_digest(self, digest: bytes) -> bytes:
        """As in SigningKey. Raises TokenUnavailable, JournalUnavailable or SignatureCheckFailed."""
        found = self._store.query(
            "SELECT signature FROM token_signatures WHERE address = ? AND digest = ?", (self.address, digest)
        )
        if found:
            signature: bytes = found[0][0]
            if not _is_of(self.address, digest, signature):
                raise SignatureCheckFailed(f"a stored signature of 0x{self.address.hex()} was altered")
            return signature
        signature = self.afresh.sign_digest(digest)
        with self._store.transaction() as connection:
            connection.execute(
                "INSERT INTO token_signatures VALUES (?, ?, ?)", (self.address, digest, signature)
            )
        return signature


def _is_of(address: bytes, digest: bytes, signature: bytes) -> bool:
    try:
        return recover(digest, signature) == address
    except ValueError:
        return False
