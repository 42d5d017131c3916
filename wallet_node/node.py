"""The node itself: the verbs behind the HTTP routes, whatever carries the requests."""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wallet_node.addresses import checksummed
from wallet_node.calls import TransactionSigner
from wallet_node.deployment import BoundDeployment
from wallet_node.errors import Refusal, RefusedByNode, SignatureCheckFailed
from wallet_node.intents import Derivation, PaymentBatch, Transaction, address_bytes
from wallet_node.journal import Journal
from wallet_node.keystore.file_provider import FileKeyProvider
from wallet_node.keystore.files import Secrets
from wallet_node.payments import PaymentSigner, Signed, answer_fields
from wallet_node.policy import Policy
from wallet_node.signing import self_test
from wallet_node.store import Store


class WalletNode:
    """One unlocked home. Used by one thread: requests are decided one after the other."""

    def __init__(
        self, home: Path, secrets: Secrets, policy: Policy, clock: Callable[[], float] = time.time
    ) -> None:
        self.policy = policy
        self._clock = clock
        self._store = Store(home / "journal.sqlite3")
        self._keys = FileKeyProvider(secrets, self._store)
        self._journal = Journal(self._store, policy.digest, policy.source)
        self._deployment = BoundDeployment(home, self._store)
        self._payments = PaymentSigner(self._keys, self._journal, policy)
        self._transactions = TransactionSigner(self._keys, self._journal, policy)
        self.is_sound = False
        self.signatures: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()

    def test_itself(self) -> None:
        """Sign and verify with every institutional key. Raises SignatureCheckFailed."""
        for name in self._keys.named:
            self_test(self._keys.named_key(name))
        self.is_sound = True

    def keys(self) -> dict[str, Any]:
        """What this node can sign with, and under which policy."""
        return {
            "keys": {name: checksummed(address) for name, address in self._keys.named.items()},
            "derived": self._keys.derived_count,
            "policy": {"name": self.policy.name, "hash": "0x" + self.policy.digest.hex()},
        }

    def journal(self) -> dict[str, Any]:
        """How long the journal is and its head, for whoever keeps them elsewhere."""
        return {"size": self._journal.length, "head": "0x" + self._journal.head.hex()}

    def derive(self, request: Derivation) -> dict[str, Any]:
        """Addresses of customer keys; repeating gives the same. Raises RefusedByNode."""
        refusals = self.policy.evaluate_derivation(max(request.indices)).refusals
        if refusals:
            raise RefusedByNode(refusals)
        return {"addresses": [checksummed(address) for address in self._keys.derive(request.indices)]}

    def sign_payments(self, batch: PaymentBatch) -> dict[str, Any]:
        """Sign what policy and the nonce rules allow; answer each payment in its place."""
        deployment = self._deployment.require_same(
            batch.chain_id, address_bytes(batch.contract), batch.domain_name
        )
        try:
            answers = self._payments.sign(batch, deployment, int(self._clock()))
        except SignatureCheckFailed:
            self.is_sound = False
            raise
        signed = 0
        for answer in answers:
            if isinstance(answer, Signed):
                signed += 1
            else:
                self.refusals[answer.reasons[0].code] += 1
        self.signatures["payment"] += signed
        return {"results": list(map(answer_fields, batch.payments, answers))}

    def sign_transaction(self, intent: Transaction) -> dict[str, Any]:
        """Sign one call. Raises RefusedByNode with every reason."""
        deployment = self._deployment.require()
        if intent.chain_id != deployment.chain_id:
            detail = f"this node signs for chain {deployment.chain_id} only"
            raise RefusedByNode((Refusal("WrongDeployment", detail),))
        try:
            signed = self._transactions.sign(intent, deployment, int(self._clock()))
        except SignatureCheckFailed:
            self.is_sound = False
            raise
        self.signatures["transaction"] += 1
        return {
            "nonce": signed.nonce,
            "raw": "0x" + signed.raw.hex(),
            "hash": "0x" + signed.transaction_hash.hex(),
        }

    def readiness(self) -> dict[str, Any]:
        """Ready when every expected key is loaded and the self-test verified."""
        return {
            "ready": self.is_sound,
            "keys": len(self._keys.named),
            "derived": self._keys.derived_count,
            "journal_rows": self._journal.length,
            "bound": self._deployment.is_bound,
            "policy": self.policy.name,
        }

    def close(self) -> None:
        """Close the store."""
        self._store.close()
