"""Every route but those that the HTTP application answers for itself: which verb of the node it is, what it
takes, what it answers. callers.py says who may use it, openapi.py describes it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from wallet_node import answers
from wallet_node.customers.credential_changes import CredentialChangeRequest, CredentialChangeStop
from wallet_node.customers.mandates import MandateRegistrations, MandateRevocations
from wallet_node.intents.requests import (
    Derivation,
    ExplainRequest,
    JournalConsistency,
    JournalInclusion,
    JournalRows,
    OperationsPage,
    PaymentBatch,
    PolicyChange,
    Repair,
    Transaction,
    TypedData,
)
from wallet_node.node import WalletNode
from wallet_node.officers.desk import OfficerStatement
from wallet_node.web3signer.wire import SIGN_PATHS, TEXT, JsonRpc, Web3SignerWire

JSON = "application/json"
SIGN_PATH = SIGN_PATHS + "{identifier}"


class Route(msgspec.Struct, frozen=True):
    """One verb. `function` takes the node, then what it `takes`: the body of a POST, the query of a GET.

    It returns the content of a 200, or (status, content). `answers` describes them, by status. One that
    is shared is a coroutine: its commit is for whatever is under way. The others find everything durable.
    Those of WIRE_ROUTES take the wire and the body as it came, and return status, content type and bytes.
    What may ask officers takes the caller's entry in the policy behind the rest (`is_for_caller`).
    """

    function: Callable[..., Any]
    takes: Any = None
    answers: Mapping[int, Any] = {}
    content_type: str = JSON
    is_shared: bool = False
    is_for_caller: bool = False


def _liveness(_: WalletNode) -> Any:
    """The process answers."""
    return {"alive": True}


def _readiness(node: WalletNode) -> Any:
    """Ready when every expected key is loaded and the self-test verified."""
    return (200 if node.is_sound else 503), node.readiness()


ROUTES: Mapping[tuple[str, str], Route] = {
    ("GET", "/healthz"): Route(_liveness, None, {200: answers.Liveness}),
    ("GET", "/readyz"): Route(_readiness, None, {200: answers.Readiness, 503: answers.Readiness}),
    ("GET", "/v1/keys"): Route(WalletNode.keys, None, {200: answers.Keys}),
    ("GET", "/v1/journal"): Route(WalletNode.journal, None, {200: answers.JournalHead}),
    ("GET", "/v1/journal/inclusion"): Route(
        WalletNode.journal_inclusion, JournalInclusion, {200: answers.JournalInclusion}
    ),
    ("GET", "/v1/journal/consistency"): Route(
        WalletNode.journal_consistency, JournalConsistency, {200: answers.JournalConsistency}
    ),
    ("GET", "/v1/journal/rows"): Route(WalletNode.journal_rows, JournalRows, {200: answers.JournalRows}),
    ("POST", "/v1/keys:derive"): Route(WalletNode.derive, Derivation, {200: answers.Addresses}),
    ("POST", "/v1/payments:sign"): Route(
        WalletNode.sign_payments_together,
        PaymentBatch,
        {200: answers.PaymentResults},
        is_shared=True,
        is_for_caller=True,
    ),
    ("POST", "/v1/transactions:sign"): Route(
        WalletNode.sign_transaction_together,
        Transaction,
        {200: answers.SignedTransaction, 202: answers.Pending},
        is_shared=True,
        is_for_caller=True,
    ),
    ("POST", "/v1/typed-data:sign"): Route(
        WalletNode.sign_typed_data,
        TypedData,
        {200: answers.SignedTypedData, 202: answers.Pending},
        is_for_caller=True,
    ),
    ("POST", "/v1/transactions:repair"): Route(
        WalletNode.repair_transaction,
        Repair,
        {200: answers.SignedTransaction, 202: answers.Pending},
        is_for_caller=True,
    ),
    ("POST", "/v1/mandates"): Route(
        WalletNode.register_mandates, MandateRegistrations, {200: answers.MandateResults}
    ),
    ("POST", "/v1/mandates:revoke"): Route(
        WalletNode.revoke_mandates, MandateRevocations, {200: answers.Revoked}
    ),
    ("POST", "/v1/credentials:change"): Route(
        WalletNode.change_credential,
        CredentialChangeRequest,
        {200: answers.CredentialChanged, 202: answers.Pending},
        is_for_caller=True,
    ),
    ("POST", "/v1/credentials:refuse"): Route(
        WalletNode.refuse_credential_change, CredentialChangeStop, {200: answers.CredentialRefused}
    ),
    ("GET", "/v1/operations"): Route(WalletNode.operations, OperationsPage, {200: answers.Operations}),
    ("POST", "/v1/operations:approve"): Route(
        WalletNode.approve_operation, OfficerStatement, {200: answers.OperationState}
    ),
    ("POST", "/v1/operations:withdraw"): Route(
        WalletNode.withdraw_operation, OfficerStatement, {200: answers.OperationState}
    ),
    ("POST", "/v1/policy:change"): Route(
        WalletNode.change_policy,
        PolicyChange,
        {200: answers.PolicyInForce, 202: answers.Pending},
        is_for_caller=True,
    ),
    ("POST", "/v1/intents:explain"): Route(WalletNode.explain, ExplainRequest, {200: dict[str, Any]}),
}

WIRE_ROUTES: Mapping[tuple[str, str], Route] = {
    ("POST", "/"): Route(
        Web3SignerWire.json_rpc,
        JsonRpc,
        {200: answers.JsonRpc, 400: answers.JsonRpcResponse},
        is_for_caller=True,
    ),
    ("POST", SIGN_PATH): Route(Web3SignerWire.sign_bytes),
    ("GET", "/api/v1/eth1/publicKeys"): Route(Web3SignerWire.public_keys, None, {200: list[answers.Point]}),
    ("GET", "/upcheck"): Route(Web3SignerWire.upcheck, None, {200: str}, TEXT),
    ("GET", "/healthcheck"): Route(
        Web3SignerWire.health, None, {200: answers.WireHealth, 503: answers.WireHealth}
    ),
    ("GET", "/reload"): Route(Web3SignerWire.reload_status, None, {200: answers.WireStatus}),
    ("POST", "/reload"): Route(Web3SignerWire.reload, None, {200: answers.WireStatus}),
}
"""web3signer's wire."""


def described_path(path: str) -> str:
    """The path as the tables have it: what is named in a path has a place there."""
    return SIGN_PATH if path.startswith(SIGN_PATHS) else path
