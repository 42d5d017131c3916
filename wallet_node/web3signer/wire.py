"""web3signer's wire over this node: what tools that speak to Consensys' signer send, under our own policy.

The shapes, statuses, error numbers and messages are web3signer's (its eth1 mode, JSON-RPC and REST). What
differs is what it would do blindly: bytes that nobody can read are not signed, an access list or a chain id
is not dropped, EIP-712 documents are those that this node knows, and a nonce is used for one content. A
refusal's `data` has our stable code, the sentence and every reason.

A nonce is the caller's here, and the node's allocator has the last word. A content that is new to the node
takes exactly its nonce, which must not be below the node's next one, nor jump too far ahead of it. A content
that is known under its nonce gives the same bytes again, or with higher fees its replacement. Anything else
is a NonceConflict.
"""

import re
import sqlite3
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from wallet_node import strict_json
from wallet_node.callers import Caller
from wallet_node.deployment import Deployment
from wallet_node.errors import (
    ApprovalPending,
    BlindSignatureRefused,
    JournalUnavailable,
    MalformedRequest,
    MethodNotAllowed,
    NonceConflict,
    Refusal,
    RefusedByNode,
    UnknownAccount,
    UnknownMethod,
    WalletNodeError,
)
from wallet_node.fields import address_bytes
from wallet_node.intents.typed_intents import TypedIntent, nonce_use, signer
from wallet_node.journal.nonces import PAYMENT, TRANSACTION
from wallet_node.keystore.signatures import expand
from wallet_node.node import WalletNode
from wallet_node.officers.desk import Waiting
from wallet_node.web3signer.payment_documents import payment_batch, typed_data_request
from wallet_node.web3signer.transaction_json import listed_accounts, parse_transaction, transaction_intent
from wallet_node.web3signer.typed_documents import PaymentDocument, parse_document, read_document

MOST_CALLS = 100
"""In one JSON-RPC batch; each may cost an fsync."""

Answer: TypeAlias = tuple[int, str, bytes]

_JSON, TEXT = "application/json", "text/plain; charset=utf-8"
SIGN_PATHS = "/api/v1/eth1/sign/"
"""Whatever begins with this is web3signer's form of signing bytes, here always refused."""
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)

_PARSE_ERROR = (-32700, "Parse error")
_INVALID_REQUEST = (-32600, "Invalid Request")
_METHOD_NOT_FOUND = (-32601, "Method not found")
_INVALID_PARAMS = (-32602, "Invalid params")
_INTERNAL_ERROR = (-32603, "Internal error")
_NOT_ENABLED = (-32604, "Method not enabled")
_NO_ACCOUNT = (-32000, "No unlocked account matches the Sender")
_NOT_AUTHORIZED = (-32007, "Sender account not authorized to send transactions")

# By our stable codes; every other refusal is a policy's or a rule's, every other error the node's own.
_NUMBERS: dict[str, tuple[int, str]] = {
    "MalformedRequest": _INVALID_PARAMS,
    "MalformedTransaction": _INVALID_PARAMS,
    "LegacyTransaction": _INVALID_PARAMS,
    "AccessListDiffers": _INVALID_PARAMS,
    "UnknownTypedData": _INVALID_PARAMS,
    "UnknownMethod": _METHOD_NOT_FOUND,
    "BlindSignatureRefused": _NOT_ENABLED,
    "UnknownAccount": _NO_ACCOUNT,
    "UnknownPayer": _NO_ACCOUNT,
    "UnknownKey": _NO_ACCOUNT,
    "WrongDeployment": (-32000, "Wrong chainId"),
    "NonceConflict": (-32001, "Nonce too low"),
    "NonceTaken": (-32001, "Nonce too low"),
    "NonceFloorTooFar": (-32006, "Incorrect nonce"),
    "NonceExhausted": (-32006, "Incorrect nonce"),
    "ApprovalPending": _NOT_AUTHORIZED,
}
_BAD_REQUEST = (_PARSE_ERROR, _INVALID_REQUEST, _INVALID_PARAMS)


class _PaymentRefused(RefusedByNode):
    """The node has counted it already."""


class JsonRpcCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One call of JSON-RPC 2.0."""

    jsonrpc: Literal["2.0"]
    method: str
    params: Any = None
    id: int | str | None = None


JsonRpc: TypeAlias = (
    JsonRpcCall | Annotated[tuple[Any, ...], msgspec.Meta(min_length=1, max_length=MOST_CALLS)]
)
"""One call or a batch of them; what is wrong with one of a batch is said in its answer."""


class Web3SignerWire:
    """The wire's routes. Used by the node's one thread, like the node."""

    def __init__(self, node: WalletNode) -> None:
        self._node = node
        self._caller: Caller | None = None  # who asks now: a request runs whole before the next one
        self._methods: dict[str, Callable[[Any], Any]] = {
            "eth_accounts": self._accounts,
            "eth_chainId": self._chain_id,
            "eth_sign": self._blind,
            "eth_signTransaction": self._sign_transaction,
            "eth_signTypedData": self._sign_document,
            "eth_signTypedData_v4": self._sign_document,
            "health_status": lambda _: "OK",
        }
        self._paths: dict[str, dict[str, Callable[[bytes], Answer]]] = {
            "/": {"POST": self.json_rpc},
            "/api/v1/eth1/publicKeys": {"GET": self.public_keys},
            "/upcheck": {"GET": self.upcheck},
            "/healthcheck": {"GET": self.health},
            "/reload": {"GET": self.reload_status, "POST": self.reload},
        }

    def answer(self, method: str, path: str, body: bytes) -> Answer | None:
        """Status, content type and body; None where the path is none of this wire.

        Raises MethodNotAllowed, and BlindSignatureRefused for the REST form of signing.
        """
        verbs = self._paths.get(path)
        if path.startswith(SIGN_PATHS):
            verbs = {"POST": self.sign_bytes}
        if verbs is None:
            return None
        if method not in verbs:
            raise MethodNotAllowed(path, tuple(verbs))
        return verbs[method](body)

    # --- JSON-RPC ---

    def json_rpc(self, body: bytes, caller: Caller | None = None) -> Answer:
        """web3signer's JSON-RPC: one call or a batch of them."""
        self._caller = caller
        try:
            said: Any = strict_json.decode(body, object)
        except MalformedRequest as error:
            return _answer([_error(None, _PARSE_ERROR, error)], is_batch=False)
        if not isinstance(said, list):
            return _answer([self._call(said)], is_batch=False)
        if not 0 < len(said) <= MOST_CALLS:
            refused = MalformedRequest(f"a batch has 1 to {MOST_CALLS} calls")
            return _answer([_error(None, _INVALID_REQUEST, refused)], is_batch=False)
        return _answer([self._call(each) for each in said], is_batch=True)

    def _call(self, said: Any) -> dict[str, Any]:
        """One response. A call without an id gets one as well, as from web3signer."""
        identifier = said.get("id") if isinstance(said, dict) else None
        if isinstance(identifier, bool) or not isinstance(identifier, int | str):
            identifier = None
        try:
            request = strict_json.convert(said, JsonRpcCall)
        except MalformedRequest as error:
            return _error(identifier, _INVALID_REQUEST, error)
        try:
            return {"jsonrpc": "2.0", "id": identifier, "result": self._result(request)}
        except WalletNodeError as error:
            if not isinstance(error, _PaymentRefused):
                self._node.refusals[error.code] += 1
            is_refusal = isinstance(error, RefusedByNode)
            number = _NUMBERS.get(error.code, _NOT_AUTHORIZED if is_refusal else _INTERNAL_ERROR)
            return _error(identifier, number, error)

    def _result(self, request: JsonRpcCall) -> Any:
        method = self._methods.get(request.method)
        if method is None:
            raise UnknownMethod(
                "this node answers eth_accounts, eth_signTransaction and eth_signTypedData_v4"
            )
        try:
            return method(request.params)
        except sqlite3.Error as error:
            unusable = f"the store cannot be used: {error}; nothing was signed"
            raise JournalUnavailable(unusable) from error

    def _accounts(self, params: Any) -> list[str]:
        if params not in (None, []):
            raise MalformedRequest("eth_accounts has no parameters")
        return sorted("0x" + address.hex() for address in self._node.named_keys.values())

    def _chain_id(self, params: Any) -> str:
        if params not in (None, []):
            raise MalformedRequest("eth_chainId has no parameters")
        return hex(self._node.deployment.chain_id)

    def _blind(self, _: Any) -> str:
        raise BlindSignatureRefused(
            "this node signs no bytes that it cannot read; use eth_signTransaction or eth_signTypedData_v4"
        )

    def _sign_transaction(self, params: Any) -> str:
        if not isinstance(params, list) or len(params) != 1:
            raise MalformedRequest("eth_signTransaction has one parameter, the transaction")
        deployment = self._node.deployment
        asked = parse_transaction(params[0], deployment.chain_id)
        key = self._key_of(asked.sender)
        listed = listed_accounts(asked, deployment.target(asked.to), deployment.domain.separator)
        intent = transaction_intent(asked, key, deployment.chain_id, listed)
        self._require_nonce(TRANSACTION, intent.transaction_id, asked.sender, asked.nonce)
        signed = self._node.sign_transaction(intent, self._caller)
        if isinstance(signed, tuple):
            raise _pending("transaction", signed[1])
        raw: str = signed["raw"]
        return raw

    def _sign_document(self, params: Any) -> str:
        if not isinstance(params, list) or len(params) != 2 or not _is_address(params[0]):
            raise MalformedRequest("eth_signTypedData has two parameters, an address and a document")
        deployment, signed_by = self._node.deployment, address_bytes(params[0].lower())
        intent = parse_document(read_document(params[1]), deployment.domain, signed_by)
        if isinstance(intent, PaymentDocument):
            signature = self._sign_payment(intent, deployment, signed_by)
        else:
            signature = self._sign_structure(intent, deployment)
        return "0x" + signature[:64].hex() + f"{27 + signature[64]:02x}"

    def _sign_payment(self, document: PaymentDocument, deployment: Deployment, payer: bytes) -> bytes:
        batch = payment_batch(document, deployment)
        self._require_nonce(PAYMENT, batch.payments[0].payment_id, payer, document.nonce)
        result: dict[str, Any] = self._node.sign_payments(batch, self._caller)["results"][0]
        if "refusal" in result:
            raise _PaymentRefused(result["refusal"]["reasons"])
        if "pending" in result:
            raise _pending("payment", result["pending"])
        return expand(bytes.fromhex(result["signature"][2:]))

    def _sign_structure(self, intent: TypedIntent, deployment: Deployment) -> bytes:
        request, use = typed_data_request(intent, deployment), nonce_use(intent)
        if use.counted is not None:
            self._require_nonce(use.space, request.intent_id, signer(intent), use.counted)
        signed = self._node.typed_data_signature(request, self._caller)
        if isinstance(signed, Waiting):
            raise _pending(type(intent).__name__, signed.fields())
        return signed.signature

    def _require_nonce(self, space: str, intent_id: str, signer: bytes, nonce: int) -> None:
        is_known, own = self._node.nonce_for(space, intent_id, signer)
        if is_known and own != nonce:
            raise NonceConflict(f"this content already has the nonce {own}")
        if own > nonce:
            raise NonceConflict(f"the nonce {nonce} is taken: the next one is {own}")
        terms = self._node.policy.file.nonces
        longest = terms.longest_transaction_jump if space == TRANSACTION else terms.longest_payment_jump
        if not is_known and nonce - own > longest:
            # Refused before the node hears of the id, which a refusal would end: its time may come.
            far = f"the nonce {nonce} is more than {longest} above the next one, {own}"
            raise RefusedByNode((Refusal("NonceFloorTooFar", far),))

    def _key_of(self, address: bytes) -> str:
        for name, own in self._node.named_keys.items():
            if own == address:
                return name
        raise UnknownAccount(f"0x{address.hex()} is no institutional key of this node")

    # --- REST ---

    def sign_bytes(self, _: bytes) -> Answer:
        """web3signer's form of signing bytes: always refused. Raises BlindSignatureRefused."""
        raise BlindSignatureRefused(
            "this node signs no bytes that it cannot read; use JSON-RPC's eth_signTransaction"
        )

    def public_keys(self, _: bytes) -> Answer:
        """The points of the institutional keys, 64 bytes each."""
        keys = sorted("0x" + self._node.public_key(name).hex() for name in self._node.named_keys)
        return 200, _JSON, msgspec.json.encode(keys)

    def upcheck(self, _: bytes) -> Answer:
        """The process answers."""
        return 200, TEXT, b"OK"

    def health(self, _: bytes) -> Answer:
        """UP while every key's self-test verified."""
        is_sound = self._node.is_sound
        word = "UP" if is_sound else "DOWN"
        checks = [{"id": "default-check", "status": "UP"}, {"id": "keys-check/self-test", "status": word}]
        content = {"status": word, "checks": checks, "outcome": word}
        return 200 if is_sound else 503, _JSON, msgspec.json.encode(content)

    def reload(self, _: bytes) -> Answer:
        """Reloads nothing: keys are read when the node is unlocked, and none can be slipped in later."""
        said = "the keys are those that were there when the node was unlocked; nothing was reloaded"
        return 200, _JSON, msgspec.json.encode({"status": "completed", "message": said})

    def reload_status(self, _: bytes) -> Answer:
        """Whether a reload is under way: never."""
        return 200, _JSON, b'{"status":"idle"}'


def _pending(what: str, fields: Mapping[str, Any]) -> ApprovalPending:
    return ApprovalPending(
        f"officers must approve this {what}; send the same again when they have",
        tuple(Refusal("ApprovalPending", f"{name}: {value}") for name, value in fields.items()),
    )


def _is_address(given: Any) -> bool:
    return isinstance(given, str) and _ADDRESS.fullmatch(given) is not None


def _error(identifier: int | str | None, number: tuple[int, str], error: WalletNodeError) -> dict[str, Any]:
    code, message = number
    data = {"code": error.code, "detail": error.detail, "reasons": error.reasons}
    return {
        "jsonrpc": "2.0",
        "id": identifier,
        "error": {"code": code, "message": message, "data": data},
    }


def _answer(responses: list[dict[str, Any]], *, is_batch: bool) -> Answer:
    """A batch is answered with 200 whatever is in it; one call as web3signer does."""
    if is_batch:
        return 200, _JSON, msgspec.json.encode(responses)
    error = responses[0].get("error")
    is_bad = error is not None and (error["code"], error["message"]) in _BAD_REQUEST
    return 400 if is_bad else 200, _JSON, msgspec.json.encode(responses[0])
