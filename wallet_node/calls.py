"""Signing one transaction of an institutional key: load, decide, journal, sign, verify."""

import hashlib
from dataclasses import dataclass
from itertools import pairwise

from contracts.access_lists import access_list
from contracts.notary import SIGNER_LOG, decode_anchor
from contracts.transactions import Transaction as UnsignedTransaction
from wallet_node.deployment import CURRENCY, NOTARY, Deployment
from wallet_node.errors import Refusal, RefusedByNode
from wallet_node.intents import MAXIMUM_INTEGER, Transaction, address_bytes, identifier_bytes
from wallet_node.journal import TRANSACTION, Attempt, Journal, Page
from wallet_node.keystore.provider import KeyProvider
from wallet_node.nonces import Content, Fees, Signing, allocate_nonce, decide_transaction_attempt
from wallet_node.policy import Policy, TransactionFacts
from wallet_node.signing import verify
from wallet_node.spending import Spending


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """What the caller broadcasts."""

    nonce: int
    raw: bytes
    transaction_hash: bytes


class TransactionSigner:
    """Signs the enumerated calls of institutional keys."""

    def __init__(self, keys: KeyProvider, journal: Journal, policy: Policy, spending: Spending) -> None:
        self._keys = keys
        self._journal = journal
        self._policy = policy
        self._spending = spending

    def sign(self, intent: Transaction, deployment: Deployment, clock_s: int) -> SignedTransaction:
        """Raises RefusedByNode with every reason, JournalUnavailable or SignatureCheckFailed."""
        address = self._keys.named.get(intent.key)
        if address is None:
            raise RefusedByNode((Refusal("UnknownKey", f"this node has no key named {intent.key!r}"),))
        data, listed = bytes.fromhex(intent.data[2:]), bytes.fromhex(intent.listed_accounts[2:])
        calldata_hash = hash_call(intent.gas, data, listed)
        content = Content(address, address_bytes(intent.to), intent.value, calldata_hash)
        intent_id = identifier_bytes(intent.transaction_id)
        domain = self._journal.domain(deployment.chain_id, b"", TRANSACTION)
        fees = Fees(intent.max_fee_per_gas, intent.max_priority_fee_per_gas)
        known = self._journal.known([intent_id]).get(intent_id)
        now_s = self._journal.now_s(clock_s)
        if known is None:
            refusals = self._refusals(intent, deployment, data, listed, now_s, is_first_signature=True)
            decided = self._first_signing(intent, content, domain, fees, refusals)
        else:
            repeated = decide_transaction_attempt(known, content, domain, fees)
            if isinstance(repeated, Refusal):
                raise RefusedByNode((repeated,))
            if repeated.is_new:
                refusals = self._refusals(intent, deployment, data, listed, now_s, is_first_signature=False)
                if refusals:
                    raise RefusedByNode(refusals)
            decided = repeated
        assert isinstance(decided.terms, Fees)
        unsigned = UnsignedTransaction(
            chain_id=deployment.chain_id,
            nonce=decided.nonce,
            max_priority_fee_per_gas=decided.terms.max_priority_fee_per_gas,
            max_fee_per_gas=decided.terms.max_fee_per_gas,
            gas=intent.gas,
            to=content.counterparty,
            value=intent.value,
            data=data,
            access_list=access_list(content.counterparty, address, _split(listed)),
        )
        digest = unsigned.signing_hash
        if decided.is_new:
            entry = Attempt(intent_id, domain, decided.nonce, content, decided.attempt, decided.terms, digest)
            page = Page(first_attempts=[entry]) if known is None else Page(later_attempts=[entry])
            self._journal.write(page, now_s)
        return self._signed(intent.key, unsigned, digest)

    def _first_signing(
        self, intent: Transaction, content: Content, domain: int, fees: Fees, refusals: tuple[Refusal, ...]
    ) -> Signing:
        nonce = allocate_nonce(
            self._journal.next_nonce(domain, content.signer),
            intent.nonce_floor,
            self._policy.file.nonces.longest_transaction_jump,
            MAXIMUM_INTEGER,
        )
        if isinstance(nonce, Refusal):
            raise RefusedByNode((*refusals, nonce))
        if refusals:
            raise RefusedByNode(refusals)
        return Signing(nonce, 1, fees, is_new=True)

    def _refusals(
        self,
        intent: Transaction,
        deployment: Deployment,
        data: bytes,
        listed: bytes,
        now_s: int,
        *,
        is_first_signature: bool,
    ) -> tuple[Refusal, ...]:
        facts = TransactionFacts(
            key=intent.key,
            target=deployment.target(address_bytes(intent.to)),
            selector=data[:4],
            value_wei=intent.value,
            gas=intent.gas,
            max_fee_per_gas_wei=intent.max_fee_per_gas,
            now_s=now_s,
            is_first_signature=is_first_signature,
        )
        spending = self._spending.open(self._policy.transaction_caps(intent.key), now_s)
        decision = self._policy.evaluate_transaction(facts, spending.spent)
        refusals = decision.refusals
        if decision.quorum is not None:
            detail = f"it needs the approvals of the quorum {decision.quorum!r}"
            refusals = (*refusals, Refusal("ApprovalsRequired", detail))
        if intent.max_priority_fee_per_gas > intent.max_fee_per_gas:
            detail = "max_priority_fee_per_gas is above max_fee_per_gas"
            refusals = (*refusals, Refusal("PriorityFeeTooHigh", detail))
        if facts.target == NOTARY and not self._is_own_journal_or_other(data):
            detail = "what is to be anchored of the signer's journal is not this node's journal"
            refusals = (*refusals, Refusal("JournalDiffers", detail))
        return (*refusals, *_refuse_list(facts.target, listed))

    def _is_own_journal_or_other(self, data: bytes) -> bool:
        """The node knows its own journal: of that log it anchors nothing else, whoever asks."""
        call = decode_anchor(data)
        if call is None or call.log != SIGNER_LOG:
            return True
        return self._journal.head_at(call.size) == call.root

    def _signed(self, name: str, unsigned: UnsignedTransaction, digest: bytes) -> SignedTransaction:
        key = self._keys.named_key(name)
        signature = key.sign_digest(digest)
        verify(key, digest, signature)
        raw, transaction_hash = unsigned.signed(signature)
        return SignedTransaction(unsigned.nonce, raw, transaction_hash)


def hash_call(gas: int, data: bytes, listed: bytes) -> bytes:
    """What a transaction's id is bound to beside its target and value.

    Without listed accounts it is what it was before there were any, so that ids in older journals stay bound
    to the same content. A gas limit is below 2^63, so what begins with 0xff is another kind of input.
    """
    head = b"" if not listed else b"\xff" * 8 + len(listed).to_bytes(8) + listed
    return hashlib.sha256(head + gas.to_bytes(8) + data).digest()


def _refuse_list(target: str, listed: bytes) -> tuple[Refusal, ...]:
    """The node writes the list itself, from accounts: it names storage of the bound currency and no other."""
    refusals: tuple[Refusal, ...] = ()
    if listed and target != CURRENCY:
        detail = "an access list goes with a call to the currency only"
        refusals = (Refusal("AccessListNotAllowed", detail),)
    if any(first >= second for first, second in pairwise(_split(listed))):
        detail = "listed_accounts must each be there once, in ascending order"
        refusals = (*refusals, Refusal("ListedAccountsNotAscending", detail))
    return refusals


def _split(listed: bytes) -> list[bytes]:
    return [listed[at : at + 20] for at in range(0, len(listed), 20)]
