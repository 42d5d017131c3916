"""Whoever edits the node's own files while it is stopped: what is refused, and what only an auditor finds.

an edited store
├── a policy file of somebody else's is refused
├── a policy that was written into it and into the file is refused, also with a row of its own
├── a journal whose end was not written with the home's keys is not continued
├── a copy from an earlier day is told from the anchors
├── triggers that were dropped or changed are there again after a start
├── a credential that was written into it, edited, or bound again is refused; other wallets are not concerned
├── a mandate that was edited is refused, no other; one whose revocation was deleted stays revoked
├── makes no key sign for another account (test_key_derivation.py), hides no row (test_verification.py)
└── a budget that was emptied is empty, until verify-journal finds it
"""

import json
import shutil
import sqlite3
import uuid
from pathlib import Path
from typing import Any

import msgspec
import pytest
from node_builders import DOMAIN, POLICIES, Home, batch, codes, customers, payment, sign
from passkeys import Passkey
from stolen_bank import LANDLORD, StolenBank, address, assertion, passkey, sandbox_policy, wire
from thief import OWN, OWN_PASSKEY

from contracts.customer_approvals import PaymentApproval
from wallet_node import strict_json
from wallet_node.customer_proof import Approval
from wallet_node.customers.credential_changes import CredentialChangeRequest
from wallet_node.customers.mandates import MandateRegistrations, MandateRevocations
from wallet_node.errors import JournalBroken, PolicyNotApproved, RefusedByNode
from wallet_node.fields import identifier_bytes
from wallet_node.intents.requests import Derivation
from wallet_node.journal.journal import Journal
from wallet_node.journal.pages import Page
from wallet_node.journal.verification import verify, verify_file
from wallet_node.policy.policy import Policy
from wallet_node.store import Store

BANK = sandbox_policy(POLICIES.joinpath("sandbox-bank.yaml").read_bytes())
LOOSE = BANK.replace(b"per_payment_cap_minor: 50000", b"per_payment_cap_minor: 150000")


def edit(home: Home, *statements: str, **values: object) -> None:
    """Past the node, and past its triggers."""
    home.close()
    connection = sqlite3.connect(home.path / "journal.sqlite3")
    triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for (trigger,) in triggers:
        connection.execute(f"DROP TRIGGER {trigger}")
    for statement in statements:
        connection.execute(statement, values)
    connection.commit()
    connection.close()


def test_a_policy_file_that_officers_did_not_approve_is_refused(home: Home) -> None:
    home.open(BANK)
    with pytest.raises(PolicyNotApproved):
        home.open(LOOSE)


def test_a_copy_of_an_earlier_day_is_told_from_the_anchors(home: Home, tmp_path: Path) -> None:
    """It would give the allowances of that day again, and nonces that were given since."""
    node = home.open(BANK)
    (payer,) = customers(node, 1)
    sign(node, batch(payment(payer, amount_minor=50_000)))
    node._store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(home.path / "journal.sqlite3", tmp_path / "earlier")
    (later,) = sign(node, batch(payment(payer, amount_minor=50_000)))
    anchored = verify(node._store)
    home.close()
    for left in home.path.glob("journal.sqlite3*"):
        left.unlink()
    shutil.copy(tmp_path / "earlier", home.path / "journal.sqlite3")
    (other,) = sign(home.open(BANK), batch(payment(payer, OWN, 50_000)))
    assert other["nonce"] == later["nonce"]  # which the contract executes once
    home.close()
    with pytest.raises(JournalBroken, match="not what was anchored"):
        verify_file(home.path / "journal.sqlite3", {anchored.rows: anchored.root})


def approved(home: Home, payer: str, key: Passkey, amount_minor: int = 80_000_000) -> dict[str, Any]:
    """A payment with the approval of whoever has this passkey."""
    made, until_s = payment(payer, OWN, amount_minor), int(home.clock.now_s) + 600
    digest = PaymentApproval(
        identifier_bytes(made["payment_id"]), address(payer), address(OWN), amount_minor, until_s
    ).digest(DOMAIN.separator)
    return made | {"proof": {"kind": "assertion", **assertion(key, digest, until_s)}}


def with_passkeys(home: Home) -> list[str]:
    """Two wallets with the passkeys 0 and 1."""
    fields = [wire(passkey(number)) for number in (0, 1)]
    body = json.dumps({"indices": [0, 1], "credentials": fields}).encode()
    addresses: list[str] = home.open(BANK).derive(strict_json.decode(body, Derivation))["addresses"]
    return addresses


INSERT = "INSERT INTO credentials VALUES (:wallet, :id, :algorithm, :key, 0, 1, 0, zeroblob(16))"
EDITS = {
    "another key": "UPDATE credentials SET public_key = :key, algorithm = :algorithm WHERE wallet = :wallet",
    "another wallet's": "UPDATE credentials SET wallet = zeroblob(20) WHERE wallet = :wallet",
    "first": "UPDATE credentials SET is_first = 0 WHERE wallet = :wallet",
    "counter": "UPDATE credentials SET sign_count = sign_count + 1 WHERE wallet = :wallet",
    "seal": "UPDATE credentials SET seal = zeroblob(16) WHERE wallet = :wallet",
}


def test_a_credential_that_was_written_into_it_is_refused_and_concerns_its_wallet_alone(home: Home) -> None:
    payer, other = with_passkeys(home)
    key = OWN_PASSKEY.credential
    values = {"wallet": address(payer), "id": key.credential_id, "key": key.public_key}
    edit(home, INSERT, **values, algorithm=key.algorithm)
    node = home.open(BANK)
    asked = [approved(home, payer, OWN_PASSKEY), approved(home, payer, passkey(0), 100)]
    for result in sign(node, batch(*asked)):
        assert codes(result)[0] == "SealBroken"
        assert "verify-journal" in result["refusal"]["detail"]
    untouched = batch(approved(home, other, passkey(1)), payment(payer))  # also the allowance without a proof
    assert ["signature" in each for each in sign(node, untouched)] == [True, True]
    with pytest.raises(JournalBroken, match="table of credentials has"):
        verify(node._store)


@pytest.mark.parametrize("what", EDITS)
def test_a_credential_that_was_edited_is_refused(home: Home, what: str) -> None:
    payer, other = with_passkeys(home)
    key = Passkey(9).credential
    used = {"wallet": address(payer), "key": key.public_key, "algorithm": key.algorithm}
    edit(home, EDITS[what], **{name: value for name, value in used.items() if f":{name}" in EDITS[what]})
    node = home.open(BANK)
    asked = [approved(home, payer, passkey(0)), approved(home, other, passkey(1))]
    refused, signed = sign(node, batch(*asked))
    assert codes(refused)[0] == ("SealBroken" if what != "another wallet's" else "CredentialUnknown")
    assert "signature" in signed
    approval = msgspec.convert({k: v for k, v in asked[0]["proof"].items() if k != "kind"}, Approval)
    request = CredentialChangeRequest(str(uuid.uuid4()), payer, Passkey(9).fields(), None, approval)
    with pytest.raises(RefusedByNode) as change:
        node.change_credential(request)
    assert change.value.code == ("SealBroken" if what != "another wallet's" else "CredentialUnknown")


def test_an_unbound_credential_is_not_bound_by_an_edit(home: Home) -> None:
    bank = StolenBank(home, BANK)
    bank.wallets = [payer, _] = with_passkeys(home)
    home.opened[-1].change_credential(
        strict_json.decode(json.dumps(bank._change(0)).encode(), CredentialChangeRequest)
    )
    edit(home, "UPDATE credentials SET is_bound = 1")
    (result,) = sign(home.open(BANK), batch(approved(home, payer, passkey(0))))
    assert codes(result)[0] == "SealBroken"


@pytest.mark.parametrize(
    "change",
    [
        "cap_minor = 99999999",
        "payee = payer",
        "expires_at_s = expires_at_s + 1",
        "is_revoked = 1",
        "period = 'month'",
    ],
)
def test_a_mandate_that_was_edited_is_refused_and_no_other(home: Home, change: str) -> None:
    bank = StolenBank(home, BANK)
    bank.wallets = with_passkeys(home)
    mandates = [bank._mandate(number, LANDLORD, 400) for number in (0, 1)]
    request = strict_json.decode(json.dumps({"mandates": mandates}).encode(), MandateRegistrations)
    home.opened[-1].register_mandates(request)
    ids = [each["mandate_id"] for each in mandates]
    edit(home, f"UPDATE mandates SET {change} WHERE mandate_id = :id", id=identifier_bytes(ids[0]))
    node = home.open(BANK)
    asked = [
        payment(wallet, LANDLORD, 1_000_000, proof={"kind": "mandate", "mandate_id": mandate_id})
        for wallet, mandate_id in zip(bank.wallets, ids, strict=True)
    ]
    refused, signed = sign(node, batch(*asked))
    assert codes(refused)[0] == "SealBroken"
    assert "signature" in signed
    answers = node.register_mandates(request)["results"]
    assert [each.get("refusal", {}).get("code") for each in answers] == ["SealBroken", None]
    node.revoke_mandates(MandateRevocations(tuple(ids)))  # takes power away, and seals no edited row
    again = [each | {"payment_id": str(uuid.uuid4())} for each in asked]
    assert [codes(each)[0] for each in sign(node, batch(*again))] == ["SealBroken", "MandateRevoked"]


def test_a_mandate_whose_revocation_was_deleted_stays_revoked(home: Home) -> None:
    bank = StolenBank(home, BANK)
    bank.wallets = with_passkeys(home)
    mandate = bank._mandate(0, LANDLORD, 400)
    node, mandate_id = home.opened[-1], mandate["mandate_id"]
    node.register_mandates(
        strict_json.decode(json.dumps({"mandates": [mandate]}).encode(), MandateRegistrations)
    )
    node.revoke_mandates(MandateRevocations((mandate_id,)))
    edit(home, "DELETE FROM mandate_revocations")
    proof = {"kind": "mandate", "mandate_id": mandate_id}
    asked = payment(bank.wallets[0], LANDLORD, 1_000_000, proof=proof)
    assert codes(sign(home.open(BANK), batch(asked))[0])[0] == "MandateRevoked"


@pytest.mark.parametrize("end", ["seal = zeroblob(16)", "seal = NULL", "last_seen_s = last_seen_s + 1"])
def test_a_journal_whose_end_others_have_written_is_not_continued(home: Home, end: str) -> None:
    (payer,) = customers(home.open(BANK), 1)
    sign(home.opened[-1], batch(payment(payer)))
    edit(home, f"UPDATE tip SET {end}")
    with pytest.raises(JournalBroken, match="not written with the keys of this home"):
        home.open(BANK)


def test_the_triggers_are_there_again_after_a_start(home: Home) -> None:
    """One of them says which nonce was the last: without it, one would be given twice."""
    (payer,) = customers(home.open(BANK), 1)
    listed = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name"
    before = home.opened[-1]._store.query(listed)
    edit(home, "CREATE TRIGGER nonces_rise AFTER INSERT ON intents BEGIN SELECT 1; END")
    for nonce in range(3):
        node = home.open(BANK)
        assert sign(node, batch(payment(payer)))[0]["nonce"] == nonce
        assert node._store.query(listed) == before
    verify(node._store)


def test_a_row_that_puts_another_policy_in_force_is_not_believed(home: Home) -> None:
    """However well it is chained: the end of the journal is sealed."""
    (payer,) = customers(home.open(BANK), 1)
    sign(home.opened[-1], batch(payment(payer)))
    home.close()
    store, page = Store(home.path / "journal.sqlite3"), Page()
    page.activate(bytes(16), Policy(LOOSE).digest, LOOSE)
    Journal(store, Policy(BANK).digest, BANK).write(page, int(home.clock.now_s))
    assert verify(store).rows == 2, "only an anchor tells"
    store.close()
    with pytest.raises(JournalBroken, match="not written with the keys of this home"):
        home.open(LOOSE)


def test_a_budget_that_was_emptied_is_empty(home: Home) -> None:
    node = home.open(BANK)
    (payer,) = customers(node, 1)
    asked = [payment(payer, amount_minor=50_000) for _ in range(4)]
    assert ["signature" in each for each in sign(node, batch(*asked))] == [True, True, True, False]
    edit(home, "DELETE FROM rolling_spending")
    node = home.open(BANK)
    with pytest.raises(JournalBroken, match="table of rolling_spending lacks"):
        verify(node._store)
    assert "signature" in sign(node, batch(payment(payer, amount_minor=50_000)))[0]


def test_a_policy_written_into_it_and_into_the_file_is_refused(home: Home) -> None:
    """In force is what the rows say; test_policy_changes.py tries each table."""
    (payer,) = customers(home.open(BANK), 1)
    sign(home.opened[-1], batch(payment(payer)))
    loose = {"hash": Policy(LOOSE).digest, "source": LOOSE}
    edit(
        home,
        "INSERT INTO policies VALUES (:hash, :source)",
        "INSERT INTO activations VALUES (1, :hash)",
        **loose,
    )
    with pytest.raises(PolicyNotApproved):
        home.open(LOOSE)
    assert home.open(BANK).policy.source == BANK
