"""The institution's key-management node, over its Unix socket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import msgspec
from eth_hash.auto import keccak

from api.addresses import address_text
from api.chain.errors import ApprovalPending, SignerRefused, SignerUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class PaymentToSign:
    """One payment's intent. `nonce_floor` is the payer's nonce on chain as far as it is known.

    `proof` is the customer's own word, as JSON; it is for the node to judge.
    """

    payment_id: UUID
    attempt: int
    payer: bytes
    payee: bytes
    amount_minor: int
    nonce_floor: int
    proof: str | None = None


@dataclass(frozen=True, slots=True)
class SignedPayment:
    """A signature under its nonce: r 32 | vs 32 (EIP-2098)."""

    payment_id: UUID
    nonce: int
    r: bytes
    vs: bytes


@dataclass(frozen=True, slots=True)
class RefusedPayment:
    """Why the node does not sign this one."""

    payment_id: UUID
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class PendingPayment:
    """Officers have to approve this one first. Nothing was signed; ask again."""

    payment_id: UUID


@dataclass(frozen=True, slots=True)
class RefusedKey:
    """Why the node makes no key for an index, or does not tell it: its credential is no good, mostly."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class TransactionToSign:
    """One EIP-1559 transaction of a named key. Fees are wei for each unit of gas.

    `listed_accounts`: whose storage its access list names, 20 bytes each, in ascending order.
    """

    transaction_id: UUID
    key: str
    chain_id: int
    to: bytes
    data: bytes
    gas: int
    max_fee_per_gas: int
    max_priority_fee_per_gas: int
    nonce_floor: int
    listed_accounts: bytes = b""


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """The raw bytes to broadcast, their hash and their nonce."""

    nonce: int
    raw: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class MandateToRegister:
    """A customer's standing authority as they approved it; `approval` is their assertion, as JSON."""

    mandate_id: UUID
    payer: bytes
    payee: bytes
    cap_minor: int
    period: str
    starts_at_s: int
    expires_at_s: int
    approval: str


@dataclass(frozen=True, slots=True)
class CredentialChangeToAsk:
    """Another credential for a wallet, which the officers' quorum is asked for; `bind` is JSON."""

    change_id: UUID
    wallet: bytes
    bind: str
    unbind: str | None


@dataclass(frozen=True, slots=True)
class SignerKeys:
    """The node's named institutional keys, and the policy that it applies."""

    named: dict[str, bytes]
    policy_name: str
    policy_hash: str


@dataclass(frozen=True, slots=True)
class JournalHead:
    """How many rows the node's journal has, and the Merkle root (RFC 9162) that commits to all of them."""

    size: int
    root: bytes


class _Result(msgspec.Struct):
    payment_id: str
    nonce: int | None = None
    signature: str | None = None
    refusal: dict[str, Any] | None = None
    pending: dict[str, Any] | None = None


class _Results(msgspec.Struct):
    results: list[_Result]


class _MandateResult(msgspec.Struct):
    mandate_id: str
    refusal: dict[str, Any] | None = None


class _MandateResults(msgspec.Struct):
    results: list[_MandateResult]


class SignerClient:
    """Speaks to one node. Use as an async context manager.

    Every method raises `SignerUnavailable` (ask the same again) or `SignerRefused` (the whole request, for
    good).
    """

    def __init__(self, socket: Path, timeout_s: float = 60.0) -> None:
        self._socket = str(socket)
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.UnixConnector(path=self._socket)
        self._session = aiohttp.ClientSession("http://signer", connector=connector, timeout=self._timeout)
        return self

    async def __aexit__(self, *_exception: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def keys(self) -> SignerKeys:
        """The named keys' addresses and the policy in force."""
        answer = msgspec.json.decode(await self._request("GET", "/v1/keys"))
        policy = answer.get("policy") or {}
        return SignerKeys(
            {name: bytes.fromhex(text[2:]) for name, text in answer["keys"].items()},
            str(policy.get("name", "")),
            str(policy.get("hash", "")),
        )

    async def journal(self) -> JournalHead:
        """The size and the root of the node's journal."""
        answer = msgspec.json.decode(await self._request("GET", "/v1/journal"))
        return JournalHead(int(answer["size"]), bytes.fromhex(answer["root"][2:]))

    async def derive(
        self, indices: Sequence[int], credentials: Sequence[str | None] = ()
    ) -> list[bytes | RefusedKey]:
        """The address of each customer key, or why there is none; the same index gives the same for ever.

        `credentials`, one (or None) for each index, are bound to keys that are new, as JSON.
        """
        body: dict[str, Any] = {"indices": list(indices)}
        if any(credentials):
            body["credentials"] = [_raw(credential) for credential in credentials]
        answer = msgspec.json.decode(await self._request("POST", "/v1/keys:derive", body))
        addresses, refusals = answer["addresses"], iter(answer.get("refusals", ()))
        refused = addresses.count(None)
        if len(addresses) != len(indices) or refused != len(answer.get("refusals", ())):
            raise SignerUnavailable(f"{len(indices)} keys were asked for, {len(addresses)} came")
        return [
            _refused_key(next(refusals)) if text is None else bytes.fromhex(text[2:]) for text in addresses
        ]

    async def sign_payments(
        self,
        chain_id: int,
        contract: bytes,
        domain_name: str,
        valid_before_s: int,
        payments: Sequence[PaymentToSign],
    ) -> list[SignedPayment | RefusedPayment | PendingPayment]:
        """One signature, refusal or wait for officers for each payment, in order."""
        body = {
            "chain_id": chain_id,
            "contract": address_text(contract),
            "domain_name": domain_name,
            "valid_before_s": valid_before_s,
            "payments": [
                {
                    "payment_id": str(payment.payment_id),
                    "attempt": payment.attempt,
                    "payer": "0x" + payment.payer.hex(),
                    "payee": "0x" + payment.payee.hex(),
                    "amount_minor": payment.amount_minor,
                    "nonce_floor": payment.nonce_floor,
                    **({} if payment.proof is None else {"proof": _raw(payment.proof)}),
                }
                for payment in payments
            ],
        }
        answer = msgspec.json.decode(await self._request("POST", "/v1/payments:sign", body), type=_Results)
        asked = [str(payment.payment_id) for payment in payments]
        if [result.payment_id for result in answer.results] != asked:
            raise SignerUnavailable("the results are not those of the payments that were asked for")
        return [
            _outcome(payment.payment_id, result)
            for payment, result in zip(payments, answer.results, strict=True)
        ]

    async def register_mandates(self, mandates: Sequence[MandateToRegister]) -> list[str | None]:
        """For each mandate, in order, the code with which the node refuses it, or None: it holds from now
        on.
        """
        body = {
            "mandates": [
                {
                    "mandate_id": str(mandate.mandate_id),
                    "payer": "0x" + mandate.payer.hex(),
                    "payee": "0x" + mandate.payee.hex(),
                    "cap_minor": mandate.cap_minor,
                    "period": mandate.period,
                    "starts_at_s": mandate.starts_at_s,
                    "expires_at_s": mandate.expires_at_s,
                    "approval": _raw(mandate.approval),
                }
                for mandate in mandates
            ]
        }
        answer = msgspec.json.decode(await self._request("POST", "/v1/mandates", body), type=_MandateResults)
        if [result.mandate_id for result in answer.results] != [str(each.mandate_id) for each in mandates]:
            raise SignerUnavailable("the results are not those of the mandates that were given")
        return [None if each.refusal is None else str(each.refusal["code"]) for each in answer.results]

    async def revoke_mandates(self, mandate_ids: Sequence[UUID]) -> None:
        """No payment is signed under these any more."""
        await self._request(
            "POST", "/v1/mandates:revoke", {"mandate_ids": [str(each) for each in mandate_ids]}
        )

    async def change_credential(self, change: CredentialChangeToAsk) -> None:
        """Bind one credential in the place of another. A change that was made is not made again.

        Raises `ApprovalPending` while officers have to approve it: nothing is changed yet, ask again.
        """
        body = {
            "change_id": str(change.change_id),
            "wallet": "0x" + change.wallet.hex(),
            "bind": _raw(change.bind),
            "unbind": change.unbind,
            "approval": None,
        }
        await self._request("POST", "/v1/credentials:change", body)

    async def sign_transaction(self, transaction: TransactionToSign) -> SignedTransaction:
        """The signed transaction; the same id gives the same nonce, and the same bytes unless fees rise.

        Raises `ApprovalPending` while officers have to approve it: nothing is signed yet, ask again.
        """
        body = {
            "transaction_id": str(transaction.transaction_id),
            "key": transaction.key,
            "chain_id": transaction.chain_id,
            "to": address_text(transaction.to),
            "value": 0,
            "data": "0x" + transaction.data.hex(),
            "gas": transaction.gas,
            "max_fee_per_gas": transaction.max_fee_per_gas,
            "max_priority_fee_per_gas": transaction.max_priority_fee_per_gas,
            "nonce_floor": transaction.nonce_floor,
        }
        if transaction.listed_accounts:
            body["listed_accounts"] = "0x" + transaction.listed_accounts.hex()
        answer = msgspec.json.decode(await self._request("POST", "/v1/transactions:sign", body))
        raw, raw_hash = bytes.fromhex(answer["raw"][2:]), bytes.fromhex(answer["hash"][2:])
        if keccak(raw) != raw_hash:
            raise SignerUnavailable("the hash is not that of the signed bytes")
        return SignedTransaction(int(answer["nonce"]), raw, raw_hash)

    async def _request(self, method: str, path: str, body: Any = None) -> bytes:
        if self._session is None:
            raise SignerUnavailable("the client is closed")
        data = None if body is None else msgspec.json.encode(body)
        try:
            async with self._session.request(
                method, path, data=data, headers={"content-type": "application/json"}
            ) as response:
                content = await response.read()
                status = response.status
        except (TimeoutError, aiohttp.ClientError, OSError) as failure:
            raise SignerUnavailable(type(failure).__name__) from failure
        if status == 200:
            return content
        if status == 202:
            pending = msgspec.json.decode(content)
            raise ApprovalPending(str(pending["operation_id"]), pending["approvals"], pending["needed"])
        code, detail = _problem(content)
        # who may ask is the node's set-up, and says nothing about what was asked for
        if status in {400, 403, 422} and code != "CallerNotAllowed":
            raise SignerRefused(code, detail)
        raise SignerUnavailable(f"HTTP status {status}, {code}: {detail}")


def _raw(text: str | None) -> msgspec.Raw | None:
    """JSON that is passed on as it is."""
    return None if text is None else msgspec.Raw(text.encode())


def _refused_key(refusal: dict[str, Any]) -> RefusedKey:
    return RefusedKey(str(refusal["code"]), str(refusal["detail"]))


def _problem(content: bytes) -> tuple[str, str]:
    try:
        problem = msgspec.json.decode(content)
        return str(problem["code"]), str(problem.get("detail", ""))
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        return "Unreadable", ""


def _outcome(payment_id: UUID, result: _Result) -> SignedPayment | RefusedPayment | PendingPayment:
    if result.pending is not None:
        return PendingPayment(payment_id)
    if result.refusal is not None:
        return RefusedPayment(payment_id, str(result.refusal["code"]), str(result.refusal.get("detail", "")))
    if result.nonce is None or result.signature is None or len(result.signature) != 130:
        raise SignerUnavailable("a result is neither a signature nor a refusal")
    signature = bytes.fromhex(result.signature[2:])
    return SignedPayment(payment_id, result.nonce, signature[:32], signature[32:])
