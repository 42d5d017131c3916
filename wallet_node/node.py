"""The node itself: the verbs behind the HTTP routes, whatever carries the requests."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wallet_node.addresses import checksummed
from wallet_node.callers import Caller, must_name
from wallet_node.customers.consent import Consent
from wallet_node.customers.credential_changes import CredentialChangeRequest, CredentialChangeStop
from wallet_node.customers.mandates import MandateRegistrations, MandateRevocations
from wallet_node.deployment import BoundDeployment, Deployment
from wallet_node.errors import Refusal, RefusedByNode, SignatureCheckFailed, SigningStopped
from wallet_node.fields import address_bytes, identifier_bytes
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
from wallet_node.journal.group import JournalGroup
from wallet_node.journal.journal import Journal
from wallet_node.journal.nonces import TRANSACTION, KnownIntent, Space
from wallet_node.journal.pages import Page
from wallet_node.keystore.file_provider import FileKeyProvider
from wallet_node.keystore.files import Secrets
from wallet_node.keystore.signatures import public_key, self_test
from wallet_node.officers.desk import (
    Done,
    OfficersDesk,
    OfficerStatement,
    Proposer,
    Waiting,
    proposal,
)
from wallet_node.policy import change as policy_change
from wallet_node.policy.policy import Policy
from wallet_node.policy.spending import Spending
from wallet_node.signers import typed_data
from wallet_node.signers.explaining import Explainer
from wallet_node.signers.payments import Answer as PaymentAnswer
from wallet_node.signers.payments import PaymentSigner, Signed, answer_fields
from wallet_node.signers.payments_desk import Refused
from wallet_node.signers.repairs import GapRepairer
from wallet_node.signers.transactions import SignedTransaction, TransactionSigner
from wallet_node.signers.typed_data import SignedTypedData, TypedDataSigner
from wallet_node.store import Store

Answer = dict[str, Any]
_ACCEPTED = 202
_FIRST_PAGE = OperationsPage()


class WalletNode:
    """One unlocked home. Used by one thread: requests are decided one after the other.

    The verbs that end in `together` are coroutines that share one fsync (journal/group.py): where one waits,
    the next may be decided. Before any other verb comes `settle`, where some of them may be under way.
    What may wait for officers takes the caller's entry in the policy: it says who must be named for it.
    """

    def __init__(
        self, home: Path, secrets: Secrets, policy: Policy, clock: Callable[[], float] = time.time
    ) -> None:
        """`policy` is the file's; what officers have approved since decides in its place. Raises
        PolicyNotApproved where it was never in force.
        """
        self._clock = clock
        self._store = Store(home / "journal.sqlite3")
        self._given_policy = policy
        self.policy = policy = policy_change.in_force(self._store, policy)
        self._keys = FileKeyProvider(secrets, self._store)
        self._journal = Journal(self._store, policy.digest, policy.source, self._keys.seals)
        self._group = JournalGroup(self._journal)
        self._deployment = BoundDeployment(home, self._store)
        self._spending = spending = Spending(self._store)
        spending.know(policy.ledgers)
        self._journal.when_undone(spending.forget)
        spending.sweep(self._journal.now_s(0))
        self._officers = OfficersDesk(self._store, self._journal)
        self._payments = PaymentSigner(self._keys, self._store, self._journal, spending, self._officers)
        self._transactions = TransactionSigner(self._keys, self._journal, spending, self._officers)
        self._typed_data = TypedDataSigner(self._keys, self._store, self._journal, spending, self._officers)
        self._repairs = GapRepairer(self._keys, self._journal, self._officers)
        self._consent = Consent(self._keys, self._store, self._journal, self._officers)
        self._explainer = Explainer(self._keys, self._journal, spending)
        self.is_sound = False
        self._is_stopped = False
        self.signatures: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()

    def test_itself(self) -> None:
        """Sign and verify with every institutional key. Raises SignatureCheckFailed, the last time."""
        with self._sound():
            self._test_keys()
        self.is_sound = True

    def _test_keys(self) -> None:
        for name in self._keys.named:
            self_test(self._keys.named_key(name))

    # ------------------------------------------------------------------------------------------ reading

    def keys(self) -> Answer:
        """What this node can sign with, and under which policy."""
        return {
            "keys": {name: checksummed(address) for name, address in self._keys.named.items()},
            "derived": self._keys.derived_count,
            "policy": {"name": self.policy.name, "hash": "0x" + self.policy.digest.hex()},
        }

    @property
    def named_keys(self) -> Mapping[str, bytes]:
        """The addresses of institutional keys, by name."""
        return self._keys.named

    def public_key(self, name: str) -> bytes:
        """The 64 bytes of an institutional key's point, as a signature of it shows. Raises KeyError."""
        with self._sound():
            return public_key(self._keys.named_key(name))

    @property
    def deployment(self) -> Deployment:
        """What this node signs for. Raises NotBound."""
        return self._deployment.require()

    def nonce_for(self, space: str, intent_id: str, signer: bytes) -> tuple[bool, int]:
        """Whether an id has its nonce, and that; or else the lowest that it could get."""
        deployment = self._deployment.require()
        known = self._journal.known([identifier_bytes(intent_id)])
        for found in known.values():
            if isinstance(found, KnownIntent) and isinstance(found.nonce, int):
                return True, found.nonce
        contract = b"" if space == TRANSACTION else deployment.contract
        return False, self._journal.next_nonce(Space(deployment.chain_id, contract, space), signer)

    def journal(self) -> Answer:
        """How long the journal is and its root, for whoever keeps them elsewhere."""
        root = self._journal.root_at(self._journal.length)
        assert root is not None, "the journal has been as long as it is"
        return {"size": self._journal.length, "root": "0x" + root.hex()}

    def journal_inclusion(self, asked: JournalInclusion) -> Answer:
        """A row and its proof in the tree of so many rows. Raises NotInJournal."""
        proofs = self._journal.proofs
        proof = proofs.inclusion_proof(asked.sequence, asked.size)
        return {"row": _hex(proofs.rows(asked.sequence, 1)[0]), "proof": list(map(_hex, proof))}

    def journal_consistency(self, asked: JournalConsistency) -> Answer:
        """The proof that one tree begins another. Raises NotInJournal."""
        proof = self._journal.proofs.consistency_proof(asked.first, asked.second)
        return {"proof": list(map(_hex, proof))}

    def journal_rows(self, asked: JournalRows) -> Answer:
        """Rows as they are hashed; none beyond the last."""
        return {"rows": list(map(_hex, self._journal.proofs.rows(asked.first, asked.count)))}

    def readiness(self) -> Answer:
        """Ready when every expected key is loaded and the self-test verified."""
        return {
            "ready": self.is_sound,
            "keys": len(self._keys.named),
            "derived": self._keys.derived_count,
            "journal_rows": self._journal.length,
            "bound": self._deployment.is_bound,
            "policy": self.policy.name,
            "policy_version": self.policy.file.version,
            "policy_file": "in force" if self._given_policy.digest == self.policy.digest else "replaced",
        }

    # ------------------------------------------------------------------------------------------ signing

    def sign_payments(self, batch: PaymentBatch, caller: Caller | None = None) -> Answer:
        """Sign what policy, proofs and the nonce rules allow; answer each payment in its place."""
        deployment = self._deployment_of(batch)
        with self._sound():
            answers = self._payments.sign(
                batch, deployment, self.policy, self._now(), must_name=_of_software(caller)
            )
        return self._answer_payments(batch, answers)

    async def sign_payments_together(self, batch: PaymentBatch, caller: Caller | None = None) -> Answer:
        """Sign what policy, proofs and the nonce rules allow; answer each payment in its place."""
        deployment = self._deployment_of(batch)
        with self._sound():
            answers = await self._payments.sign_together(
                batch,
                deployment,
                self.policy,
                self._now(),
                self._group,
                must_name=_of_software(caller),
            )
        return self._answer_payments(batch, answers)

    def _deployment_of(self, batch: PaymentBatch) -> Deployment:
        return self._deployment.require_same(batch.chain_id, address_bytes(batch.contract), batch.domain_name)

    def _answer_payments(self, batch: PaymentBatch, answers: Sequence[PaymentAnswer]) -> Answer:
        signed = 0
        for answer in answers:
            if isinstance(answer, Signed):
                signed += 1
            elif isinstance(answer, Refused):
                self.refusals[answer.reasons[0].code] += 1
        self.signatures["payment"] += signed
        return {"results": list(map(answer_fields, batch.payments, answers))}

    def sign_transaction(
        self, intent: Transaction, caller: Caller | None = None
    ) -> Answer | tuple[int, Answer]:
        """Sign one call; 202 while officers have to approve it. Raises RefusedByNode with every reason."""
        deployment = self._deployment_on(intent.chain_id)
        with self._sound():
            signed = self._transactions.sign(
                intent, deployment, self.policy, self._now(), must_name=_of_software(caller)
            )
        return self._answer_transaction("transaction", signed)

    async def sign_transaction_together(
        self, intent: Transaction, caller: Caller | None = None
    ) -> Answer | tuple[int, Answer]:
        """Sign one call; 202 while officers have to approve it. Raises RefusedByNode with every reason."""
        deployment = self._deployment_on(intent.chain_id)
        with self._sound():
            signed = await self._transactions.sign_together(
                intent,
                deployment,
                self.policy,
                self._now(),
                self._group,
                must_name=_of_software(caller),
            )
        return self._answer_transaction("transaction", signed)

    def _deployment_on(self, chain_id: int) -> Deployment:
        deployment = self._deployment.require()
        if chain_id != deployment.chain_id:
            detail = f"this node signs for chain {deployment.chain_id} only"
            raise RefusedByNode((Refusal("WrongDeployment", detail),))
        return deployment

    def sign_typed_data(self, asked: TypedData, caller: Caller | None = None) -> Answer | tuple[int, Answer]:
        """Sign one structure; 202 while officers have to approve it.

        Raises RefusedByNode with every reason.
        """
        signed = self.typed_data_signature(asked, caller)
        if isinstance(signed, Waiting):
            return _ACCEPTED, signed.fields()
        return typed_data.answer_fields(asked, signed)

    def typed_data_signature(
        self, asked: TypedData, caller: Caller | None = None
    ) -> SignedTypedData | Waiting:
        """The same for whoever writes signatures in another way."""
        with self._sound():
            signed = self._typed_data.sign(
                asked,
                self._deployment.require(),
                self.policy,
                self._now(),
                must_name=_of_software(caller),
            )
        if isinstance(signed, SignedTypedData):
            self.signatures["typed-data"] += 1
        return signed

    def repair_transaction(self, asked: Repair, caller: Caller | None = None) -> Answer | tuple[int, Answer]:
        """Sign a transfer of nothing in a stuck transaction's place; 202 while officers have to approve it.

        Raises RefusedByNode with every reason.
        """
        with self._sound():
            signed = self._repairs.repair(
                asked,
                self._deployment.require(),
                self.policy,
                self._now(),
                must_name=_of_officers(caller),
            )
        return self._answer_transaction("repair", signed)

    def _answer_transaction(
        self, kind: str, signed: SignedTransaction | Waiting
    ) -> Answer | tuple[int, Answer]:
        if isinstance(signed, Waiting):
            return _ACCEPTED, signed.fields()
        self.signatures[kind] += 1
        return {"nonce": signed.nonce, "raw": _hex(signed.raw), "hash": _hex(signed.transaction_hash)}

    @contextmanager
    def _sound(self) -> Iterator[None]:
        """A signature that does not verify is the last one; also of requests that were under way beside it.

        Raises SigningStopped before anything is decided, or in the place of what was signed.
        """
        self._require_signing()
        try:
            yield
        except SignatureCheckFailed:
            self.is_sound = False
            self._is_stopped = True
            raise
        self._require_signing()

    def _require_signing(self) -> None:
        if self._is_stopped:
            raise SigningStopped(
                "a signature of this process did not verify, so it signs nothing more: find out why (its log,"
                " the token, the machine), and restart it"
            )

    # ------------------------------------------------------------------------------------------ customers

    def derive(self, request: Derivation) -> Answer:
        """Addresses of customer keys, null for those in `refusals`. Raises RefusedByNode."""
        found = self._consent.derive(request, self.policy, self._now())
        refusals = [
            {"index": index, "code": each.code, "detail": each.detail}
            for index, each in zip(request.indices, found, strict=True)
            if isinstance(each, Refusal)
        ]
        for refusal in refusals:
            self.refusals[str(refusal["code"])] += 1
        addresses = [None if isinstance(each, Refusal) else each for each in found]
        return {"addresses": addresses, **({"refusals": refusals} if refusals else {})}

    def register_mandates(self, request: MandateRegistrations) -> Answer:
        """Keep what customers have authorised; answer each mandate in its place."""
        deployment = self._deployment.require()
        results = self._consent.register(request, deployment, self.policy, self._now())
        for result in results:
            if "refusal" in result:
                self.refusals[result["refusal"]["code"]] += 1
        return {"results": results}

    def revoke_mandates(self, request: MandateRevocations) -> Answer:
        """No payment is signed under these any more; an id that is not known never will be."""
        self._consent.revoke(request, self._now())
        return {"revoked": len(set(request.mandate_ids))}

    def change_credential(
        self, request: CredentialChangeRequest, caller: Caller | None = None
    ) -> Answer | tuple[int, Answer]:
        """Bind a credential to a wallet, unbind one, or both; 202 while officers have to approve it."""
        waiting = self._consent.change(
            request,
            self._deployment.require(),
            self.policy,
            self._now(),
            must_name=_of_officers(caller),
        )
        return {"change_id": request.change_id} if waiting is None else (_ACCEPTED, waiting.fields())

    def refuse_credential_change(self, stop: CredentialChangeStop) -> Answer:
        """A customer stops a change that waits for officers. Raises RefusedByNode with every reason."""
        self._consent.stop(stop, self._deployment.require(), self.policy, self._now())
        return {"change_id": stop.change_id, "state": "withdrawn"}

    # ------------------------------------------------------------------------------------------ officers

    def operations(self, page: OperationsPage = _FIRST_PAGE) -> Answer:
        """What waits for officers, with what they see and sign. Raises RefusedByNode."""
        return self._officers.pending(page, self.policy, self._now())

    def approve_operation(self, said: OfficerStatement) -> Answer:
        """Take an officer's approval. Raises RefusedByNode with every reason."""
        return self._officers.approve(said, self.policy, self._now())

    def withdraw_operation(self, said: OfficerStatement) -> Answer:
        """Take an officer's withdrawal. Raises RefusedByNode with every reason."""
        return self._officers.withdraw(said, self.policy, self._now())

    def change_policy(
        self, request: PolicyChange, caller: Caller | None = None
    ) -> Answer | tuple[int, Answer]:
        """Put another policy in force; 202 while officers have to approve it.

        Raises RefusedByNode with every reason. From the answer on, everything is decided by the new one.
        """
        source = request.source.encode()
        in_force = {"policy": {"name": self.policy.name, "hash": "0x" + self.policy.digest.hex()}}
        operation_id = identifier_bytes(request.operation_id)
        if source == self.policy.source:
            return in_force
        decided = policy_change.decide_policy_change(self.policy, source)
        if not isinstance(decided, Policy):
            raise RefusedByNode(decided)
        quorum = self.policy.file.changes.policy
        assert quorum is not None, "decided: somebody can change the policy"
        now_s = self._journal.now_s(self._now())
        page = Page()
        description: dict[str, object] = {
            "says": [f"The policy becomes {decided.name} {decided.file.version}, was {_title(self.policy)}."],
            "policy_hash": "0x" + decided.digest.hex(),
            "source": request.source,
        }
        content = policy_change.content_of(source)
        proposed = proposal(operation_id, policy_change.POLICY_CHANGE, content, description, quorum)
        proposer = Proposer(request.initiator, _of_officers(caller))
        asked = self._officers.ask(page, self.policy, now_s, proposed, proposer)
        if asked == ():
            # before the change is durable: were there no room for it, two policies would be half in force
            self._spending.know(decided.ledgers)
            page.activate(operation_id, decided.digest, decided.source)
        if not page.is_empty:
            self._journal.write(page, now_s)
        if isinstance(asked, Waiting):
            return _ACCEPTED, asked.fields()
        if isinstance(asked, Done) or asked:
            done = Refusal("OperationExecuted", "this change was made before; propose another one anew")
            raise RefusedByNode((done,) if isinstance(asked, Done) else asked)
        self.policy = decided
        return {"policy": {"name": decided.name, "hash": "0x" + decided.digest.hex()}}

    def explain(self, request: ExplainRequest) -> Answer:
        """What would be decided about an intent now, and each rule's part in it. Nothing is signed."""
        return self._explainer.explain(request, self._deployment.require(), self.policy, self._now())

    def settle(self) -> None:
        """Make durable what others have under way: for a verb that shares its commit with nobody."""
        self._journal.commit()

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _now(self) -> int:
        return int(self._clock())


def _of_software(caller: Caller | None) -> bool:
    return must_name(caller, is_of_officers=False)


def _of_officers(caller: Caller | None) -> bool:
    return must_name(caller, is_of_officers=True)


def _hex(content: bytes) -> str:
    return "0x" + content.hex()


def _title(policy: Policy) -> str:
    return f"{policy.name} {policy.file.version}"
