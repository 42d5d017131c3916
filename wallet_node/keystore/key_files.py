"""Ethereum V3 key files ("Web3 Secret Storage Definition", version 3): one key, sealed by a password.

Terms that no wallet writes are refused before they cost memory, and the address is derived and compared, both
ways: the file's MAC is over the ciphertext only, so an altered iv would give another key.
"""

import hashlib
import hmac
import os
import uuid
from typing import Annotated, Any, Literal

import msgspec
import sha3
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from wallet_node.errors import KeyAddressDiffers, KeyFileUnusable, WrongKeyFilePassword
from wallet_node.keystore.software_key import SoftwareKey

Kdf = Literal["scrypt", "pbkdf2"]
SCRYPT_N = 2**18
PBKDF2_ROUNDS = 1_000_000
_MOST_SCRYPT_BYTES = 2**30
_MOST_SCRYPT_WORK = 2**25  # n * r * p; the usual wallets write 2^21
_MOST_ROUNDS = 10_000_000
_LONGEST_FILE = 65_536

_Hex = Annotated[str, msgspec.Meta(pattern=r"\A(?:0x)?(?:[0-9a-fA-F]{2}){1,64}\Z")]
_Hex32 = Annotated[str, msgspec.Meta(pattern=r"\A(?:0x)?[0-9a-fA-F]{64}\Z")]
_Hex16 = Annotated[str, msgspec.Meta(pattern=r"\A(?:0x)?[0-9a-fA-F]{32}\Z")]
_Address = Annotated[str, msgspec.Meta(pattern=r"\A(?:(?:0x)?[0-9a-fA-F]{40})?\Z")]


class _Scrypt(msgspec.Struct, frozen=True):
    n: Annotated[int, msgspec.Meta(ge=2, le=2**24)]
    r: Annotated[int, msgspec.Meta(ge=1, le=1_024)]
    p: Annotated[int, msgspec.Meta(ge=1, le=64)]
    dklen: Literal[32]
    salt: _Hex

    def stretch(self, password: bytes) -> bytes:
        salt = _bytes(self.salt)
        if self.n >= 1 << (16 * self.r):
            return _unbounded_scrypt(password, salt, self)
        memory = 128 * self.r * (self.n + self.p + 2) + 2**20
        return hashlib.scrypt(password, salt=salt, n=self.n, r=self.r, p=self.p, maxmem=memory, dklen=32)


class _Pbkdf2(msgspec.Struct, frozen=True):
    c: Annotated[int, msgspec.Meta(ge=1, le=_MOST_ROUNDS)]
    prf: Literal["hmac-sha256"]
    dklen: Literal[32]
    salt: _Hex

    def stretch(self, password: bytes) -> bytes:
        return hashlib.pbkdf2_hmac("sha256", password, _bytes(self.salt), self.c, 32)


class _CipherTerms(msgspec.Struct, frozen=True):
    iv: _Hex16


class _Crypto(msgspec.Struct, frozen=True):
    cipher: Literal["aes-128-ctr"]
    ciphertext: _Hex32
    cipherparams: _CipherTerms
    kdf: Kdf
    kdfparams: dict[str, Any]
    mac: _Hex32


class _KeyFile(msgspec.Struct, frozen=True):
    version: Literal[3]
    crypto: _Crypto
    address: _Address | None = None


def open_key_file(content: bytes, password: bytes, address: str | None = None) -> bytes:
    """The 32 bytes of the key in a V3 file. `address` is what the caller expects, if anything.

    Raises KeyFileUnusable, WrongKeyFilePassword or KeyAddressDiffers.
    """
    file, terms = _read(content)
    ciphertext = _bytes(file.crypto.ciphertext)
    stretched = terms.stretch(password)
    if not hmac.compare_digest(_mac(stretched, ciphertext), _bytes(file.crypto.mac)):
        raise WrongKeyFilePassword(
            "the password does not open the key file: it is another one's, or the file was altered"
        )
    secret = _cipher(stretched, _bytes(file.crypto.cipherparams.iv), ciphertext)
    try:
        derived = SoftwareKey(secret).address.hex()
    except ValueError:
        raise KeyFileUnusable("what the key file holds is no private key") from None
    for said in (file.address, address):
        if said and said.lower().removeprefix("0x") != derived:
            raise KeyAddressDiffers(f"the key belongs to 0x{derived}, not to {said}")
    return secret


def make_key_file(key: SoftwareKey, password: bytes, kdf: Kdf = "scrypt", work: int | None = None) -> bytes:
    """A V3 file of a key, opened again and compared before it is handed out. `work` is scrypt's n or PBKDF2's
    rounds, 2^18 or a million.
    """
    salt, iv = os.urandom(32).hex(), os.urandom(16)
    terms: _Scrypt | _Pbkdf2
    if kdf == "scrypt":
        terms = _Scrypt(work or SCRYPT_N, 8, 1, 32, salt)
    else:
        terms = _Pbkdf2(work or PBKDF2_ROUNDS, "hmac-sha256", 32, salt)
    stretched = terms.stretch(password)
    ciphertext = _cipher(stretched, iv, key.secret)
    document = {
        "version": 3,
        "id": str(uuid.uuid4()),
        "address": key.address.hex(),
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": iv.hex()},
            "ciphertext": ciphertext.hex(),
            "kdf": kdf,
            "kdfparams": msgspec.to_builtins(terms),
            "mac": _mac(stretched, ciphertext).hex(),
        },
    }
    content = msgspec.json.format(msgspec.json.encode(document)) + b"\n"
    if open_key_file(content, password, key.address.hex()) != key.secret:
        raise KeyAddressDiffers("the written key file does not give the key back")
    return content


def _read(content: bytes) -> tuple[_KeyFile, _Scrypt | _Pbkdf2]:
    """The file and how its password is stretched, when it is one of today's."""
    if len(content) > _LONGEST_FILE:
        raise KeyFileUnusable("a key file is not that long")
    try:
        file = msgspec.convert(_lower(msgspec.json.decode(content, type=dict[str, Any])), _KeyFile)
        if file.crypto.kdf == "pbkdf2":
            return file, msgspec.convert(file.crypto.kdfparams, _Pbkdf2)
        terms = msgspec.convert(file.crypto.kdfparams, _Scrypt)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise KeyFileUnusable(f"not an Ethereum V3 key file: {error}") from None
    work = terms.n * terms.r * terms.p
    if 128 * terms.n * terms.r > _MOST_SCRYPT_BYTES or work > _MOST_SCRYPT_WORK:
        raise KeyFileUnusable("the key file asks for more scrypt than any wallet writes")
    if terms.n & (terms.n - 1):
        raise KeyFileUnusable("scrypt's n is a power of two")
    return file, terms


def _unbounded_scrypt(password: bytes, salt: bytes, terms: _Scrypt) -> bytes:
    """Terms outside n < 2^(16 r) (RFC 7914 §2), which OpenSSL refuses and the format's own vector uses."""
    from Crypto.Protocol.KDF import scrypt  # eth-account brings it

    text, salt_text = password.decode("latin-1"), salt.decode("latin-1")
    stretched = scrypt(text, salt_text, key_len=32, N=terms.n, r=terms.r, p=terms.p)
    assert isinstance(stretched, bytes)
    return stretched


def _mac(stretched: bytes, ciphertext: bytes) -> bytes:
    digest: bytes = sha3.keccak_256(stretched[16:] + ciphertext).digest()
    return digest


def _cipher(stretched: bytes, iv: bytes, content: bytes) -> bytes:
    """AES-128 in counter mode: the same both ways."""
    return Cipher(AES(stretched[:16]), CTR(iv)).encryptor().update(content)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _lower(document: dict[str, Any]) -> dict[str, Any]:
    return {
        name.lower(): _lower(value) if isinstance(value, dict) else value for name, value in document.items()
    }
