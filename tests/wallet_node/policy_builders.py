"""Policies with officers, whose keys are known, and facts to judge."""

import base64
import hashlib
from collections import defaultdict
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from node_builders import POLICIES

from wallet_node.officers import approvals
from wallet_node.officers.approvals import APPROVE, Operation, Statement
from wallet_node.policy.file import Officer
from wallet_node.policy.policy import PaymentFacts, Policy, Spent, TransactionFacts, Used, selector
from wallet_node.policy.template import complete

WALLET = b"\x77" * 20
MONDAY_8_40_S = 1_799_656_800  # 11 January 2027, UTC
OFFICERS = ("first-officer", "second-officer", "third-officer")
HEAD = """
name: tested
version: 1
summary: A policy for one test.
nonces: {longest_payment_jump: 10, longest_transaction_jump: 10}
longest_validity_s: 600
"""
PROOFS = 'customer_proof: {rp_id: localhost, origins: ["http://localhost"]}\n'


@cache
def officer_key(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


def public_text(name: str) -> str:
    raw = officer_key(name).public_key().public_bytes_raw()
    return "ed25519:" + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def officers(*names: str) -> list[Officer]:
    return [Officer(name, public_text(name)) for name in names or OFFICERS]


def officers_text(*names: str) -> str:
    listed = ", ".join(f'{{name: {name}, key: "{public_text(name)}"}}' for name in names or OFFICERS)
    return f"officers: [{listed}]\n"


@cache
def bundled(name: str) -> Policy:
    return Policy(complete(POLICIES.joinpath(f"{name}.yaml").read_bytes(), officers()))


def policy(rules: str = "", head: str = HEAD) -> Policy:
    return Policy((head + rules).encode())


def facts(
    payer: str = "derived",
    payee: str = "other",
    amount_minor: int = 100,
    *,
    first: bool = True,
    proof: bool = False,
    now_s: int = MONDAY_8_40_S,
    intent: str = "payment",
) -> PaymentFacts:
    return PaymentFacts(WALLET, payer, payee, amount_minor, now_s, first, proof, intent)


def call(key: str, signature: str, **changes: object) -> TransactionFacts:
    given: dict[str, object] = {
        "key": key,
        "target": "currency",
        "selector": selector(signature),
        "value_wei": 0,
        "gas": 100_000,
        "max_fee_per_gas_wei": 1,
        "now_s": MONDAY_8_40_S,
    }
    return TransactionFacts(**(given | changes))


def spent(used: dict[tuple[str, bytes], tuple[int, int]] | None = None) -> Spent:
    """(24 hours, 168 hours) by ledger and subject; nothing of the rest."""
    found: dict[tuple[str, bytes], Used] = defaultdict(Used)
    found |= {key: Used(day, week) for key, (day, week) in (used or {}).items()}
    return found


NOTHING = spent()


def statement(
    operation: Operation, officer: str, policy: Policy, expires_at_s: int, verb: int = APPROVE
) -> Statement:
    """What the officer's key signs."""
    signed = approvals.message(verb, operation.digest, policy.digest, expires_at_s)
    signature = officer_key(officer).sign(signed)
    return Statement(operation.operation_id, officer, verb, expires_at_s, signature)
