"""Everything the node refuses with: a stable code, an HTTP status and a sentence that says what to do."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one intent is not signed. `code` is stable; `detail` is for people."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class InitiatorRequired(Refusal):
    """Who proposes it is not named: an officer signs `digest` under `policy_hash`, both hex text."""

    digest: str
    policy_hash: str


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


class ContradictoryRequest(WalletNodeError):
    """Each part has its form, and they do not fit each other."""

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


class NotInJournal(WalletNodeError):
    """The journal has no such row, or never had so many; ask /v1/journal for its size."""

    status = 404


class WrongDeployment(WalletNodeError):
    """The request names another chain, contract or domain than the node is bound to."""

    status = 403


class CredentialMalformed(WalletNodeError):
    """A customer's or officer's credential with a public key that is no usable point, or not base64url."""

    status = 400


class RefusedByNode(WalletNodeError):
    """A transaction or derivation that is not allowed; carries the first refusal's own code."""

    status = 403

    def __init__(self, reasons: tuple[Refusal, ...]) -> None:
        super().__init__(reasons[0].detail, reasons)

    @property
    def code(self) -> str:
        return self.reasons[0].code


class NotProposed(RefusedByNode):
    """Officers are not asked, because it is not shown who proposes it. Nothing is written, the id is free."""


class UnknownTypedData(WalletNodeError):
    """An EIP-712 document that is not exactly one of the structures that this node signs."""

    status = 400


class MalformedTransaction(WalletNodeError):
    """A field of a transaction is missing, unknown, not canonical, or contradicts another one."""

    status = 400


class LegacyTransaction(WalletNodeError):
    """Only EIP-1559 transactions are signed: with type 0x2 and both fees."""

    status = 400


class AccessListDiffers(WalletNodeError):
    """The access list is not the one that this node writes itself for that call; leave it out."""

    status = 403


class UnknownAccount(WalletNodeError):
    """No key of this node has that address."""

    status = 404


class UnknownMethod(WalletNodeError):
    """A JSON-RPC method that this node does not answer; it has no chain behind it to ask."""

    status = 404


class NonceConflict(WalletNodeError):
    """The nonce stands for another content already, or is below the next one."""

    status = 409


class BlindSignatureRefused(WalletNodeError):
    """Bytes that nobody can read are never signed."""

    status = 403


class ApprovalPending(WalletNodeError):
    """Officers must approve first; ask the same again when they have."""

    status = 403


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


class SigningStopped(WalletNodeError):
    """A signature did not verify, so this process signs nothing more. Find out why, and restart it: it signs
    again once its self-test passes.
    """

    status = 503


class TokenUnavailable(WalletNodeError):
    """The PKCS#11 token does not answer; nothing was signed. Send the same request again."""

    status = 503


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


class PolicyNotApproved(WalletNodeError):
    """The policy file is not the one in force, and no quorum has approved it."""


class JournalBroken(WalletNodeError):
    """The journal does not hold: a row was altered, removed or reordered, or its end is not there."""


class StoreOfOtherVersion(WalletNodeError):
    """The store's file was made by another version of this program."""


class WrongBackend(WalletNodeError):
    """A slower hashing or signing backend is in use than the one that this release was tested with."""


# --- custody: keystores, tokens, external keys --------------------------------------------------------------


class KeystoreExists(WalletNodeError):
    """There is a keystore already; what would replace it needs an empty home."""


class KeystoreBusy(WalletNodeError):
    """Another command changes the keystore at this moment. Repeat this one."""


class OutdatedKeystore(WalletNodeError):
    """A keystore of an earlier format: stop the node and run `init` once, which brings it to today's."""


class CustodyMisconfigured(WalletNodeError):
    """custody.toml is missing, malformed, or lacks what the keystore needs."""


class SecretFileUnusable(WalletNodeError):
    """A file with a PIN, token or passphrase is absent, empty or readable by others."""


class KekUnavailable(WalletNodeError):
    """What wraps the data key cannot be reached or answers nonsense: nothing was changed, ask again."""


class KekRefused(WalletNodeError):
    """What wraps the data key answers, and refuses: a wrong token, an unknown key, an altered ciphertext."""


class TokenMisconfigured(WalletNodeError):
    """The PKCS#11 module or token of custody.toml is not there, or refuses the PIN."""


class UnfitTokenKey(WalletNodeError):
    """A key in the token is missing, ambiguous, extractable, made elsewhere, or not the one recorded."""


class KeyNameTaken(WalletNodeError):
    """The keystore has a key of this name already; an import never replaces one."""


class KeyNotExportable(WalletNodeError):
    """No such key, or it is in a token, which never gives it away."""


class KeyFileUnusable(WalletNodeError):
    """Not an Ethereum V3 key file, or one whose terms no wallet writes."""


class WrongKeyFilePassword(WalletNodeError):
    """The password does not open the key file, or the file was altered."""


class KeyAddressDiffers(WalletNodeError):
    """The key inside a key file belongs to another address than the file, or the caller, says."""


class OutputExists(WalletNodeError):
    """The output is there already; secrets are never written over something."""


class SharesUnusable(WalletNodeError):
    """A share is mistyped, incomplete, or not one of SLIP-39; or the shares do not fit together."""


class MixedShares(WalletNodeError):
    """The shares are of different backups."""


class TooFewShares(WalletNodeError):
    """The shares do not reach the backup's thresholds."""


class UnusableSharing(WalletNodeError):
    """A split that SLIP-39 does not allow, or a passphrase outside printable ASCII."""


class MnemonicUnusable(WalletNodeError):
    """Not a BIP-39 mnemonic: a word or the checksum is wrong."""


class OtherSeed(WalletNodeError):
    """The restored seed is another one than the backup's fingerprint says: the passphrase is wrong."""
