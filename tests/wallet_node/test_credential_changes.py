"""Which authenticators speak for a wallet: bound when it is created, then changed by one or by the quorum."""

import uuid
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from customer_desk import (
    NOW_S,
    OTHER_WALLET,
    PASSKEY,
    SECOND,
    SEPARATOR,
    UNTIL_S,
    WALLET,
    Desk,
    new_id,
    paid,
    proof,
)
from passkeys import Passkey

from contracts import base64url
from contracts.customer_approvals import (
    NO_CREDENTIAL,
    Credential,
    CredentialChange,
)
from wallet_node.customer_proof import ED25519
from wallet_node.customers.credential_changes import (
    MOST_CREDENTIALS,
    CredentialChangeRequest,
    ParsedChange,
    bind_at_creation,
    parse_change,
)
from wallet_node.errors import CredentialMalformed


def bind(desk: Desk, credential: Credential, is_new_wallet: bool) -> str | None:
    view = desk.load()
    refusal = bind_at_creation(view, WALLET, credential, is_new_wallet)
    desk.write(view)
    return None if refusal is None else refusal.code


def test_a_first_credential_is_bound_when_the_wallet_is_created(desk: Desk) -> None:
    assert bind(desk, PASSKEY.credential, is_new_wallet=True) is None
    assert desk.bound() == {PASSKEY.credential.credential_id}


def test_binding_the_same_again_is_fine_and_changes_nothing(desk: Desk) -> None:
    desk.create()
    before = desk.content()
    assert bind(desk, PASSKEY.credential, is_new_wallet=False) is None
    assert desk.content() == before


def test_another_first_credential_is_refused(desk: Desk) -> None:
    desk.create()
    before = desk.content()
    same_id = replace(SECOND.credential, credential_id=PASSKEY.credential.credential_id)
    for other in (SECOND.credential, same_id):
        for is_new_wallet in (False, True):
            assert bind(desk, other, is_new_wallet) == "CredentialAlreadyBound"
    assert desk.content() == before


def test_a_wallet_that_exists_gets_no_first_credential(desk: Desk) -> None:
    assert bind(desk, PASSKEY.credential, is_new_wallet=False) == "CredentialNotAtCreation"
    assert desk.bound() == set()


def test_a_wallet_named_twice_in_a_request_gets_one_credential(desk: Desk) -> None:
    view = desk.load()
    assert bind_at_creation(view, WALLET, PASSKEY.credential, is_new_wallet=True) is None
    assert bind_at_creation(view, WALLET, PASSKEY.credential, is_new_wallet=True) is None
    refusal = bind_at_creation(view, WALLET, SECOND.credential, is_new_wallet=True)
    assert refusal is not None
    assert refusal.code == "CredentialAlreadyBound"


def test_asking_again_after_a_change_binds_nothing_back(desk: Desk) -> None:
    desk.create()
    assert desk.change(change(bind=SECOND, unbind=PASSKEY)) == "changed"
    assert bind(desk, PASSKEY.credential, is_new_wallet=False) is None
    assert desk.bound() == {SECOND.credential.credential_id}


def test_one_passkey_may_be_of_several_wallets(desk: Desk) -> None:
    desk.create()
    desk.create(wallet=OTHER_WALLET)
    payment_id, payment = new_id(), paid(payer=OTHER_WALLET)
    assert desk.prove(payment_id, payment, proof(payment_id, payment)) == "assertion"


def change(
    bind: Passkey | None = None, unbind: Passkey | None = None, change_id: bytes | None = None
) -> ParsedChange:
    return ParsedChange(
        change_id or new_id(),
        WALLET,
        None if bind is None else bind.credential,
        None if unbind is None else unbind.credential.credential_id,
    )


def approve(asked: ParsedChange, passkey: Passkey, unbind: Passkey | None = None, **changes: Any) -> Any:
    """A credential's approval of a change, as a customer's device computes it."""
    approved = CredentialChange(
        asked.change_id,
        asked.wallet,
        NO_CREDENTIAL if asked.bind is None else asked.bind.struct_hash(),
        NO_CREDENTIAL if unbind is None else unbind.credential.struct_hash(),
        UNTIL_S,
    )
    return passkey.approval(approved.digest(SEPARATOR), UNTIL_S, **changes)


def test_a_bound_credential_may_bind_another_which_then_counts(desk: Desk) -> None:
    desk.create()
    other = Passkey(3, ED25519)
    asked = change(bind=other)
    payment_id = new_id()
    assert desk.prove(payment_id, paid(), proof(payment_id, paid(), other)) == "CredentialUnknown"
    assert desk.change(asked, approve(asked, PASSKEY)) == "changed"
    desk.reopen()
    for passkey in (PASSKEY, other):
        assert desk.prove(payment_id, paid(), proof(payment_id, paid(), passkey)) == "assertion"


def test_a_bound_credential_may_unbind_one_which_then_counts_no_more(desk: Desk) -> None:
    desk.create()
    added = change(bind=SECOND)
    assert desk.change(added, approve(added, PASSKEY)) == "changed"
    removed = change(unbind=PASSKEY)
    assert desk.change(removed, approve(removed, SECOND, unbind=PASSKEY)) == "changed"
    payment_id = new_id()
    assert desk.prove(payment_id, paid(), proof(payment_id, paid())) == "CredentialUnknown"
    back = change(bind=PASSKEY)
    assert desk.change(back, approve(back, PASSKEY)) == "CredentialUnknown"


def test_a_credential_may_replace_itself(desk: Desk) -> None:
    desk.create()
    asked = change(bind=SECOND, unbind=PASSKEY)
    assert desk.change(asked, approve(asked, PASSKEY, unbind=PASSKEY)) == "changed"
    assert desk.bound() == {SECOND.credential.credential_id}


def test_a_credential_that_is_not_bound_approves_nothing(desk: Desk) -> None:
    """Neither a stranger's, nor the new one for itself."""
    desk.create()
    before = desk.content()
    asked = change(bind=SECOND)
    for passkey in (SECOND, Passkey(3)):
        assert desk.change(asked, approve(asked, passkey)) == "CredentialUnknown"
    assert desk.content() == before


@pytest.mark.parametrize(
    "other",
    [change(bind=Passkey(3)), change(unbind=SECOND), change(bind=Passkey(3), unbind=SECOND)],
    ids=["another", "unbinding", "both"],
)
def test_an_approval_is_good_for_one_change(desk: Desk, other: ParsedChange) -> None:
    desk.create()
    added = change(bind=SECOND)
    approval = approve(added, PASSKEY)
    assert desk.change(added, approval) == "changed"
    before = desk.content()
    assert desk.change(other, approval) == "ChallengeMismatch"
    renamed = msgspec.structs.replace(other, change_id=added.change_id)
    assert desk.change(renamed, approval) == "ChallengeMismatch"
    assert desk.content() == before


def test_an_approval_of_a_change_is_no_approval_for_another_wallet(desk: Desk) -> None:
    desk.create()
    desk.create(wallet=OTHER_WALLET)
    asked = change(bind=SECOND)
    elsewhere = msgspec.structs.replace(asked, wallet=OTHER_WALLET)
    assert desk.change(elsewhere, approve(asked, PASSKEY)) == "ChallengeMismatch"


def test_an_approval_of_a_change_expires_and_counts(desk: Desk) -> None:
    desk.create()
    asked, later = change(bind=SECOND), change(bind=Passkey(3))
    desk.now_s = UNTIL_S
    assert desk.change(asked, approve(asked, PASSKEY)) == "ProofExpired"
    desk.now_s = NOW_S
    assert desk.change(asked, approve(asked, PASSKEY, sign_count=4)) == "changed"
    assert desk.change(later, approve(later, PASSKEY, sign_count=4)) == "CloneSuspected"


def test_the_last_credential_goes_only_when_another_comes(desk: Desk) -> None:
    desk.create()
    asked = change(unbind=PASSKEY)
    assert desk.change(asked, approve(asked, PASSKEY, unbind=PASSKEY)) == "LastCredential"
    assert desk.change(asked) == "LastCredential"
    assert desk.bound() == {PASSKEY.credential.credential_id}


def test_what_changes_nothing_or_is_unknown_is_refused(desk: Desk) -> None:
    desk.create()
    same_id = Passkey(2)
    same_id.credential = replace(SECOND.credential, credential_id=PASSKEY.credential.credential_id)
    refused = {
        "NothingToChange": change(),
        "CredentialAlreadyBound": change(bind=PASSKEY),
        "CredentialIdReused": change(bind=same_id),
        "CredentialUnknown": change(unbind=SECOND),
    }
    before = desk.content()
    for code, asked in refused.items():
        assert desk.change(asked, approve(asked, PASSKEY)) == code
        assert desk.change(asked) == code
    assert desk.content() == before


def test_what_never_was_bound_is_unknown_and_not_the_last(desk: Desk) -> None:
    assert desk.change(change(unbind=PASSKEY)) == "CredentialUnknown"
    assert desk.change(change()) == "NothingToChange"


def test_a_wallet_has_a_bounded_number_of_credentials(desk: Desk) -> None:
    desk.create()
    for number in range(2, MOST_CREDENTIALS + 1):
        assert desk.change(change(bind=Passkey(number))) == "changed"
    one_more = Passkey(99)
    assert desk.change(change(bind=one_more)) == "TooManyCredentials"
    assert desk.change(change(bind=one_more, unbind=PASSKEY)) == "changed"


def test_the_quorum_may_bind_where_every_credential_is_lost_or_none_ever_was(desk: Desk) -> None:
    assert desk.change(change(bind=PASSKEY)) == "changed"
    assert desk.change(change(bind=SECOND, unbind=PASSKEY)) == "changed"
    payment_id = new_id()
    assert desk.prove(payment_id, paid(), proof(payment_id, paid(), SECOND)) == "assertion"


def test_a_credential_that_comes_back_has_not_forgotten_its_counter(desk: Desk) -> None:
    desk.create()
    payment_id = new_id()
    assert desk.prove(payment_id, paid(), proof(payment_id, paid(), sign_count=50)) == "assertion"
    assert desk.change(change(bind=SECOND, unbind=PASSKEY)) == "changed"
    assert desk.change(change(bind=PASSKEY)) == "changed"
    later = new_id()
    assert desk.prove(later, paid(), proof(later, paid(), sign_count=50)) == "CloneSuspected"


def test_a_change_is_read_from_the_wire() -> None:
    wire = {
        "change_id": str(uuid.UUID(int=7)),
        "wallet": "0x" + WALLET.hex(),
        "bind": msgspec.to_builtins(SECOND.fields()),
        "unbind": base64url.encode(PASSKEY.credential.credential_id),
        "approval": None,
    }
    request = msgspec.convert(wire, CredentialChangeRequest)
    expected = change(bind=SECOND, unbind=PASSKEY, change_id=uuid.UUID(int=7).bytes)
    assert parse_change(request) == expected
    for spoilt in ({"unbind": "A="}, {"bind": {**wire["bind"], "public_key": "AAAA"}}):  # type: ignore[dict-item]
        with pytest.raises(CredentialMalformed):
            parse_change(msgspec.convert(wire | spoilt, CredentialChangeRequest))
    for missing in wire:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({k: v for k, v in wire.items() if k != missing}, CredentialChangeRequest)
