"""Ethereum V3 key files ("Web3 Secret Storage Definition", version 3): one key, sealed by a password.

eth-keyfile does the cryptography; here is what surrounds it: terms that no wallet writes are refused before
they cost memory, and the address is derived and compared, both ways.
"""

import json
from typing import Annotated, Any, Literal

import msgspec

from wallet_node.errors import KeyAddressDiffers, KeyFileUnusable, WrongKeyFilePassword
from wallet_node.keystore.software_key import SoftwareKey

Kdf = Literal["scrypt", "pbkdf2"]
_MOST_SCRYPT_BYTES = 2**30
_MOST_SCRYPT_WORK = 2**25  # n * r * p; the usual wallets write 2^21
_MOST_ROUNDS = 10_000_000
_LONGEST_FILE = 65_536

_Hex = Annotated[str, msgspec.Meta(pattern=r"\A(?:0x)?(?:[0-9a-fA-F]{2}){1,64}\Z")]
_Hex32 = Annotated[str, msgspec.Meta(pattern=r"\A(?:0x)?[0-9a-fA-F]{64}\Z")]
_Hex16 = Annotated[str, msgspec.Meta(pattern=r"\A(?:0x)?[0-9a-fA-F]{1,32}\Z")]
_Address = Annotated[str, msgspec.Meta(pattern=r"\A(?:0x)?[0-9a-fA-F]{40}\Z")]


class _Scrypt(msgspec.Struct, frozen=True):
    n: Annotated[int, msgspec.Meta(ge=2, le=2**24)]
    r: Annotated[int, msgspec.Meta(ge=1, le=1_024)]
    p: Annotated[int, msgspec.Meta(ge=1, le=64)]
    dklen: Literal[32]
    salt: _Hex


class _Pbkdf2(msgspec.Struct, frozen=True):
    c: Annotated[int, msgspec.Meta(ge=1, le=_MOST_ROUNDS)]
    prf: Literal["hmac-sha256"]
    dklen: Literal[32]
    salt: _Hex


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
    address: _Address | Literal[""] | None = None


def open_key_file(content: bytes, password: bytes, address: str | None = None) -> bytes:
    """The 32 bytes of the key in a V3 file. `address` is what the caller expects, if anything.

    Raises KeyFileUnusable, WrongKeyFilePassword or KeyAddressDiffers.
    """
    from eth_keyfile.keyfile import decode_keyfile_json

    document = _checked(content)
    try:
        secret: bytes = decode_keyfile_json(document, password)
    except ValueError:
        raise WrongKeyFilePassword(
            "the password does not open the key file: it is another one's, or the file was altered"
        ) from None
    try:
        derived = SoftwareKey(secret).address.hex()
    except ValueError:
        raise KeyFileUnusable("what the key file holds is no private key") from None
    for said in (document.get("address"), address):
        if said and said.lower().removeprefix("0x") != derived:
            raise KeyAddressDiffers(f"the key belongs to 0x{derived}, not to {said}")
    return secret


def make_key_file(key: SoftwareKey, password: bytes, kdf: Kdf = "scrypt") -> bytes:
    """A V3 file of a key, opened again and compared before it is handed out."""
    from eth_keyfile.keyfile import create_keyfile_json

    document: dict[str, Any] = create_keyfile_json(key.secret, password, kdf=kdf)
    document["address"] = key.address.hex()
    content = json.dumps(document, indent=2).encode() + b"\n"
    if open_key_file(content, password, key.address.hex()) != key.secret:
        raise KeyAddressDiffers("the written key file does not give the key back")
    return content


def _checked(content: bytes) -> dict[str, Any]:
    """The document with lower-case names, as wallets differ ("Crypto"), when it is one of today's."""
    if len(content) > _LONGEST_FILE:
        raise KeyFileUnusable("a key file is not that long")
    try:
        document = _lower(msgspec.json.decode(content, type=dict[str, Any]))
        crypto = msgspec.convert(document, _KeyFile).crypto
        if crypto.kdf == "scrypt":
            terms = msgspec.convert(crypto.kdfparams, _Scrypt)
            work = terms.n * terms.r * terms.p
            if 128 * terms.n * terms.r > _MOST_SCRYPT_BYTES or work > _MOST_SCRYPT_WORK:
                raise KeyFileUnusable("the key file asks for more scrypt than any wallet writes")
            if terms.n & (terms.n - 1):
                raise KeyFileUnusable("scrypt's n is a power of two")
        else:
            msgspec.convert(crypto.kdfparams, _Pbkdf2)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise KeyFileUnusable(f"not an Ethereum V3 key file: {error}") from None
    return document


def _lower(document: dict[str, Any]) -> dict[str, Any]:
    return {
        name.lower(): _lower(value) if isinstance(value, dict) else value for name, value in document.items()
    }
