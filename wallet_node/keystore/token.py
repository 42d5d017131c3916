"""Keys in a PKCS#11 token (an HSM; SoftHSM2 in tests): made inside, and impossible to take out.

One token belongs to one institution, so a key's label is its name: after the home was lost, a restored one
finds its keys in the token by name. The module is loaded when it is first needed; a node without custody.toml
never imports it. OASIS PKCS #11 v2.40: §2.3.1 CKM_ECDSA, §2.12 AES-GCM.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pkcs11
from coincurve import PublicKey
from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11.exceptions import (
    ArgumentsBad,
    AttributeTypeInvalid,
    MultipleTokensReturned,
    NoSuchKey,
    NoSuchToken,
    PinIncorrect,
    PinInvalid,
    PinLenRange,
    PinLocked,
    PKCS11Error,
    UserAlreadyLoggedIn,
)

from wallet_node.errors import (
    KekRefused,
    TokenMisconfigured,
    TokenUnavailable,
    UnfitTokenKey,
)
from wallet_node.keystore.kek import DATA_KEY_BYTES, ByToken, Wrapped
from wallet_node.keystore.signatures import ProviderKey
from wallet_node.keystore.software_key import address_of

_SECP256K1 = bytes.fromhex("06052b8104000a")  # the OID 1.3.132.0.10 as CKA_EC_PARAMS has it (SEC 2 §A.2)
_CLAIMS = b"florin-keystore/2 data-key"
_WRONG_PIN = (PinIncorrect, PinInvalid, PinLenRange, PinLocked, ArgumentsBad)

# What makes a key one that was never outside: PKCS #11 v2.40 §4.4 and §4.9 (common private key attributes).
_INSIDE = {
    Attribute.SENSITIVE: True,
    Attribute.ALWAYS_SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.NEVER_EXTRACTABLE: True,
    Attribute.LOCAL: True,
}
_MADE_INSIDE = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}

T = TypeVar("T")


class Token:
    """A logged-in session with the one token of a node. A SignatureProvider, whose keys are their names."""

    def __init__(self, module: Path, label: str, pin: str) -> None:
        """Log in. Raises TokenMisconfigured; the PIN is tried once, since tokens count."""
        self._open_session: Callable[[], Any] = lambda: _open(module, label, pin)
        self._session = self._open_session()
        self._private: dict[str, Any] = {}

    def sign_digest(self, key: str, digest: bytes) -> tuple[int, int]:
        """(r, s) by CKM_ECDSA, which hashes nothing. Raises TokenUnavailable or UnfitTokenKey."""
        raw: bytes = self._asking(lambda: self._private_key(key).sign(digest, mechanism=Mechanism.ECDSA))
        if len(raw) != 64:
            raise TokenUnavailable(f"the token answered a signature of {len(raw)} bytes; 64 are r and s")
        return int.from_bytes(raw[:32]), int.from_bytes(raw[32:])

    def key(self, name: str) -> ProviderKey[str]:
        """A key that is in the token. Raises UnfitTokenKey or TokenUnavailable."""
        return ProviderKey(self, name, self._asking(lambda: self._address(name)))

    def make_key(self, name: str) -> ProviderKey[str]:
        """A secp256k1 key made inside and not extractable; one that is there already is taken. Raises
        UnfitTokenKey or TokenUnavailable.
        """
        self._asking(lambda: self._generate(name))
        return self.key(name)

    def wrap(self, data_key: bytes) -> ByToken:
        """A Kek's wrap, under a new AES key of the token: each wrapping has a KEK of its own."""

        def encrypt() -> ByToken:
            key_id, nonce = os.urandom(16), os.urandom(12)
            kek = self._session.generate_key(
                KeyType.AES,
                256,
                store=True,
                id=key_id,
                label="florin kek",
                capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
                template=_MADE_INSIDE,
            )
            _require_inside(kek, "the token's KEK")
            sealed = kek.encrypt(data_key, mechanism=Mechanism.AES_GCM, mechanism_param=_gcm(nonce))
            return ByToken(key_id, nonce, sealed)

        return self._asking(encrypt)

    def unwrap(self, wrapped: Wrapped) -> bytes:
        """A Kek's unwrap. Raises KekRefused, UnfitTokenKey or TokenUnavailable."""
        if not isinstance(wrapped, ByToken):
            raise KekRefused("this keystore is not guarded by a token; see its manifest")

        def find() -> Any:
            found = list(
                self._session.get_objects(
                    {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.ID: wrapped.key_id}
                )
            )
            if len(found) != 1:
                raise KekRefused(f"the token has {len(found)} keys with the KEK's id {wrapped.key_id.hex()}")
            return found[0]

        kek = self._asking(find)
        try:
            # not by _asking: some tokens say "general error" where the tag is wrong
            data_key: bytes = kek.decrypt(
                wrapped.ciphertext, mechanism=Mechanism.AES_GCM, mechanism_param=_gcm(wrapped.nonce)
            )
        except PKCS11Error:
            raise KekRefused(
                "the token's KEK does not open the data key: manifest.json was altered"
            ) from None
        if len(data_key) != DATA_KEY_BYTES:
            raise KekRefused("what the token unwrapped is no data key")
        return data_key

    def close(self) -> None:
        """Log out, if the token is still there."""
        with suppress(PKCS11Error):
            self._session.close()

    def _asking(self, ask: Callable[[], T]) -> T:
        """Ask the token; after a lost session once more in a new one."""
        try:
            return ask()
        except PKCS11Error:
            self._private.clear()
            with suppress(PKCS11Error):
                self._session.close()
        try:
            self._session = self._open_session()
            return ask()
        except (PKCS11Error, TokenMisconfigured) as error:
            raise TokenUnavailable(f"the token does not answer: {_told(error)}; nothing was signed") from None

    def _private_key(self, name: str) -> Any:
        if name not in self._private:
            found = _only(self._session, ObjectClass.PRIVATE_KEY, name)
            _require_inside(found, f"the key {name!r} in the token")
            self._private[name] = found
        return self._private[name]

    def _address(self, name: str) -> bytes:
        self._private_key(name)
        public = _only(self._session, ObjectClass.PUBLIC_KEY, name)
        if public[Attribute.EC_PARAMS] != _SECP256K1:
            raise UnfitTokenKey(f"the key {name!r} in the token is not on secp256k1")
        return address_of(_point(public[Attribute.EC_POINT], name))

    def _generate(self, name: str) -> None:
        if _found(self._session, ObjectClass.PRIVATE_KEY, name):
            return
        parameters = self._session.create_domain_parameters(
            KeyType.EC, {Attribute.EC_PARAMS: _SECP256K1}, local=True
        )
        parameters.generate_keypair(
            store=True,
            id=os.urandom(16),
            label=_label(name),
            capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
            private_template=_MADE_INSIDE,
        )


def _open(module: Path, label: str, pin: str) -> Any:
    try:
        token = pkcs11.lib(str(module)).get_token(token_label=label)
        try:
            return token.open(rw=True, user_pin=pin)
        except UserAlreadyLoggedIn:  # a login is the process's: another session of it has shown the PIN
            return token.open(rw=True)
    except (NoSuchToken, MultipleTokensReturned):
        raise TokenMisconfigured(f"there is not exactly one token with the label {label!r}") from None
    except _WRONG_PIN as error:
        raise TokenMisconfigured(
            f"the token refuses the PIN: {_told(error)}; it may count wrong ones"
        ) from None
    except PKCS11Error as error:
        raise TokenMisconfigured(f"{module.name} does not give a session: {_told(error)}") from None


def _label(name: str) -> str:
    return f"florin {name}"


def _found(session: Any, kind: ObjectClass, name: str) -> list[Any]:
    return list(
        session.get_objects(
            {Attribute.CLASS: kind, Attribute.KEY_TYPE: KeyType.EC, Attribute.LABEL: _label(name)}
        )
    )


def _only(session: Any, kind: ObjectClass, name: str) -> Any:
    found = _found(session, kind, name)
    if len(found) != 1:
        raise UnfitTokenKey(
            f"the token has {len(found)} objects of {kind.name} with the label {_label(name)!r}, not one"
        )
    return found[0]


def _require_inside(key: Any, what: str) -> None:
    for attribute, wanted in _INSIDE.items():
        try:
            has = key[attribute]
        except (AttributeTypeInvalid, NoSuchKey):
            has = None
        if has is not wanted:
            raise UnfitTokenKey(f"{what} has {attribute.name} = {has}: it may exist outside of the token")


def _point(encoded: bytes, name: str) -> PublicKey:
    """CKA_EC_POINT: the point in a DER octet string, or bare, as some tokens read the standard."""
    point = encoded[2:] if encoded[:2] == b"\x04\x41" and len(encoded) == 67 else encoded
    try:
        return PublicKey(point)
    except ValueError:
        raise UnfitTokenKey(f"the public key of {name!r} in the token is no point of secp256k1") from None


def _gcm(nonce: bytes) -> GCMParams:
    return GCMParams(nonce, _CLAIMS, 128)


def _told(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()
