"""Signing one EIP-712 structure of the closed set: load, decide, journal, sign, verify.

A counted nonce is given here, when an id is first signed; later attempts keep it and may only last longer, as
a payment's do (a permit whose time ran out would else hold up every permit after it). A random nonce is the
caller's: it belongs to one id for ever, and has one attempt. A cancellation names the nonce that it cancels,
in a row of its own.
"""

from typing import Any

import msgspec

from wallet_node.customer_proof import AssertionProof
from wallet_node.customers import view as customers
from wallet_node.customers.proof_decisions import (
    Disproved,
    ProvedByAssertion,
    Unproved,
)
from wallet_node.deployment import Deployment
from wallet_node.errors import Refusal, RefusedByNode
from wallet_node.fields import MAXIMUM_INTEGER, MAXIMUM_PAYMENT_NONCE, identifier_bytes
from wallet_node.intents.movements import total_minor
from wallet_node.intents.requests import TypedData
from wallet_node.intents.typed_intents import (
    FanOut,
    content_hash,
    digest,
    movements,
    nonce_use,
    plain_refusals,
    signer,
    valid_until_s,
    with_nonce,
)
from wallet_node.journal.entries import TypedDataSigned
from wallet_node.journal.journal import Journal
from wallet_node.journal.nonces import (
    PERMIT,
    Content,
    KnownIntent,
    PaymentTerms,
    RefusedIntent,
    Space,
    allocate_nonce,
    decide_authorization,
    decide_payment_attempt,
)
from wallet_node.journal.pages import Page, Row
from wallet_node.keystore.provider import KeyProvider, SigningKey
from wallet_node.keystore.signatures import compact, verify
from wallet_node.officers.desk import OfficersDesk, Proposer, Waiting
from wallet_node.policy.policy import DERIVED, Policy
from wallet_node.policy.spending import Spending
from wallet_node.signers.typed_data_desk import (
    FOR_EVER,
    Desk,
    counterparty,
    judge,
    one_attempt,
    payee_groups,
    prove,
    refuse,
    validity,
)
from wallet_node.store import Store

_LONGEST_SHOWN = 65_536


class SignedTypedData(msgspec.Struct, frozen=True):
    """The nonce that was signed under, and the signature: r 32 | s 32 | recovery id 1."""

    nonce: int | bytes
    signature: bytes


class _Signing(msgspec.Struct, frozen=True):
    """Sign the intent under this nonce; `is_new` when the attempt must be journaled first."""

    nonce: int | bytes
    attempt: int
    terms: PaymentTerms
    is_new: bool
    proof_hash: bytes = b""


class TypedDataSigner:
    """Signs structures of customers' keys and of the institution's own."""

    def __init__(
        self, keys: KeyProvider, store: Store, journal: Journal, spending: Spending, officers: OfficersDesk
    ) -> None:
        self._keys = keys
        self._store = store
        self._journal = journal
        self._spending = spending
        self._officers = officers

    def sign(
        self,
        asked: TypedData,
        deployment: Deployment,
        policy: Policy,
        clock_s: int,
        *,
        must_name: bool = False,
    ) -> SignedTypedData | Waiting:
        """Raises RefusedByNode with every reason, JournalUnavailable or SignatureCheckFailed.

        `must_name`: what waits for officers has an initiator.
        """
        desk = self._load(asked, deployment, policy, clock_s, must_name=must_name)
        known = self._journal.known([desk.intent_id]).get(desk.intent_id)
        if isinstance(known, RefusedIntent):
            raise RefusedByNode(known.reasons)
        decided: _Signing | Waiting | Disproved
        if desk.key is None:
            detail = f"0x{desk.content.signer.hex()} is not a key of this node"
            decided = Disproved((Refusal("UnknownPayer", detail),), b"")
        elif known is None:
            decided = self._first_signing(desk)
        else:
            decided = self._repeated_signing(desk, known)
        if isinstance(decided, Waiting):
            self._journal.write(desk.page, desk.now_s)
            return decided
        if isinstance(decided, Disproved):
            refuse(desk, known, decided)
            self._journal.write(desk.page, desk.now_s)
            raise RefusedByNode(decided.reasons)
        return self._signed(desk, known, decided)

    def _load(
        self, asked: TypedData, deployment: Deployment, policy: Policy, clock_s: int, *, must_name: bool
    ) -> Desk:
        now_s = self._journal.now_s(clock_s)
        intent, by = asked.intent, signer(asked.intent)
        separator = deployment.domain.separator
        use, moved, until_s = nonce_use(intent), movements(intent), valid_until_s(intent)
        role, key = self._signer(by)
        shared, for_each_wallet = policy.payment_caps(role) if key is not None else ((), ())
        proof = asked.proof
        return Desk(
            asked=asked,
            policy=policy,
            now_s=now_s,
            intent_id=identifier_bytes(asked.intent_id),
            separator=separator,
            use=use,
            space=Space(deployment.chain_id, deployment.contract, use.space),
            content=Content(by, counterparty(intent), total_minor(moved), content_hash(intent, separator)),
            terms=FOR_EVER if until_s is None else PaymentTerms(until_s),
            moved=moved,
            role=role,
            key=key,
            groups=payee_groups(self._keys, intent, role, policy) if key is not None else {},
            reservations=self._spending.open({*shared, *((ledger, by) for ledger in for_each_wallet)}, now_s),
            view=customers.load(
                self._store, self._keys.seals, now_s, [by] if isinstance(proof, AssertionProof) else ()
            ),
            page=Page(),
            must_name=must_name,
        )

    def _signer(self, address: bytes) -> tuple[str, SigningKey | None]:
        name = self._keys.name_of(address)
        if name is not None:
            return name, self._keys.named_key(name)
        return DERIVED, self._keys.customer_keys([address]).get(address)

    # ------------------------------------------------------------------------------------------ deciding

    def _first_signing(self, desk: Desk) -> _Signing | Waiting | Disproved:
        asked = desk.asked
        proved = prove(desk)
        proof_hash = b"" if isinstance(proved, Unproved) else proved.proof_hash
        reasons = [*plain_refusals(asked.intent), *validity(desk), *one_attempt(desk)]
        if isinstance(proved, Disproved):
            reasons += proved.reasons
        refusals, quorum = judge(desk, None, has_proof=isinstance(proved, ProvedByAssertion))
        reasons += refusals
        nonce = self._nonce(desk)
        if isinstance(nonce, Refusal):
            reasons.append(nonce)
        if not reasons and quorum is not None:
            answer = self._ask_officers(desk, quorum)
            if isinstance(answer, Waiting):
                return answer
            reasons += answer
        if reasons or isinstance(nonce, Refusal):
            return Disproved(tuple(reasons), proof_hash)
        if isinstance(proved, ProvedByAssertion):
            proved.record(desk.view)
        return _Signing(nonce, asked.attempt, desk.terms, is_new=True, proof_hash=proof_hash)

    def _nonce(self, desk: Desk) -> int | bytes | Refusal:
        """What a new id is signed under."""
        by, random = desk.content.signer, desk.use.random
        if random is not None:
            taken_by = self._journal.authorized_by(desk.space, by, random)
            decided = decide_authorization(None, desk.content, desk.space, random, taken_by)
            return decided if isinstance(decided, Refusal) else random
        assert desk.use.counted is not None, "a nonce is counted or random"
        return allocate_nonce(
            self._journal.next_nonce(desk.space, by),
            max(desk.use.counted, desk.asked.nonce_floor),
            desk.policy.file.nonces.longest_payment_jump,
            MAXIMUM_INTEGER if desk.space.name == PERMIT else MAXIMUM_PAYMENT_NONCE,
        )

    def _repeated_signing(self, desk: Desk, known: KnownIntent) -> _Signing | Disproved:
        if desk.use.random is not None:
            decided = decide_authorization(known, desk.content, desk.space, desk.use.random, None)
            reasons = (decided,) if isinstance(decided, Refusal) else one_attempt(desk)
            return Disproved(reasons, b"") if reasons else _Signing(desk.use.random, 1, desk.terms, False)
        if (known.space, known.content) != (desk.space, desk.content):
            detail = "this intent id already stands for other content"
            return Disproved((Refusal("IntentIdReused", detail),), b"")
        attempt = decide_payment_attempt(known, desk.content, desk.space, desk.asked.attempt, desk.terms)
        if isinstance(attempt, Refusal):
            return Disproved((attempt,), b"")
        if attempt.is_new:
            refusals, _ = judge(desk, known, has_proof=known.is_proved)
            if reasons := (*validity(desk), *refusals):
                return Disproved(reasons, b"")
        return _Signing(attempt.nonce, attempt.attempt, desk.terms, attempt.is_new)

    def _ask_officers(self, desk: Desk, quorum: str) -> Waiting | tuple[Refusal, ...]:
        intent, moved = desk.asked.intent, desk.moved
        shown = msgspec.to_builtins(intent)
        if desk.use.counted is not None:  # an attempt's, and not what is approved
            shown = {name: value for name, value in shown.items() if name not in _OF_AN_ATTEMPT}
            moved = tuple(
                msgspec.structs.replace(
                    each,
                    until_s=None,
                    detail={name: value for name, value in each.detail.items() if name != "nonce"},
                )
                for each in moved
            )
        if isinstance(intent, FanOut) and len(intent.payments) > _LONGEST_SHOWN:
            del shown["payments"]
        return self._officers.ask_to_sign(
            desk.page,
            desk.policy,
            desk.now_s,
            desk.intent_id,
            kind=desk.kind,
            content=msgspec.msgpack.encode((desk.space, desk.content)),
            movements=moved,
            quorum=quorum,
            proposer=Proposer(desk.asked.initiator, desk.must_name),
            more={"intent": shown, "total_minor": desk.content.amount},
        )

    # ------------------------------------------------------------------------------------------ signing

    def _signed(self, desk: Desk, known: KnownIntent | None, decided: _Signing) -> SignedTypedData:
        intent, key = desk.asked.intent, desk.key
        assert key is not None, "what nobody can sign was refused"
        if isinstance(decided.nonce, int):
            intent = with_nonce(intent, decided.nonce)
        hashed = digest(intent, desk.separator)
        if decided.is_new:
            form = type(intent).__name__
            row = Row(
                desk.intent_id,
                TypedDataSigned(
                    desk.space,
                    desk.content,
                    decided.nonce,
                    decided.attempt,
                    decided.terms,
                    hashed,
                    desk.reservations.charges() if known is None else (),
                    form,
                ),
                decided.proof_hash,
            )
            (desk.page.first_attempts if known is None else desk.page.later_attempts).append(row)
            if known is None:
                desk.page.changes += desk.reservations.changes()
                desk.page.changes += desk.view.changes
                desk.reservations.keep()
        self._journal.write(desk.page, desk.now_s)
        signature = key.sign_digest(hashed)
        verify(key, hashed, signature)
        return SignedTypedData(decided.nonce, signature)


_OF_AN_ATTEMPT = ("nonce", "valid_before_s", "deadline_s")


def answer_fields(asked: TypedData, signed: SignedTypedData) -> dict[str, Any]:
    """The answer as JSON fields: a fan-out's signature as the contract packs it, the others as wallets do."""
    nonce, made = signed.nonce, signed.signature
    encoding, signature = "r-s-v", made[:64] + bytes((27 + made[64],))
    if isinstance(asked.intent, FanOut):
        encoding, signature = "eip-2098", compact(made)
    return {
        "intent_id": asked.intent_id,
        "nonce": nonce if isinstance(nonce, int) else "0x" + nonce.hex(),
        "encoding": encoding,
        "signature": "0x" + signature.hex(),
    }
