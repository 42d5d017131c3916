"""A throwaway signer to measure: a home under the sandbox bank's policy, its customers, and requests to it.

Requests are written as the bank's API writes them (api/chain/signer_client.py, api/proofs.py).
"""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from contracts.customer_approvals import Mandate, payment_approval_digest
from contracts.typed_data import PaymentDomain
from scripts.country.authenticator import SoftwareAuthenticator
from scripts.country.institutions import OFFICERS
from scripts.country.officers import Officer, complete_policy
from wallet_node import strict_json
from wallet_node.customers.mandates import MandateRegistrations
from wallet_node.deployment import Binding, bind
from wallet_node.intents.requests import Derivation
from wallet_node.keystore.envelopes import KeyDerivation
from wallet_node.keystore.files import create, unlock
from wallet_node.node import WalletNode
from wallet_node.policy.policy import Policy

CHAIN_ID = 31_337
CONTRACT = bytes.fromhex("c0" * 20)
DOMAIN_NAME = "Measured"
SEPARATOR = PaymentDomain(DOMAIN_NAME, CHAIN_ID, CONTRACT).separator
MOST_ENROLLED = 10_000

_AT_ONCE = 1_000
_HIGHEST_AMOUNT_MINOR = 50  # far below what the low-value rule allows a wallet, so that nothing is refused
_MANDATE_CAP_MINOR = 10**9
_VALID_S = 3_600

Proof = Literal["none", "assertion", "mandate"]


class _Enrolled(msgspec.Struct, frozen=True):
    """A customer with a passkey, named by `reference`, and a mandate."""

    reference: str
    mandate_id: uuid.UUID
    payee: bytes


class SignerHome:
    """A home in `directory`, which is empty, and what its customers have. Keys are in files, under a
    passphrase; `terms` are argon2id's, a new node's own unless given.
    """

    def __init__(self, directory: Path, terms: KeyDerivation | None = None) -> None:
        self.path = directory / "home"
        self.passphrase_file = directory / "passphrase"
        self.policy_file = directory / "policy.yaml"
        self.wallets: list[str] = []
        """Every customer's address."""
        self.enrolled: list[str] = []
        """Those of customers who have a passkey and a mandate."""
        self._enrolled: dict[str, _Enrolled] = {}
        self._authenticator = SoftwareAuthenticator(os.urandom(32))
        self._random = random.Random(4)  # noqa: S311 - who pays whom is no secret
        passphrase = os.urandom(16).hex()
        self.passphrase_file.touch(mode=0o600)
        self.passphrase_file.write_text(passphrase)
        officers = [Officer.open(directory / "officers", name) for name in OFFICERS]
        self.policy_file.write_bytes(complete_policy("sandbox-bank", officers))
        self._policy = Policy.load(self.policy_file)
        self.path.mkdir(mode=0o700)
        create(self.path / "keystore", passphrase.encode(), ["institution"], terms)
        bind(self.path, Binding(CHAIN_ID, _text(CONTRACT), DOMAIN_NAME))

    def open(self) -> WalletNode:
        """The node in this process; nothing is cached yet."""
        secrets = unlock(self.path / "keystore", self.passphrase_file.read_bytes())
        return WalletNode(self.path, secrets, self._policy)

    # ------------------------------------------------------------------------------------------ customers

    def add_customers(self, node: WalletNode, count: int, advance: Callable[[int], None]) -> None:
        """Derive so many wallets; up to 10,000 of them, evenly spread, are enrolled."""
        apart = -(-count // MOST_ENROLLED)
        for first in range(0, count, _AT_ONCE):
            indices = range(first, min(first + _AT_ONCE, count))
            fields = self._authenticator.credential_fields
            credentials = [None if index % apart else fields(str(index)) for index in indices]
            body = msgspec.json.encode({"indices": list(indices), "credentials": credentials})
            found = node.derive(strict_json.decode(body, Derivation))["addresses"]
            addresses = [address.lower() for address in found]
            self._enrol(
                node,
                {
                    payer: _Enrolled(str(index), uuid.uuid4(), os.urandom(20))
                    for index, payer in zip(indices, addresses, strict=True)
                    if index % apart == 0
                },
            )
            self.wallets += addresses
            advance(len(addresses))

    def _enrol(self, node: WalletNode, customers: dict[str, _Enrolled]) -> None:
        self._enrolled |= customers
        self.enrolled += customers
        now_s = int(time.time())
        mandates = [
            self._mandate(payer, customer, now_s, now_s + _VALID_S) for payer, customer in customers.items()
        ]
        if mandates:
            body = msgspec.json.encode({"mandates": mandates})
            results = node.register_mandates(strict_json.decode(body, MandateRegistrations))["results"]
            assert not any("refusal" in each for each in results), results

    def _mandate(self, payer: str, customer: _Enrolled, now_s: int, until_s: int) -> dict[str, Any]:
        given = Mandate(
            customer.mandate_id.bytes,
            _raw(payer),
            customer.payee,
            _MANDATE_CAP_MINOR,
            "day",
            now_s,
            until_s,
            until_s,
        )
        approval = self._approve(customer, given.digest(SEPARATOR), until_s)
        return {
            "mandate_id": str(customer.mandate_id),
            "payer": payer,
            "payee": _text(customer.payee),
            "cap_minor": _MANDATE_CAP_MINOR,
            "period": "day",
            "starts_at_s": now_s,
            "expires_at_s": until_s,
            "approval": approval,
        }

    def _approve(self, customer: _Enrolled, challenge: bytes, until_s: int) -> dict[str, Any]:
        party = self._policy.file.customer_proof
        assert party is not None, "the sandbox bank says where its customers use their passkeys"
        fields = self._authenticator.assertion_fields(
            customer.reference, challenge, party.rp_id, party.origins[0]
        )
        return {**fields, "expires_at_s": until_s}

    # ------------------------------------------------------------------------------------------ requests

    def some(self, among: Sequence[str], count: int) -> list[str]:
        """So many different wallets, drawn at random."""
        return self._random.sample(among, min(count, len(among)))

    def request(self, payers: Sequence[str], proof: Proof = "none") -> bytes:
        """The body of a request: one new payment of each payer."""
        return msgspec.json.encode(
            {
                "chain_id": CHAIN_ID,
                "contract": _text(CONTRACT),
                "domain_name": DOMAIN_NAME,
                "valid_before_s": int(time.time()) + _VALID_S,
                "payments": [self._payment(payer, proof) for payer in payers],
            }
        )

    def _payment(self, payer: str, proof: Proof) -> dict[str, Any]:
        payment_id, payee = uuid.uuid4(), os.urandom(20)
        if proof == "mandate":
            payee = self._enrolled[payer].payee
        amount_minor = self._random.randint(1, _HIGHEST_AMOUNT_MINOR)
        payment = {
            "payment_id": str(payment_id),
            "attempt": 1,
            "payer": payer,
            "payee": _text(payee),
            "amount_minor": amount_minor,
            "nonce_floor": 0,
        }
        if proof == "assertion":
            until_s = int(time.time()) + _VALID_S
            digest = payment_approval_digest(
                SEPARATOR,
                payment_id.bytes,
                _raw(payer),
                payee,
                amount_minor=amount_minor,
                expires_at_s=until_s,
            )
            approval = self._approve(self._enrolled[payer], digest, until_s)
            return {**payment, "proof": {"kind": "assertion", **approval}}
        if proof == "mandate":
            mandate_id = str(self._enrolled[payer].mandate_id)
            return {**payment, "proof": {"kind": "mandate", "mandate_id": mandate_id}}
        return payment


def _raw(address: str) -> bytes:
    return bytes.fromhex(address[2:])


def _text(address: bytes) -> str:
    return "0x" + address.hex()
