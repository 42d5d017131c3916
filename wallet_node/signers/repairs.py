"""Filling a gap of nonces: a transfer of nothing to oneself under the nonce of a transaction that was signed
and never mined. It is the one case in which two contents share a nonce, so officers approve each.

What they approve names the transaction and its nonce, and no fees: once approved, higher fees replace the
repair, up to what the policy lets that key pay for its calls.
"""

import hashlib

import msgspec

from contracts.transactions import Transaction as UnsignedTransaction
from wallet_node.addresses import checksummed
from wallet_node.deployment import Deployment
from wallet_node.errors import Refusal, RefusedByNode
from wallet_node.fields import identifier_bytes
from wallet_node.intents.requests import Repair
from wallet_node.journal.entries import AttemptRefused, NonceRepaired, reasons_of
from wallet_node.journal.journal import Journal
from wallet_node.journal.nonces import TRANSACTION, Fees, KnownIntent, Signing, decide_gap_repair
from wallet_node.journal.pages import Page, Row
from wallet_node.keystore.provider import KeyProvider
from wallet_node.keystore.signatures import verify
from wallet_node.officers.desk import Done, OfficersDesk, Proposer, Waiting, proposal
from wallet_node.policy.policy import ANY, Policy
from wallet_node.signers.transactions import SignedTransaction

REPAIR = "repair"
_GAS = 21_000
_OPERATION_PREFIX = b"florin-repair/1\0"


class _Stuck(msgspec.Struct, frozen=True):
    """What is asked, and the transaction whose nonce is concerned."""

    asked: Repair
    known: KnownIntent
    key_name: str

    @property
    def intent_id(self) -> bytes:
        return identifier_bytes(self.asked.transaction_id)

    @property
    def nonce(self) -> int:
        assert isinstance(self.known.nonce, int), "a transaction's nonce counts"
        return self.known.nonce

    @property
    def fees(self) -> Fees:
        return Fees(self.asked.max_fee_per_gas, self.asked.max_priority_fee_per_gas)


class GapRepairer:
    """Signs repairs of institutional keys' transactions."""

    def __init__(self, keys: KeyProvider, journal: Journal, officers: OfficersDesk) -> None:
        self._keys = keys
        self._journal = journal
        self._officers = officers

    def repair(
        self,
        asked: Repair,
        deployment: Deployment,
        policy: Policy,
        clock_s: int,
        *,
        must_name: bool = True,
    ) -> SignedTransaction | Waiting:
        """Raises RefusedByNode with every reason, JournalUnavailable or SignatureCheckFailed.

        `must_name`: an officer proposes it, whom the request names.
        An id that has no nonce is refused without a row: its time may come.
        """
        now_s = self._journal.now_s(clock_s)
        stuck = self._load(asked)
        page = Page()
        decided = self._decide(page, stuck, deployment, policy, now_s, must_name=must_name)
        if isinstance(decided, Waiting):
            self._journal.write(page, now_s)
            return decided
        if not isinstance(decided, Signing):
            row = AttemptRefused(REPAIR, stuck.known.content, reasons_of(decided))
            page.refused_attempts.append(Row(stuck.intent_id, row))
            self._journal.write(page, now_s)
            raise RefusedByNode(decided)
        unsigned = _unsigned(stuck, decided)
        if decided.is_new:
            page.repairs.append(Row(stuck.intent_id, _journaled(stuck, decided, unsigned.signing_hash)))
        self._journal.write(page, now_s)
        return self._signed(stuck, unsigned)

    def _load(self, asked: Repair) -> _Stuck:
        intent_id = identifier_bytes(asked.transaction_id)
        known = self._journal.known([intent_id]).get(intent_id)
        if isinstance(known, KnownIntent) and known.space.name == TRANSACTION:
            name = self._keys.name_of(known.content.signer)
            if name is not None:
                return _Stuck(asked, known, name)
        detail = "this id has no transaction nonce of a key of this node"
        raise RefusedByNode((Refusal("NothingToRepair", detail),))

    def _decide(
        self,
        page: Page,
        stuck: _Stuck,
        deployment: Deployment,
        policy: Policy,
        now_s: int,
        *,
        must_name: bool,
    ) -> Signing | Waiting | tuple[Refusal, ...]:
        decided = decide_gap_repair(stuck.known, stuck.known.content.signer, deployment.chain_id, stuck.fees)
        if isinstance(decided, Signing) and not decided.is_new:
            return decided
        refusals = _fee_refusals(stuck, policy)
        if isinstance(decided, Refusal):
            return (decided, *refusals)
        if refusals or stuck.known.repairs:
            return refusals or decided
        return self._ask_officers(page, stuck, policy, now_s, must_name=must_name) or decided

    def _ask_officers(
        self, page: Page, stuck: _Stuck, policy: Policy, now_s: int, *, must_name: bool
    ) -> Waiting | tuple[Refusal, ...]:
        quorum = policy.file.changes.repairs
        if quorum is None:
            detail = f"{policy.name!r} names no quorum under changes.repairs, so nobody can allow a repair"
            return (Refusal("RepairNotAllowed", detail),)
        signer, nonce = stuck.known.content.signer, stuck.nonce
        content = msgspec.msgpack.encode((stuck.known.space, signer, nonce, stuck.intent_id))
        by = checksummed(signer)
        said = f"{by} sends nothing to itself under nonce {nonce}, in the place of what is stuck there."
        description: dict[str, object] = {
            "says": [said],
            "transaction_id": stuck.asked.transaction_id,
            "signer": by,
            "nonce": nonce,
        }
        proposed = proposal(operation_of(stuck.asked), REPAIR, content, description, quorum)
        proposer = Proposer(stuck.asked.initiator, must_name)
        answer = self._officers.ask(page, policy, now_s, proposed, proposer)
        assert not isinstance(answer, Done), "what was executed has been signed, in the same commit"
        return answer

    def _signed(self, stuck: _Stuck, unsigned: UnsignedTransaction) -> SignedTransaction:
        key, digest = self._keys.named_key(stuck.key_name), unsigned.signing_hash
        signature = key.sign_digest(digest)
        verify(key, digest, signature)
        raw, transaction_hash = unsigned.signed(signature)
        return SignedTransaction(unsigned.nonce, raw, transaction_hash)


def operation_of(asked: Repair) -> bytes:
    """The id of what officers approve. The transaction's own is its first approval's, if it had one."""
    if asked.operation_id is not None:
        return identifier_bytes(asked.operation_id)
    return hashlib.sha256(_OPERATION_PREFIX + identifier_bytes(asked.transaction_id)).digest()[:16]


def _unsigned(stuck: _Stuck, decided: Signing) -> UnsignedTransaction:
    assert isinstance(decided.terms, Fees)
    return UnsignedTransaction(
        chain_id=stuck.known.space.chain_id,
        nonce=decided.nonce,
        max_priority_fee_per_gas=decided.terms.max_priority_fee_per_gas,
        max_fee_per_gas=decided.terms.max_fee_per_gas,
        gas=_GAS,
        to=stuck.known.content.signer,
        value=0,
        data=b"",
    )


def _journaled(stuck: _Stuck, decided: Signing, digest: bytes) -> NonceRepaired:
    assert isinstance(decided.terms, Fees)
    return NonceRepaired(
        stuck.known.space,
        stuck.known.content.signer,
        decided.nonce,
        decided.attempt,
        decided.terms,
        digest,
        stuck.known.repaired_by or operation_of(stuck.asked),
    )


def _fee_refusals(stuck: _Stuck, policy: Policy) -> tuple[Refusal, ...]:
    """A repair pays no more for its gas than the policy lets its key pay for a call."""
    fees, refusals = stuck.fees, tuple[Refusal, ...]()
    if fees.max_priority_fee_per_gas > fees.max_fee_per_gas:
        detail = "max_priority_fee_per_gas is above max_fee_per_gas"
        refusals = (Refusal("PriorityFeeTooHigh", detail),)
    bounds = [
        rule.maximum_fee_per_gas_wei
        for rule in policy.file.transactions
        if rule.effect == "allow" and rule.key in (ANY, stuck.key_name)
    ]
    if not bounds or None in bounds:
        return refusals
    most = max(bound for bound in bounds if bound is not None)
    if fees.max_fee_per_gas > most:
        detail = f"max_fee_per_gas {fees.max_fee_per_gas} is above {most}, the most for any call of the key"
        refusals = (*refusals, Refusal("FeeTooHigh", detail))
    return refusals
