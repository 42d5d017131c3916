"""How one home's keystore is opened: by its manifest, and by `custody.toml` where a token or service helps.

[token]                     # PKCS#11
module = "/usr/lib/softhsm/libsofthsm2.so"
label = "florin-bank"
pin_file = "pin"            # private files; relative to the home

[transit]                   # a KEK over HTTP
url = "https://vault.internal:8200"
key = "florin-bank"
token_file = "vault-token"
timeout_s = 5
ca_file = "vault-ca.pem"    # left out: the system's
"""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from wallet_node import hardening
from wallet_node.errors import CustodyMisconfigured
from wallet_node.keystore.disk import read_secret
from wallet_node.keystore.files import Secrets, open_keystore
from wallet_node.keystore.kek import ByPassphrase, ByToken, Kek, PassphraseKek, Wrapped
from wallet_node.keystore.provider import SigningKey

if TYPE_CHECKING:  # the modules of tokens and services are loaded where they are used
    from wallet_node.keystore.token import Token
    from wallet_node.keystore.transit import TransitKek

SETTINGS_FILE = "custody.toml"
KekKind = Literal["passphrase", "token", "transit"]

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1_000)]


class TokenSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[token] of custody.toml."""

    module: _Text
    label: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
    pin_file: _Text


class TransitSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[transit] of custody.toml."""

    url: _Text
    key: Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")]
    token_file: _Text
    timeout_s: Annotated[int, msgspec.Meta(ge=1, le=60)] = 5
    ca_file: _Text | None = None


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """custody.toml."""

    token: TokenSettings | None = None
    transit: TransitSettings | None = None


class Custody:
    """What guards one home's keys. A token is logged into once, when it is first needed."""

    def __init__(self, home: Path) -> None:
        """Raises CustodyMisconfigured."""
        self._home = home
        self._settings = _read_settings(home / SETTINGS_FILE)
        self._token: Token | None = None

    @property
    def keystore(self) -> Path:
        """The directory of the file keystore."""
        return self._home / "keystore"

    def secrets(self) -> Secrets:
        """Every key of the home, unlocked. Raises what opening raises."""
        return open_keystore(self.keystore, self.unwrap).secrets(self.token_key)

    def kek(self, kind: KekKind) -> Kek:
        """Today's KEK of a kind; a passphrase is the one in force. Raises what reaching it raises."""
        if kind == "passphrase":
            return PassphraseKek(hardening.read_passphrase())
        return self.token() if kind == "token" else self._transit()

    def unwrap(self, wrapped: Wrapped) -> bytes:
        """The data key, by whatever it was wrapped with."""
        if isinstance(wrapped, ByPassphrase):
            return self.kek("passphrase").unwrap(wrapped)
        return self.kek("token" if isinstance(wrapped, ByToken) else "transit").unwrap(wrapped)

    def token_key(self, name: str) -> SigningKey:
        """A key that the token holds."""
        return self.token().key(name)

    def token(self) -> "Token":
        """The home's token, logged in. Raises CustodyMisconfigured, SecretFileUnusable or
        TokenMisconfigured.
        """
        if self._token is None:
            settings = self._settings.token
            if settings is None:
                raise CustodyMisconfigured(
                    f"this needs a token: write [token] into {SETTINGS_FILE} of the home"
                )
            try:
                from wallet_node.keystore.token import Token
            except ImportError:
                raise CustodyMisconfigured("python-pkcs11 is not installed; a token needs it") from None
            pin = _text(read_secret(self._home / settings.pin_file, purpose="the token's PIN"))
            self._token = Token(Path(settings.module), settings.label, pin)
        return self._token

    def _transit(self) -> "TransitKek":
        from wallet_node.keystore.transit import TransitKek

        settings = self._settings.transit
        if settings is None:
            raise CustodyMisconfigured(f"this needs a KEK service: write [transit] into {SETTINGS_FILE}")
        token = _text(read_secret(self._home / settings.token_file, purpose="the KEK service's token"))
        ca_file = None if settings.ca_file is None else self._home / settings.ca_file
        return TransitKek(settings.url, settings.key, token, settings.timeout_s, ca_file)


def unlock_home(home: Path) -> Secrets:
    """Every key of a home, for the node that serves it. Raises what opening raises."""
    return Custody(home).secrets()


def _read_settings(path: Path) -> Settings:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        raise CustodyMisconfigured(f"{path.name} cannot be read: {error.strerror}") from None
    try:
        return msgspec.convert(tomllib.loads(content.decode()), Settings)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise CustodyMisconfigured(f"{path.name}: {error}") from None


def _text(secret: bytes) -> str:
    try:
        text = secret.decode("ascii")
    except UnicodeDecodeError:
        text = ""
    if not text.isprintable() or not text:
        raise CustodyMisconfigured("a PIN or token is printable ASCII on one line")
    return text
