"""A payment's customer is believed when this payment was approved, and only then."""

from typing import Any

import msgspec
import pytest
from customer_desk import (
    NOW_S,
    OTHER_WALLET,
    PASSKEY,
    PAYEE,
    SEALS,
    SECOND,
    SEPARATOR,
    STRANGER,
    TERMS,
    UNTIL_S,
    WALLET,
    Desk,
    by_mandate,
    new_id,
    paid,
    proof,
    said,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from passkeys import RELYING_PARTY, Passkey

from contracts.typed_data import PaymentDomain
from wallet_node.customer_proof import ED25519, Proof
from wallet_node.customers.proof_decisions import (
    NO_PROOF,
    Disproved,
    ProofTerms,
    Proved,
    ProvedByAssertion,
    Unproved,
    decide_proof,
)
from wallet_node.customers.view import CustomerView
from wallet_node.journal.nonces import Content


def test_a_payment_that_the_customer_approved_is_proved(desk: Desk) -> None:
    desk.create()
    payment_id, payment = new_id(), paid()
    assert desk.prove(payment_id, payment, proof(payment_id, payment)) == "assertion"


def test_a_payment_without_a_proof_is_unproved_and_that_is_not_a_refusal(desk: Desk) -> None:
    desk.create()
    decided = decide_proof(new_id(), paid(), None, desk.load(), TERMS)
    assert isinstance(decided, Unproved)
    assert (decided.proof_hash, decided.refusal.code) == (NO_PROOF, "ProofMissing")


@pytest.mark.parametrize(
    "spoil",
    [
        {"payment_id": new_id()},
        {"signer": OTHER_WALLET},
        {"counterparty": STRANGER},
        {"amount": 101},
        {"amount": 99},
        {"separator": PaymentDomain("Czech koruna", 31_338, b"C" * 20).separator},
    ],
)
def test_an_approval_is_good_for_nothing_else(desk: Desk, spoil: dict[str, Any]) -> None:
    """Neither for another payment of the same amount, nor for another amount, payee, payer or currency."""
    desk.create()
    desk.create(wallet=OTHER_WALLET)
    payment_id, payment = new_id(), paid()
    approval = proof(payment_id, payment)
    asked_id = spoil.get("payment_id", payment_id)
    fields = {name: value for name, value in spoil.items() if name in Content.__struct_fields__}
    terms = ProofTerms(RELYING_PARTY, spoil.get("separator", SEPARATOR))
    asked = msgspec.structs.replace(payment, **fields)
    assert said(decide_proof(asked_id, asked, approval, desk.load(), terms)) == "ChallengeMismatch"
    assert said(decide_proof(payment_id, payment, approval, desk.load(), TERMS)) == "assertion"


def test_how_long_an_approval_is_good_is_approved_with_it(desk: Desk) -> None:
    desk.create()
    payment_id, payment = new_id(), paid()
    longer = msgspec.structs.replace(proof(payment_id, payment), expires_at_s=UNTIL_S + 1)
    assert desk.prove(payment_id, payment, longer) == "ChallengeMismatch"


@pytest.mark.parametrize(("now_s", "expected"), [(UNTIL_S - 1, "assertion"), (UNTIL_S, "ProofExpired")])
def test_an_approval_is_good_until_before_it_expires(desk: Desk, now_s: int, expected: str) -> None:
    desk.create()
    desk.now_s = now_s
    payment_id, payment = new_id(), paid()
    assert desk.prove(payment_id, payment, proof(payment_id, payment)) == expected


def test_a_clock_set_back_does_not_bring_an_expired_approval_back(desk: Desk) -> None:
    desk.create()
    payment_id, payment = new_id(), paid()
    desk.now_s = UNTIL_S
    desk.revoke(new_id())  # anything that is written
    desk.now_s = NOW_S
    assert desk.prove(payment_id, payment, proof(payment_id, payment)) == "ProofExpired"


def test_only_a_credential_of_the_payer_counts(desk: Desk) -> None:
    desk.create()
    desk.create(SECOND.credential, OTHER_WALLET)
    payment_id, payment = new_id(), paid()
    assert desk.prove(payment_id, payment, proof(payment_id, payment, SECOND)) == "CredentialUnknown"
    elsewhere = paid(payer=STRANGER)
    assert desk.prove(payment_id, elsewhere, proof(payment_id, elsewhere)) == "CredentialUnknown"


def test_a_wallet_without_a_credential_proves_nothing(desk: Desk) -> None:
    payment_id, payment = new_id(), paid()
    assert desk.prove(payment_id, payment, proof(payment_id, payment)) == "CredentialUnknown"


def test_a_proof_that_does_not_hold_is_no_missing_one(desk: Desk) -> None:
    """Then no allowance for unproved payments helps, and the journal keeps what was shown."""
    desk.create()
    payment_id, payment = new_id(), paid()
    decided = decide_proof(payment_id, payment, proof(new_id(), payment), desk.load(), TERMS)
    assert isinstance(decided, Disproved)
    assert decided.proof_hash != NO_PROOF
    unreadable = msgspec.structs.replace(proof(payment_id, payment), signature="=")
    decided = decide_proof(payment_id, payment, unreadable, desk.load(), TERMS)
    assert isinstance(decided, Disproved)
    assert (said(decided), decided.proof_hash) == ("ProofMalformed", NO_PROOF)


@pytest.mark.parametrize("member", ["credential_id", "authenticator_data", "client_data_json", "signature"])
@pytest.mark.parametrize("text", ["", "A", "AAAA", "A" * 8_192, "=" * 40, "\0", "é"])
def test_a_member_that_is_none_concerns_its_own_payment_only(desk: Desk, member: str, text: str) -> None:
    """A customer can send a bank anything: it must not make the request of a thousand others malformed."""
    desk.create()
    payment_id = new_id()
    fields = msgspec.to_builtins(proof(payment_id, paid())) | {member: text}
    decided = decide_proof(payment_id, paid(), msgspec.convert(fields, Proof), desk.load(), TERMS)
    assert said(decided) in {
        "ProofMalformed",
        "CredentialUnknown",
        "RelyingPartyMismatch",
        "SignatureInvalid",
    }


def test_each_proof_has_a_hash_of_its_own(desk: Desk) -> None:
    view = desk.load()
    payment_id = new_id()
    shown = proof(payment_id, paid(), Passkey(algorithm=ED25519))  # whose signatures are deterministic
    changes = [
        {},
        {"expires_at_s": UNTIL_S + 1},
        {"credential_id": "AAAA"},
        {"authenticator_data": "AAAA"},
        {"client_data_json": "AAAA"},
        {"signature": "AAAA"},
        {"client_data_json": shown.signature, "signature": shown.client_data_json},
    ]
    proofs: list[Proof] = [msgspec.structs.replace(shown, **each) for each in changes]
    proofs += [by_mandate(payment_id), by_mandate(new_id())]
    hashes = [decide_proof(payment_id, paid(), each, view, TERMS).proof_hash for each in proofs]
    assert len(set(hashes)) == len(proofs)
    assert hashes == [decide_proof(new_id(), paid(7), each, view, TERMS).proof_hash for each in proofs]


def test_a_counter_is_kept_from_one_request_to_the_next_and_over_a_restart(desk: Desk) -> None:
    desk.create()
    for sign_count, expected in ((5, "assertion"), (5, "CloneSuspected"), (6, "assertion")):
        payment_id = new_id()
        assert desk.prove(payment_id, paid(), proof(payment_id, paid(), sign_count=sign_count)) == expected
        desk.reopen()


def test_a_counter_is_kept_within_a_batch(desk: Desk) -> None:
    desk.create()
    view = desk.load()
    decisions = []
    for sign_count in (3, 3, 4, 2):
        payment_id = new_id()
        decided = decide_proof(
            payment_id, paid(), proof(payment_id, paid(), sign_count=sign_count), view, TERMS
        )
        if isinstance(decided, Proved):
            decided.record(view)
        decisions.append(said(decided))
    assert decisions == ["assertion", "CloneSuspected", "assertion", "CloneSuspected"]


def test_a_payment_that_is_refused_for_another_reason_uses_nothing_up(desk: Desk) -> None:
    desk.create()
    payment_id = new_id()
    view = desk.load()
    decided = decide_proof(payment_id, paid(), proof(payment_id, paid(), sign_count=9), view, TERMS)
    assert isinstance(decided, ProvedByAssertion)
    assert view.changes == []
    assert desk.prove(payment_id, paid(), proof(payment_id, paid(), sign_count=8)) == "assertion"


def test_a_passkey_without_a_counter_writes_nothing(desk: Desk) -> None:
    desk.create()
    before = desk.store.connection.total_changes
    for _ in range(3):
        payment_id = new_id()
        assert desk.prove(payment_id, paid(), proof(payment_id, paid())) == "assertion"
    assert desk.store.connection.total_changes == before


@settings(max_examples=60, deadline=None)
@given(
    asked=st.tuples(
        st.binary(min_size=16, max_size=16),
        st.sampled_from([PAYEE, STRANGER]),
        st.integers(1, 2**40 - 1),
        st.integers(NOW_S + 1, 2**40 - 1),
    ),
    shown=st.tuples(
        st.binary(min_size=16, max_size=16),
        st.sampled_from([PAYEE, STRANGER]),
        st.integers(1, 2**40 - 1),
        st.integers(NOW_S + 1, 2**40 - 1),
    ),
    kept=st.sets(st.integers(0, 3)),
)
def test_a_tampered_payment_never_verifies(
    asked: tuple[bytes, bytes, int, int], shown: tuple[bytes, bytes, int, int], kept: set[int]
) -> None:
    """Whatever of the approval is as asked: it is accepted when all of it is, and only then."""
    mixed = tuple(asked[at] if at in kept else shown[at] for at in range(4))
    payment_id, payee, amount, expires_at_s = mixed
    approval = proof(payment_id, paid(amount, payee), expires_at_s=expires_at_s)  # type: ignore[arg-type]
    shown_proof = msgspec.structs.replace(approval, expires_at_s=asked[3])
    view = CustomerView(NOW_S, SEALS, {WALLET: {}})
    view.record_binding(WALLET, PASSKEY.credential, is_first=True)
    decided = decide_proof(asked[0], paid(asked[2], asked[1]), shown_proof, view, TERMS)
    assert said(decided) == ("assertion" if mixed == asked else "ChallengeMismatch")


def test_proofs_come_from_the_wire_by_their_kind() -> None:
    payment_id = new_id()
    for each in (proof(payment_id, paid()), by_mandate(payment_id)):
        assert msgspec.convert(msgspec.to_builtins(each), Proof) == each
    for spoilt in ({"kind": "totp", "code": "123456"}, {"kind": "mandate"}, {}, {"kind": "assertion"}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(spoilt, Proof)
