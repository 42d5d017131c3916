"""What the node's tests start from: a home with known keys, and well-formed requests to bend."""

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from contracts.typed_data import PaymentDomain
from wallet_node import strict_json
from wallet_node.deployment import Binding, bind
from wallet_node.intents.requests import Derivation, PaymentBatch, Transaction
from wallet_node.keystore.files import Secrets
from wallet_node.keystore.software_key import SoftwareKey
from wallet_node.node import WalletNode
from wallet_node.policy.policy import Policy

CHAIN_ID = 131_277_322_940_537
CONTRACT = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
NOTARY = "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512"
DOMAIN_NAME = "Czech koruna"
DOMAIN = PaymentDomain(DOMAIN_NAME, CHAIN_ID, bytes.fromhex(CONTRACT[2:]))
SEED = bytes(range(32))
INSTITUTION_SECRET = bytes.fromhex("11" * 32)
NOW_S = 1_800_000_000
VALID_BEFORE_S = NOW_S + 600
STRANGER = "0x" + "ab" * 20

POLICIES = files("wallet_node").joinpath("policies")
"""The templates that ship with the node."""
NO_PROOF_FILE = Path(__file__).parents[1] / "policies" / "no-proof.yaml"
NO_PROOF = NO_PROOF_FILE.read_bytes()
NO_QUORUM = NO_PROOF_FILE.with_name("no-quorum.yaml").read_bytes()


class Clock:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.now_s: float = NOW_S

    def __call__(self) -> float:
        return self.now_s


@cache
def known_secrets(*names: str) -> Secrets:
    """The same seed and keys in every run, so that what depends on their bytes is the same as well."""
    named = {
        name: SoftwareKey(bytes([17 + place]) * 32) for place, name in enumerate(names or ["institution"])
    }
    return Secrets(SEED, named)


@cache
def _policy(source: bytes) -> Policy:
    return Policy(source)


@dataclass
class Home:
    """One home directory, and the nodes opened on it one after the other."""

    path: Path
    clock: Clock = field(default_factory=Clock)
    opened: list[WalletNode] = field(default_factory=list)

    def bind(self) -> "Home":
        bind(self.path, Binding(CHAIN_ID, CONTRACT, DOMAIN_NAME, NOTARY))
        return self

    def open(self, policy: bytes = NO_PROOF, names: Sequence[str] = ()) -> WalletNode:
        """A node on this home, after closing the one before: a restart."""
        self.close()
        node = WalletNode(self.path, known_secrets(*names), _policy(policy), self.clock)
        node.test_itself()
        self.opened.append(node)
        return node

    def close(self) -> None:
        while self.opened:
            self.opened.pop().close()


Customers = Callable[[WalletNode, int], list[str]]


def customers(node: WalletNode, count: int) -> list[str]:
    addresses: list[str] = node.derive(Derivation(tuple(range(count))))["addresses"]
    return addresses


def payment(payer: str, payee: str = STRANGER, amount_minor: int = 100, **changes: Any) -> dict[str, Any]:
    return {
        "payment_id": str(uuid.uuid4()),
        "attempt": 1,
        "payer": payer,
        "payee": payee,
        "amount_minor": amount_minor,
        "nonce_floor": 0,
    } | changes


def batch(*payments: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "chain_id": CHAIN_ID,
        "contract": CONTRACT,
        "domain_name": DOMAIN_NAME,
        "valid_before_s": VALID_BEFORE_S,
        "payments": list(payments),
    } | changes


def transaction(data: str, key: str = "institution", **changes: Any) -> dict[str, Any]:
    return {
        "transaction_id": str(uuid.uuid4()),
        "key": key,
        "chain_id": CHAIN_ID,
        "to": CONTRACT,
        "value": 0,
        "data": data,
        "gas": 100_000,
        "max_fee_per_gas": 2_000_000_000,
        "max_priority_fee_per_gas": 1_000_000_000,
        "nonce_floor": 0,
    } | changes


def sign(node: WalletNode, request: dict[str, Any]) -> list[dict[str, Any]]:
    """The results of a payments request, as a caller reads them."""
    results: list[dict[str, Any]] = node.sign_payments(
        strict_json.decode(json.dumps(request).encode(), PaymentBatch)
    )["results"]
    return results


def sign_one(node: WalletNode, request: dict[str, Any]) -> dict[str, Any]:
    """The result of a transaction request."""
    return node.sign_transaction(strict_json.decode(json.dumps(request).encode(), Transaction))


def codes(result: dict[str, Any]) -> list[str]:
    """Every reason of a refused payment."""
    return [reason.code for reason in result["refusal"]["reasons"]]
