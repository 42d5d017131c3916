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
from wallet_node.journal import Journal
from wallet_node.journal_entries import AttemptRefused, IdRefused, TransactionSigned, reasons_of
from wallet_node.journal_pages import Page, Row
from wallet_node.keystore.provider import KeyProvider
from wallet_node.nonces import (
    TRANSACTION,
    Content,
    Fees,
    KnownIntent,
    RefusedIntent,
    Signing,
    Space,
    allocate_nonce,
    decide_transaction_attempt,
)
from wallet_node.policy import Policy, TransactionFacts
from wallet_node.signing import verify

_ABOUT_FEES = {"FeeTooHigh", "PriorityFeeTooHigh"}
"""Refusals of an attempt and not of what it is for: the same id may be asked for again with lower fees."""


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """What the caller broadcasts."""

    nonce: int
    raw: bytes
    transaction_hash: bytes


class TransactionSigner:
    """Signs the enumerated calls of institutional keys."""

    def __init__(self, keys: KeyProvider, journal: Journal, policy: Policy) -> None:
        self._keys = keys
        self._journal = journal
        self._policy = policy

    def sign(self, intent: Transaction, deployment: Deployment, clock_s: int) -> SignedTransaction:
        """Raises RefusedByNode with every reason, JournalUnavailable or SignatureCheckFailed."""
        data, listed = bytes.fromhex(intent.data[2:]), bytes.fromhex(intent.listed_accounts[2:])
        address = self._keys.named.get(intent.key, b"")
        calldata_hash = hash_call(intent.gas, data, listed)
        content = Content(address, address_bytes(intent.to), intent.value, calldata_hash)
        intent_id = identifier_bytes(intent.transaction_id)
        space = Space(deployment.chain_id, b"", TRANSACTION)
        fees = Fees(intent.max_fee_per_gas, intent.max_priority_fee_per_gas)
        known = self._journal.known([intent_id]).get(intent_id)
        if isinstance(known, RefusedIntent):
            raise RefusedByNode(known.reasons)
        decided: Signing | tuple[Refusal, ...]
        if not address:
            decided = (Refusal("UnknownKey", f"this node has no key named {intent.key!r}"),)
        elif known is None:
            refusals = self._refusals(intent, deployment, data, listed)
            decided = self._first_signing(intent, content, space, fees, refusals)
        else:
            repeated = decide_transaction_attempt(known, content, space, fees)
            refusals = (
                ()
                if isinstance(repeated, Refusal) or not repeated.is_new
                else self._refusals(intent, deployment, data, listed)
            )
            decided = (repeated,) if isinstance(repeated, Refusal) else refusals or repeated
        if not isinstance(decided, Signing):
            self._journal_refusal(intent_id, content, known, decided, clock_s)
            raise RefusedByNode(decided)
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
        page = Page()
        if decided.is_new:
            row = Row(
                intent_id,
                TransactionSigned(space, content, decided.nonce, decided.attempt, decided.terms, digest),
            )
            page = Page(first_attempts=[row]) if known is None else Page(later_attempts=[row])
        self._journal.write(page, self._journal.now_s(clock_s))
        return self._signed(intent.key, unsigned, digest)

    def _first_signing(
        self, intent: Transaction, content: Content, space: Space, fees: Fees, refusals: tuple[Refusal, ...]
    ) -> Signing | tuple[Refusal, ...]:
        nonce = allocate_nonce(
            self._journal.next_nonce(space, content.signer),
            intent.nonce_floor,
            self._policy.file.nonces.longest_transaction_jump,
            MAXIMUM_INTEGER,
        )
        if isinstance(nonce, Refusal):
            return (*refusals, nonce)
        return refusals or Signing(nonce, 1, fees, is_new=True)

    def _journal_refusal(
        self,
        intent_id: bytes,
        content: Content,
        known: KnownIntent | None,
        refusals: tuple[Refusal, ...],
        clock_s: int,
    ) -> None:
        if known is not None:
            row = Row(intent_id, AttemptRefused(TRANSACTION, content, reasons_of(refusals)))
            page = Page(refused_attempts=[row])
        elif {each.code for each in refusals} <= _ABOUT_FEES:
            return
        else:
            page = Page(refused=[Row(intent_id, IdRefused(TRANSACTION, content, reasons_of(refusals)))])
        self._journal.write(page, self._journal.now_s(clock_s))

    def _refusals(
        self, intent: Transaction, deployment: Deployment, data: bytes, listed: bytes
    ) -> tuple[Refusal, ...]:
        facts = TransactionFacts(
            key=intent.key,
            target=deployment.target(address_bytes(intent.to)),
            selector=data[:4],
            value_wei=intent.value,
            gas=intent.gas,
            max_fee_per_gas_wei=intent.max_fee_per_gas,
        )
        refusals = self._policy.evaluate_transaction(facts).refusals
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
        return call.size > 0 and self._journal.root_at(call.size) == call.root

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
