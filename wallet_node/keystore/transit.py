"""An external KEK that speaks the wire of HashiCorp Vault's transit engine over HTTP.

`POST /v1/transit/encrypt/NAME` and `/decrypt/NAME` with the header `X-Vault-Token`; plaintext is base64,
ciphertext is `vault:v1:...`. Source: Vault's HTTP API documentation, "Transit secrets engine". The client is
the standard library's, which follows no redirect and no proxy of the environment; so the token stays here.
"""

import base64
import binascii
import http.client
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from wallet_node.errors import CustodyMisconfigured, KekRefused, KekUnavailable
from wallet_node.keystore.kek import DATA_KEY_BYTES, ByTransit, Wrapped

_LONGEST_ANSWER = 65_536
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class _Encrypted(msgspec.Struct, frozen=True):
    ciphertext: str


class _Decrypted(msgspec.Struct, frozen=True):
    plaintext: str


class _EncryptAnswer(msgspec.Struct, frozen=True):
    data: _Encrypted


class _DecryptAnswer(msgspec.Struct, frozen=True):
    data: _Decrypted


class _Errors(msgspec.Struct, frozen=True):
    errors: list[str] = []


class TransitKek:
    """A Kek whose key never leaves the service. One call, whatever happens, takes at most `timeout_s`."""

    def __init__(
        self, url: str, key: str, token: str, timeout_s: float = 5.0, ca_file: Path | None = None
    ) -> None:
        """Raises CustodyMisconfigured: https, or http on this machine only."""
        parts = urlsplit(url)
        is_plain = parts.scheme == "http" and parts.hostname in _LOOPBACK
        if not parts.hostname or not (parts.scheme == "https" or is_plain):
            raise CustodyMisconfigured("the url of [transit] is https://HOST[:PORT], or http on this machine")
        if parts.path not in ("", "/") or parts.query or parts.username:
            raise CustodyMisconfigured("the url of [transit] has no path, query or user")
        try:
            self._address = (parts.hostname, parts.port)
            self._context = None if is_plain else ssl.create_default_context(cafile=ca_file)
        except (ValueError, OSError) as error:
            raise CustodyMisconfigured(f"[transit] cannot be used: {error}") from None
        self._key = key
        self._token = token
        self._timeout_s = timeout_s

    def wrap(self, data_key: bytes) -> ByTransit:
        """Raises KekUnavailable or KekRefused."""
        body = {"plaintext": base64.b64encode(data_key).decode()}
        answer = self._post(f"/v1/transit/encrypt/{self._key}", body, _EncryptAnswer)
        try:
            return msgspec.convert(
                {"by": "transit", "key": self._key, "ciphertext": answer.data.ciphertext}, ByTransit
            )
        except msgspec.ValidationError:
            raise KekUnavailable("the KEK service answered something else than a ciphertext") from None

    def unwrap(self, wrapped: Wrapped) -> bytes:
        """Raises KekUnavailable or KekRefused."""
        if not isinstance(wrapped, ByTransit):
            raise KekRefused("this keystore is not guarded by the external service; see its manifest")
        body = {"ciphertext": wrapped.ciphertext}
        answer = self._post(f"/v1/transit/decrypt/{wrapped.key}", body, _DecryptAnswer)
        try:
            data_key = base64.b64decode(answer.data.plaintext, validate=True)
        except (binascii.Error, ValueError):
            data_key = b""
        if len(data_key) != DATA_KEY_BYTES:
            raise KekUnavailable("the KEK service answered something else than a data key")
        return data_key

    def _post(self, path: str, body: dict[str, str], kind: type[Any]) -> Any:
        status, content = self._exchange(path, msgspec.json.encode(body))
        if status in (400, 403, 404):
            raise KekRefused(f"the KEK service refuses ({status}): {_errors(content)}")
        if status != 200:
            raise KekUnavailable(f"the KEK service answers {status}: {_errors(content)}")
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.MsgspecError:
            raise KekUnavailable("the KEK service's answer is not what transit answers") from None

    def _exchange(self, path: str, body: bytes) -> tuple[int, bytes]:
        host, port = self._address
        connection: http.client.HTTPConnection
        if self._context is None:
            connection = http.client.HTTPConnection(host, port, timeout=self._timeout_s)
        else:
            connection = http.client.HTTPSConnection(
                host, port, timeout=self._timeout_s, context=self._context
            )
        deadline = None
        try:
            connection.connect()
            # The socket's own time-out is for each read: who sends a byte now and then would never meet it.
            deadline = threading.Timer(self._timeout_s, _cut, [connection.sock])
            deadline.daemon = True
            deadline.start()
            headers = {"X-Vault-Token": self._token, "Content-Type": "application/json"}
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            content = response.read(_LONGEST_ANSWER + 1)
            if response.length and len(content) <= _LONGEST_ANSWER:
                raise TimeoutError("the answer was cut short")
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = f"{type(error).__name__} {error}".strip()
            raise KekUnavailable(
                f"the KEK service does not answer in {self._timeout_s} s: {reason}"
            ) from None
        finally:
            if deadline is not None:
                deadline.cancel()
            connection.close()
        if len(content) > _LONGEST_ANSWER:
            raise KekUnavailable("the KEK service's answer is too long")
        return response.status, content


def _cut(connected: socket.socket) -> None:
    """Wake a reader that waits too long."""
    with suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)


def _errors(content: bytes) -> str:
    try:
        told = "; ".join(msgspec.json.decode(content, type=_Errors).errors)
    except msgspec.MsgspecError:
        told = ""
    return told.encode("ascii", "backslashreplace").decode("ascii")[:200] or "no reason given"
