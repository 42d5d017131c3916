"""Signing one transaction of an institutional key: load, decide, journal, sign, verify."""

import hashlib
from dataclasses import dataclass
from itertools import pairwise

import msgspec

from contracts.access_lists import access_list
from contracts.notary import SIGNER_LOG, decode_anchor
from contracts.transactions import Transaction as UnsignedTransaction
from wallet_node.deployment import CURRENCY, NOTARY, Deployment
from wallet_node.errors import Refusal, RefusedByNode
from wallet_node.fields import MAXIMUM_INTEGER, address_bytes, identifier_bytes
from wallet_node.intents.call_movements import transaction_movements
from wallet_node.intents.movements import Movements, Setting, total_minor
from wallet_node.intents.requests import Transaction
from wallet_node.journal.entries import AttemptRefused, IdRefused, TransactionSigned, reasons_of
from wallet_node.journal.group import JournalGroup
from wallet_node.journal.journal import Journal
from wallet_node.journal.nonces import (
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
from wallet_node.journal.pages import Page, Row
from wallet_node.keystore.provider import KeyProvider
from wallet_node.keystore.signatures import verify
from wallet_node.officers.desk import OfficersDesk, Proposer, Waiting
from wallet_node.policy.policy import Policy, TransactionFacts
from wallet_node.policy.spending import Reservations, Spending

_ABOUT_FEES = {"FeeTooHigh", "PriorityFeeTooHigh"}
"""Refusals of an attempt and not of what it is for: the same id may be asked for again with lower fees."""

_LONGEST_DATA_SHOWN = 65_536


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """What the caller broadcasts."""

    nonce: int
    raw: bytes
    transaction_hash: bytes


@dataclass(slots=True)
class _Desk:
    """One request, and what has been decided of it so far."""

    intent: Transaction
    deployment: Deployment
    policy: Policy
    now_s: int
    intent_id: bytes
    space: Space
    content: Content
    data: bytes
    listed: bytes
    moved: Movements | Refusal
    reservations: Reservations
    page: Page
    proposer: Proposer

    @property
    def target(self) -> str:
        return self.deployment.target(self.content.counterparty)

    def facts(self, *, is_first_signature: bool) -> TransactionFacts:
        """What the policy looks at."""
        return TransactionFacts(
            key=self.intent.key,
            target=self.target,
            selector=self.data[:4],
            value_wei=self.intent.value,
            gas=self.intent.gas,
            max_fee_per_gas_wei=self.intent.max_fee_per_gas,
            now_s=self.now_s,
            amount_minor=None if isinstance(self.moved, Refusal) else total_minor(self.moved),
            is_first_signature=is_first_signature,
        )


@dataclass(frozen=True, slots=True)
class _Ready:
    """Decided: sign this with the key of that name, once the page is durable."""

    key: str
    unsigned: UnsignedTransaction
    digest: bytes


class TransactionSigner:
    """Signs the enumerated calls of institutional keys."""

    def __init__(
        self, keys: KeyProvider, journal: Journal, spending: Spending, officers: OfficersDesk
    ) -> None:
        self._keys = keys
        self._journal = journal
        self._spending = spending
        self._officers = officers

    def sign(
        self,
        intent: Transaction,
        deployment: Deployment,
        policy: Policy,
        clock_s: int,
        *,
        must_name: bool = False,
    ) -> SignedTransaction | Waiting:
        """Raises RefusedByNode with every reason, JournalUnavailable or SignatureCheckFailed.

        `must_name`: what waits for officers has an initiator.
        """
        desk, decided = self._decide(intent, deployment, policy, clock_s, must_name=must_name)
        self._journal.write(desk.page, desk.now_s)
        return self._answer(decided)

    async def sign_together(
        self,
        intent: Transaction,
        deployment: Deployment,
        policy: Policy,
        clock_s: int,
        group: JournalGroup,
        *,
        must_name: bool = False,
    ) -> SignedTransaction | Waiting:
        """The same, in one commit with whatever else is under way."""
        desk, decided = self._decide(intent, deployment, policy, clock_s, must_name=must_name)
        await group.write(desk.page, desk.now_s)
        return self._answer(decided)

    def _decide(
        self, intent: Transaction, deployment: Deployment, policy: Policy, clock_s: int, *, must_name: bool
    ) -> tuple[_Desk, _Ready | Waiting | tuple[Refusal, ...]]:
        proposer = Proposer(intent.initiator, must_name)
        desk = self._load(intent, deployment, policy, clock_s, proposer)
        known = self._journal.known([desk.intent_id]).get(desk.intent_id)
        if isinstance(known, RefusedIntent):
            return desk, known.reasons
        decided: Signing | Waiting | tuple[Refusal, ...]
        if not desk.content.signer:
            decided = (Refusal("UnknownKey", f"this node has no key named {intent.key!r}"),)
        elif known is None:
            decided = self._first_signing(desk)
        else:
            decided = self._repeated_signing(desk, known)
        if isinstance(decided, Waiting):
            return desk, decided
        if not isinstance(decided, Signing):
            _refuse(desk, known, decided)
            return desk, decided
        unsigned = _unsigned(desk, decided)
        digest = unsigned.signing_hash
        if decided.is_new:
            assert isinstance(decided.terms, Fees)
            row = Row(
                desk.intent_id,
                TransactionSigned(
                    desk.space,
                    desk.content,
                    decided.nonce,
                    decided.attempt,
                    decided.terms,
                    digest,
                    desk.reservations.charges(),
                ),
            )
            (desk.page.first_attempts if known is None else desk.page.later_attempts).append(row)
            desk.page.changes += desk.reservations.changes()
            desk.reservations.keep()
        return desk, _Ready(intent.key, unsigned, digest)

    def _load(
        self,
        intent: Transaction,
        deployment: Deployment,
        policy: Policy,
        clock_s: int,
        proposer: Proposer,
    ) -> _Desk:
        now_s = self._journal.now_s(clock_s)
        address, to = self._keys.named.get(intent.key, b""), address_bytes(intent.to)
        data, listed = bytes.fromhex(intent.data[2:]), bytes.fromhex(intent.listed_accounts[2:])
        return _Desk(
            intent=intent,
            deployment=deployment,
            policy=policy,
            now_s=now_s,
            intent_id=identifier_bytes(intent.transaction_id),
            space=Space(deployment.chain_id, b"", TRANSACTION),
            content=Content(address, to, intent.value, hash_call(intent.gas, data, listed)),
            data=data,
            listed=listed,
            moved=transaction_movements(deployment.target(to), Setting(address, to), data, intent.value),
            reservations=self._spending.open(set(policy.transaction_caps(intent.key)), now_s),
            page=Page(),
            proposer=proposer,
        )

    def _first_signing(self, desk: _Desk) -> Signing | Waiting | tuple[Refusal, ...]:
        decision = desk.policy.evaluate_transaction(
            desk.facts(is_first_signature=True), desk.reservations.spent
        )
        refusals = (*decision.refusals, *self._refusals(desk))
        if isinstance(desk.moved, Refusal) and not any(each.code == "NoRuleAllows" for each in refusals):
            refusals = (*refusals, desk.moved)
        nonce = allocate_nonce(
            self._journal.next_nonce(desk.space, desk.content.signer),
            desk.intent.nonce_floor,
            desk.policy.file.nonces.longest_transaction_jump,
            MAXIMUM_INTEGER,
        )
        if isinstance(nonce, Refusal):
            return (*refusals, nonce)
        if refusals:
            return refusals
        if decision.quorum is not None:
            asked = self._ask_officers(desk, decision.quorum)
            if asked:
                return asked
        desk.reservations.reserve(decision.reserves, desk.facts(is_first_signature=True).amount_minor or 0)
        return Signing(nonce, 1, _fees(desk.intent), is_new=True)

    def _repeated_signing(self, desk: _Desk, known: KnownIntent) -> Signing | tuple[Refusal, ...]:
        decided = decide_transaction_attempt(known, desk.content, desk.space, _fees(desk.intent))
        if isinstance(decided, Refusal):
            return (decided,)
        if not decided.is_new:
            return decided
        decision = desk.policy.evaluate_transaction(
            desk.facts(is_first_signature=False), desk.reservations.spent
        )
        return (*decision.refusals, *self._refusals(desk)) or decided

    def _ask_officers(self, desk: _Desk, quorum: str) -> Waiting | tuple[Refusal, ...]:
        assert not isinstance(desk.moved, Refusal), "what cannot be read was refused before"
        intent = desk.intent
        more: dict[str, object] = {"key": intent.key, "to": intent.to, "value": intent.value}
        more |= {"gas": intent.gas, "listed_accounts": intent.listed_accounts}
        if len(desk.data) <= _LONGEST_DATA_SHOWN:
            more["data"] = intent.data
        return self._officers.ask_to_sign(
            desk.page,
            desk.policy,
            desk.now_s,
            desk.intent_id,
            kind=TRANSACTION,
            content=msgspec.msgpack.encode((desk.space, desk.content)),
            movements=desk.moved,
            quorum=quorum,
            proposer=desk.proposer,
            more=more,
        )

    def _refusals(self, desk: _Desk) -> tuple[Refusal, ...]:
        """What the node refuses whatever the policy says."""
        intent, refusals = desk.intent, _refuse_list(desk.target, desk.listed)
        if intent.max_priority_fee_per_gas > intent.max_fee_per_gas:
            detail = "max_priority_fee_per_gas is above max_fee_per_gas"
            refusals = (Refusal("PriorityFeeTooHigh", detail), *refusals)
        if desk.target == NOTARY and not self._is_own_journal_or_other(desk.data):
            detail = "what is to be anchored of the signer's journal is not this node's journal"
            refusals = (*refusals, Refusal("JournalDiffers", detail))
        return refusals

    def _is_own_journal_or_other(self, data: bytes) -> bool:
        """The node knows its own journal: of that log it anchors nothing else, whoever asks."""
        call = decode_anchor(data)
        if call is None or call.log != SIGNER_LOG:
            return True
        return call.size > 0 and self._journal.root_at(call.size) == call.root

    def _answer(self, decided: _Ready | Waiting | tuple[Refusal, ...]) -> SignedTransaction | Waiting:
        if isinstance(decided, Waiting):
            return decided
        if not isinstance(decided, _Ready):
            raise RefusedByNode(decided)
        key = self._keys.named_key(decided.key)
        signature = key.sign_digest(decided.digest)
        verify(key, decided.digest, signature)
        raw, transaction_hash = decided.unsigned.signed(signature)
        return SignedTransaction(decided.unsigned.nonce, raw, transaction_hash)


def hash_call(gas: int, data: bytes, listed: bytes) -> bytes:
    """What a transaction's id is bound to beside its target and value.

    Without listed accounts it is what it was before there were any, so that ids in older journals stay bound
    to the same content. A gas limit is below 2^63, so what begins with 0xff is another kind of input.
    """
    head = b"" if not listed else b"\xff" * 8 + len(listed).to_bytes(8) + listed
    return hashlib.sha256(head + gas.to_bytes(8) + data).digest()


def _fees(intent: Transaction) -> Fees:
    return Fees(intent.max_fee_per_gas, intent.max_priority_fee_per_gas)


def _unsigned(desk: _Desk, decided: Signing) -> UnsignedTransaction:
    assert isinstance(decided.terms, Fees)
    content = desk.content
    return UnsignedTransaction(
        chain_id=desk.deployment.chain_id,
        nonce=decided.nonce,
        max_priority_fee_per_gas=decided.terms.max_priority_fee_per_gas,
        max_fee_per_gas=decided.terms.max_fee_per_gas,
        gas=desk.intent.gas,
        to=content.counterparty,
        value=desk.intent.value,
        data=desk.data,
        access_list=access_list(content.counterparty, content.signer, _split(desk.listed)),
    )


def _refuse(desk: _Desk, known: KnownIntent | None, refusals: tuple[Refusal, ...]) -> None:
    """An id seen for the first time stays refused, but for its fees; another one keeps what it has."""
    reasons = reasons_of(refusals)
    if known is not None:
        row = Row(desk.intent_id, AttemptRefused(TRANSACTION, desk.content, reasons))
        desk.page.refused_attempts.append(row)
    elif not {each.code for each in refusals} <= _ABOUT_FEES:
        desk.page.refused.append(Row(desk.intent_id, IdRefused(TRANSACTION, desk.content, reasons)))


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
