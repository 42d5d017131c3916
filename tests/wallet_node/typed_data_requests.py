"""Requests for structures' signatures: the policy that allows them, intents, and how an answer is read."""

import json
import uuid
from typing import Any

from node_builders import DOMAIN, STRANGER, VALID_BEFORE_S
from policy_builders import OFFICERS, officers_text

from contracts.batch import Entry, pack_fan_out
from contracts.typed_data import PaymentDomain
from wallet_node import strict_json
from wallet_node.errors import RefusedByNode
from wallet_node.intents.requests import TypedData
from wallet_node.intents.typed_intents import TypedIntent, digest, with_terms
from wallet_node.keystore.signatures import expand
from wallet_node.keystore.software_key import recover
from wallet_node.node import WalletNode

HEAD = f"""
name: tested
version: 1
summary: Customers sign structures.
nonces: {{longest_payment_jump: 10, longest_transaction_jump: 10}}
longest_validity_s: 600
customers: {{highest_index: 99}}
{officers_text()}
quorums: [{{name: two, approvals: 2, officers: [{", ".join(OFFICERS)}], valid_s: 3600}}]
"""
ALL_KINDS = "intents: [payment, fan_out, permit, authorization]"
OPEN = f"""
payments:
  - {{name: all, effect: allow, payer: any, payee: any, {ALL_KINDS}}}
  - {{name: moves, effect: allow, payer: any, payee: any, intents: [account_move]}}
"""


def policy_text(rules: str = OPEN, more: str = "") -> bytes:
    return (HEAD + more + rules).encode()


def packed(*entries: tuple[str, int]) -> str:
    return "0x" + pack_fan_out([Entry(bytes.fromhex(payee[2:]), amount) for payee, amount in entries]).hex()


def fan_out(payer: str, *entries: tuple[str, int], **changes: Any) -> dict[str, Any]:
    return {
        "type": "FanOut",
        "payer": payer,
        "payments": packed(*(entries or [(STRANGER, 100)])),
        "nonce": 0,
        "valid_before_s": VALID_BEFORE_S,
    } | changes


def permit(owner: str, **changes: Any) -> dict[str, Any]:
    return {
        "type": "Permit",
        "owner": owner,
        "spender": STRANGER,
        "amount_minor": 100,
        "nonce": 0,
        "deadline_s": VALID_BEFORE_S,
    } | changes


def authorization(payer: str, kind: str = "Transfer", **changes: Any) -> dict[str, Any]:
    return {
        "type": f"{kind}WithAuthorization",
        "payer": payer,
        "payee": STRANGER,
        "amount_minor": 100,
        "valid_after_s": 0,
        "valid_before_s": VALID_BEFORE_S,
        "nonce": "0x" + "a7" * 32,
    } | changes


def cancellation(authorizer: str, **changes: Any) -> dict[str, Any]:
    return {"type": "CancelAuthorization", "authorizer": authorizer, "nonce": "0x" + "a7" * 32} | changes


def move(owner: str, **changes: Any) -> dict[str, Any]:
    return {
        "type": "AccountMove",
        "owner": owner,
        "participant": 2,
        "tier": 1,
        "is_linked": False,
        "nonce": 0,
        "valid_before_s": VALID_BEFORE_S,
    } | changes


def asking(intent: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"intent_id": str(uuid.uuid4()), "attempt": 1, "intent": intent} | changes


def sign(node: WalletNode, request: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request that is signed or waits."""
    answer: dict[str, Any] = node.sign_typed_data(strict_json.decode(json.dumps(request).encode(), TypedData))
    return answer


def refused(node: WalletNode, request: dict[str, Any]) -> list[str]:
    """Every code of a request that is refused."""
    try:
        answer = sign(node, request)
    except RefusedByNode as refusal:
        return [reason.code for reason in refusal.reasons]
    raise AssertionError(answer)


def intent_of(request: dict[str, Any], answer: dict[str, Any]) -> TypedIntent:
    """What was signed: the intent under the nonce that the answer names."""
    intent = strict_json.convert(request["intent"], TypedIntent)
    if isinstance(answer["nonce"], str):
        return intent
    until = request["intent"].get("valid_before_s", request["intent"].get("deadline_s"))
    return with_terms(intent, answer["nonce"], until)


def recoverable(answer: dict[str, Any]) -> bytes:
    """r | s | recovery id, whatever the encoding says."""
    signature = bytes.fromhex(answer["signature"][2:])
    if answer["encoding"] == "eip-2098":
        return expand(signature)
    assert answer["encoding"] == "r-s-v"
    return signature[:64] + bytes([signature[64] - 27])


def signed_by(request: dict[str, Any], answer: dict[str, Any], domain: PaymentDomain = DOMAIN) -> str:
    """Whose signature it is."""
    hashed = digest(intent_of(request, answer), domain.separator)
    return "0x" + recover(hashed, recoverable(answer)).hex()
