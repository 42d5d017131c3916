"""Requests to a node that keeps customers' credentials and mandates, and what customers say to it."""

import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

from passkeys import RELYING_PARTY, Passkey

from contracts.customer_approvals import (
    Credential,
    Mandate,
    PaymentApproval,
)
from contracts.typed_data import PaymentDomain
from wallet_node.customer_proof import AssertionProof, MandateProof, Proof
from wallet_node.customers.credential_changes import (
    ChangeAccepted,
    ParsedChange,
    bind_at_creation,
    decide_change,
    decide_change_by_quorum,
)
from wallet_node.customers.mandates import MandateRegistration, Period
from wallet_node.customers.proof_decisions import (
    Disproved,
    MandateAccepted,
    ProofTerms,
    Proved,
    ProvedByAssertion,
    ProvedByMandate,
    Unproved,
    decide_mandate_registration,
    decide_proof,
)
from wallet_node.customers.view import CustomerView, load
from wallet_node.journal.entries import MandateRevoked
from wallet_node.journal.journal import Journal
from wallet_node.journal.nonces import Content
from wallet_node.journal.pages import Page, Row
from wallet_node.keystore.seals import Seals
from wallet_node.store import Store

NOW_S = 1_800_000_000
UNTIL_S = NOW_S + 300
WALLET, OTHER_WALLET, PAYEE, STRANGER = b"W" * 20, b"V" * 20, b"P" * 20, b"S" * 20
PASSKEY, SECOND = Passkey(1), Passkey(2)
SEPARATOR = PaymentDomain("Czech koruna", 31_337, b"C" * 20).separator
SEALS = Seals(bytes(32))
TERMS = ProofTerms(RELYING_PARTY, SEPARATOR)


class Desk:
    """Requests to one node, each loaded, decided and written like a real one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now_s = NOW_S
        self.reopen()

    def reopen(self) -> None:
        """A restart."""
        if hasattr(self, "store"):
            self.store.close()
        self.store = Store(self.path / "journal.sqlite3")
        self.journal = Journal(self.store, bytes(32), b"")

    def load(self, *mandate_ids: bytes) -> CustomerView:
        now_s = self.journal.now_s(self.now_s)
        return load(self.store, SEALS, now_s, [WALLET, OTHER_WALLET], mandate_ids)

    def write(self, view: CustomerView) -> None:
        """As the node does: what changes has a row, which also keeps the time."""
        page = Page(changes=list(view.changes))
        if not page.is_empty:
            page.notes.append(Row(new_id(), MandateRevoked()))
            self.journal.write(page, view.now_s)

    def create(self, credential: Credential = PASSKEY.credential, wallet: bytes = WALLET) -> None:
        view = self.load()
        assert bind_at_creation(view, wallet, credential, is_new_wallet=True) is None
        self.write(view)

    def prove(self, payment_id: bytes, payment: Content, proof: Proof | None) -> str:
        """What is decided of one payment: the proof's kind, or every code of its refusal."""
        mandates = [uuid.UUID(proof.mandate_id).bytes] if isinstance(proof, MandateProof) else []
        view = self.load(*mandates)
        decided = decide_proof(payment_id, payment, proof, view, TERMS)
        if isinstance(decided, Proved):
            decided.record(view)
        self.write(view)
        return said(decided)

    def register(self, asked: MandateRegistration) -> str:
        view = self.load(uuid.UUID(asked.mandate_id).bytes)
        decided = decide_mandate_registration(asked, view, TERMS)
        if isinstance(decided, MandateAccepted):
            decided.record(view)
        self.write(view)
        return said(decided)

    def revoke(self, mandate_id: bytes) -> None:
        view = self.load(mandate_id)
        view.record_revocation(mandate_id)
        self.write(view)

    def change(self, change: ParsedChange, approval: Any = None) -> str:
        view = self.load()
        if approval is None:
            decided = decide_change_by_quorum(change, view)
        else:
            decided = decide_change(change, approval, view, TERMS)
        if isinstance(decided, ChangeAccepted):
            decided.record(view)
        self.write(view)
        return said(decided)

    def bound(self, wallet: bytes = WALLET) -> set[bytes]:
        return {key for key, kept in self.load().credentials_of(wallet).items() if kept.is_bound}

    def content(self) -> list[Any]:
        return [
            self.store.query(f"SELECT * FROM {table} ORDER BY 1, 2")
            for table in ("credentials", "mandates", "mandate_revocations", "mandate_spending")
        ]


def said(decided: object) -> str:
    match decided:
        case Disproved(reasons=reasons):
            return " ".join(reason.code for reason in reasons)
        case ProvedByAssertion() | ProvedByMandate():
            return str(decided.kind)
        case MandateAccepted():
            return "new" if decided.is_new else "same"
        case ChangeAccepted():
            return "changed"
        case Unproved():
            return "unproved"
    raise AssertionError(decided)


def new_id() -> bytes:
    return uuid.uuid4().bytes


def paid(amount_minor: int = 100, payee: bytes = PAYEE, payer: bytes = WALLET) -> Content:
    return Content(payer, payee, amount_minor)


def proof(
    payment_id: bytes,
    payment: Content,
    passkey: Passkey = PASSKEY,
    expires_at_s: int = UNTIL_S,
    separator: bytes = SEPARATOR,
    **changes: Any,
) -> AssertionProof:
    approved = PaymentApproval(payment_id, payment.signer, payment.counterparty, payment.amount, expires_at_s)
    return passkey.proof(approved.digest(separator), expires_at_s, **changes)


def mandate(
    mandate_id: bytes,
    passkey: Passkey = PASSKEY,
    approval_expires_at_s: int = UNTIL_S,
    sign_count: int = 0,
    **changes: Any,
) -> MandateRegistration:
    approved = replace(
        Mandate(
            mandate_id=mandate_id,
            payer=WALLET,
            payee=PAYEE,
            cap_minor=1_000,
            period="day",
            starts_at_s=NOW_S,
            expires_at_s=NOW_S + 400 * 86_400,
            approval_expires_at_s=approval_expires_at_s,
        ),
        **changes,
    )
    return registration(
        approved, passkey.approval(approved.digest(SEPARATOR), approval_expires_at_s, sign_count=sign_count)
    )


def registration(approved: Mandate, approval: Any) -> MandateRegistration:
    period: Period = approved.period  # type: ignore[assignment]
    return MandateRegistration(
        str(uuid.UUID(bytes=approved.mandate_id)),
        "0x" + approved.payer.hex(),
        "0x" + approved.payee.hex(),
        approved.cap_minor,
        period,
        approved.starts_at_s,
        approved.expires_at_s,
        approval,
    )


def by_mandate(mandate_id: bytes) -> MandateProof:
    return MandateProof(str(uuid.UUID(bytes=mandate_id)))
