"""Everything the node refuses with: a stable code, an HTTP status and a sentence that says what to do."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one intent is not signed. `code` is stable; `detail` is for people."""

    code: str
    detail: str


class WalletNodeError(Exception):
    """An error with a stable `code`; the class name is the code."""

    status: ClassVar[int] = 500
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """What the HTTP answer says beside the problem; names in lower case."""

    def __init__(self, detail: str, reasons: tuple[Refusal, ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.reasons = reasons

    @property
    def code(self) -> str:
        return type(self).__name__


# --- a request is wrong -------------------------------------------------------------------------------------


class MalformedRequest(WalletNodeError):
    """Not valid JSON, an unknown or duplicate field, a wrong type or a value out of range."""

    status = 400


class UnknownPath(WalletNodeError):
    status = 404


class MethodNotAllowed(WalletNodeError):
    status = 405

    def __init__(self, path: str, allowed: tuple[str, ...]) -> None:
        methods = ", ".join(allowed)
        super().__init__(f"{path} is used with {methods}")
        self.headers = ((b"allow", methods.encode()),)


class BodyTooLarge(WalletNodeError):
    status = 413


class HeadersTooLarge(WalletNodeError):
    status = 431
    headers = ((b"connection", b"close"),)


class RequestTooSlow(WalletNodeError):
    """The headers or the body did not arrive whole in time; the connection is closed."""

    status = 408
    headers = ((b"connection", b"close"),)


class CallerNotAllowed(WalletNodeError):
    """Not a known caller, not a user whom this caller's endpoint serves, or not a verb that it may use."""

    status = 403


class RateLimited(WalletNodeError):
    """The caller has used up its requests of this verb; ask again after `retry_after_s`, whole seconds."""

    status = 429

    def __init__(self, detail: str, retry_after_s: int) -> None:
        super().__init__(detail)
        self.headers = ((b"retry-after", str(retry_after_s).encode()),)


class WrongDeployment(WalletNodeError):
    """The request names another chain, contract or domain than the node is bound to."""

    status = 403


class RefusedByNode(WalletNodeError):
    """A transaction or derivation that is not allowed; carries the first refusal's own code."""

    status = 403

    def __init__(self, reasons: tuple[Refusal, ...]) -> None:
        super().__init__(reasons[0].detail, reasons)

    @property
    def code(self) -> str:
        return self.reasons[0].code


# --- the node cannot serve now ------------------------------------------------------------------------------


class NotBound(WalletNodeError):
    """No deployment is bound yet: run `python -m wallet_node.main bind`."""

    status = 409


class TooManyConnections(WalletNodeError):
    """The endpoint has as many connections as it serves, or a caller's unfinished bodies fill their share."""

    status = 503
    headers = ((b"retry-after", b"1"),)


class JournalUnavailable(WalletNodeError):
    """The journal could not be written; nothing was signed. Send the same request again."""

    status = 503


class SignatureCheckFailed(WalletNodeError):
    """A signature did not recover to its own key. The node stops being ready."""

    status = 500


# --- the node must not start --------------------------------------------------------------------------------


class WrongPassphrase(WalletNodeError):
    """The passphrase does not open the keystore, or the keystore's manifest was altered."""


class TamperedKey(WalletNodeError):
    """A key file does not decrypt under its own id, version and address."""


class MissingKey(WalletNodeError):
    """The keystore's manifest names a key whose file is not there."""


class KeystoreNotFound(WalletNodeError):
    """There is no keystore here: run `python -m wallet_node.main init`."""


class PassphraseUnusable(WalletNodeError):
    """The passphrase file is absent, empty, too short or readable by others."""


class HomeTooOpen(WalletNodeError):
    """The node's home can be read by other users."""


class AlreadyRunning(WalletNodeError):
    """Another process holds this home."""


class SocketUnusable(WalletNodeError):
    """The socket's path cannot be used: too long for the system, say."""


class CertificateUnusable(WalletNodeError):
    """A certificate for mTLS cannot be read, does not fit its key, or is open to other users."""


class AlreadyBound(WalletNodeError):
    """This home is bound to another deployment; a new deployment needs a new home."""


class MalformedPolicy(WalletNodeError):
    """The policy file has an unknown or duplicate field, a wrong type or an unusable rule."""


class JournalBroken(WalletNodeError):
    """The journal's hash chain does not hold: a row was altered, removed or reordered."""


class WrongBackend(WalletNodeError):
    """A slower hashing or signing backend is in use than the one that this release was tested with."""
