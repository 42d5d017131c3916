"""Whoever edits the node's own files while it is stopped: what is noticed, and what is believed.

an edited store
├── a policy file of somebody else's is refused
├── a policy that was written into it and into the file is refused
├── a copy from an earlier day is told from the anchors
├── makes no key sign for another account (test_key_derivation.py), hides no row (test_verification.py)
└── does not protect what only its tables say
    ├── a credential that was written into it is believed
    └── a budget that was emptied is empty
"""

import shutil
import sqlite3
from pathlib import Path

import pytest
from node_builders import DOMAIN, POLICIES, Home, batch, customers, payment, sign
from passkeys import Passkey
from stolen_bank import address, assertion, sandbox_policy
from thief import OWN, OWN_PASSKEY

from contracts.customer_approvals import PaymentApproval
from wallet_node.errors import JournalBroken, PolicyNotApproved
from wallet_node.fields import identifier_bytes
from wallet_node.journal.verification import verify, verify_file
from wallet_node.policy.policy import Policy

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


def test_a_credential_that_was_written_into_it_is_believed(home: Home) -> None:
    (payer,) = customers(home.open(BANK), 1)
    made, until_s = payment(payer, OWN, 80_000_000), int(home.clock.now_s) + 600
    digest = PaymentApproval(
        identifier_bytes(made["payment_id"]), address(payer), address(OWN), 80_000_000, until_s
    ).digest(DOMAIN.separator)
    proof = {"kind": "assertion", **assertion(OWN_PASSKEY, digest, until_s)}
    assert "refusal" in sign(home.open(BANK), batch(made | {"proof": proof}))[0]

    insert(home, payer, OWN_PASSKEY)
    second = payment(payer, OWN, 80_000_000)
    digest = PaymentApproval(
        identifier_bytes(second["payment_id"]), address(payer), address(OWN), 80_000_000, until_s
    ).digest(DOMAIN.separator)
    proof = {"kind": "assertion", **assertion(OWN_PASSKEY, digest, until_s)}
    assert "signature" in sign(home.open(BANK), batch(second | {"proof": proof}))[0]


def insert(home: Home, wallet: str, key: Passkey) -> None:
    edit(
        home,
        "INSERT INTO credentials VALUES (:wallet, :id, :algorithm, :key, 1, 1, 0)",
        wallet=address(wallet),
        id=key.credential.credential_id,
        algorithm=key.credential.algorithm,
        key=key.credential.public_key,
    )


def test_a_budget_that_was_emptied_is_empty(home: Home) -> None:
    node = home.open(BANK)
    (payer,) = customers(node, 1)
    asked = [payment(payer, amount_minor=50_000) for _ in range(4)]
    assert ["signature" in each for each in sign(node, batch(*asked))] == [True, True, True, False]
    edit(home, "DELETE FROM rolling_spending")
    assert "signature" in sign(home.open(BANK), batch(payment(payer, amount_minor=50_000)))[0]


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
