"""What is known of customers is read in sets and written with the journal's page."""

import sqlite3

import pytest
from customer_desk import (
    NOW_S,
    SEALS,
    SECOND,
    WALLET,
    Desk,
    by_mandate,
    mandate,
    new_id,
    paid,
)

from contracts.customer_approvals import (
    Credential,
)
from wallet_node.customer_proof import ED25519
from wallet_node.customers.credential_changes import (
    bind_at_creation,
)
from wallet_node.customers.view import load
from wallet_node.errors import JournalUnavailable
from wallet_node.journal.journal import Page


def test_a_batch_of_a_thousand_is_loaded_in_three_queries(desk: Desk) -> None:
    view = load(desk.store, SEALS, NOW_S, wallets := [number.to_bytes(20) for number in range(1_000)])
    for number, wallet in enumerate(wallets):
        credential = Credential(number.to_bytes(4), ED25519, bytes(32))
        assert bind_at_creation(view, wallet, credential, is_new_wallet=True) is None
    desk.write(view)
    statements: list[str] = []
    desk.store.connection.set_trace_callback(statements.append)
    view = load(desk.store, SEALS, NOW_S, wallets, [number.to_bytes(16) for number in range(1_000)])
    desk.store.connection.set_trace_callback(None)
    assert len(statements) == 3
    assert [list(view.credentials_of(wallet)) for wallet in wallets] == [
        [number.to_bytes(4)] for number in range(1_000)
    ]


def test_changes_commit_with_the_page_or_not_at_all(desk: Desk) -> None:
    desk.create()
    before = desk.content()
    view = desk.load()
    view.record_revocation(new_id())
    changes = [*view.changes, ("INSERT INTO deployment VALUES (2, 1, x'00', '')", [()])]
    with pytest.raises((JournalUnavailable, sqlite3.Error)):
        desk.journal.write(Page(changes=changes), NOW_S)
    assert desk.content() == before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE credentials SET public_key = zeroblob(64)",
        "UPDATE credentials SET is_first = 0",
        "UPDATE credentials SET sign_count = 0",
        "DELETE FROM credentials",
        "INSERT INTO credentials VALUES (zeroblob(20), x'01', -8, zeroblob(64), 0, 1, 0, zeroblob(16))",
        "INSERT INTO credentials SELECT wallet, x'01', algorithm, public_key, 1, 1, 0, seal FROM credentials",
        "UPDATE mandates SET cap_minor = 1000000",
        "DELETE FROM mandates",
        "UPDATE mandate_revocations SET mandate_id = zeroblob(16)",
        "DELETE FROM mandate_revocations",
        "UPDATE mandate_spending SET spent_minor = 0",
        "UPDATE mandate_spending SET period_start_s = 0",
        "DELETE FROM mandate_spending",
    ],
)
def test_the_database_itself_keeps_what_was_written(desk: Desk, statement: str) -> None:
    desk.create()
    mandate_id = new_id()
    assert desk.register(mandate(mandate_id, sign_count=3)) == "new"
    assert desk.prove(new_id(), paid(), by_mandate(mandate_id)) == "mandate"
    desk.revoke(mandate_id)
    with pytest.raises(sqlite3.IntegrityError):
        desk.store.connection.execute(statement)


def test_what_was_not_loaded_is_not_taken_for_unbound(desk: Desk) -> None:
    """A forgotten wallet is a programmer's mistake, and must not get a second first credential by it."""
    desk.create()
    with pytest.raises(KeyError):
        bind_at_creation(load(desk.store, SEALS, NOW_S), WALLET, SECOND.credential, is_new_wallet=True)
