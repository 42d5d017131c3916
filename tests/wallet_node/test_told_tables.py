"""The tables by which the node decides, held against the rows: whatever somebody edits, it is found."""

import json
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journal_builders import NEXT_POLICY, NOW_S, ROWS, every_kind, new_id, open_journal, paid, unguarded
from node_builders import POLICIES, Home, batch, payment, sign
from officers_word import put_in_force
from stolen_bank import LANDLORD, SHOP, StolenBank, passkey, sandbox_policy, wire

from wallet_node import strict_json
from wallet_node.customers.credential_changes import CredentialChangeRequest
from wallet_node.customers.mandates import MandateRegistrations, MandateRevocations
from wallet_node.errors import JournalBroken, RefusedByNode
from wallet_node.intents.requests import Derivation
from wallet_node.journal.entries import CredentialBound, OperationApproved
from wallet_node.journal.pages import Page, Row
from wallet_node.journal.verification import verify
from wallet_node.node import WalletNode
from wallet_node.policy.spending import Spending
from wallet_node.store import Store

EDITED = {
    "credentials": ["is_bound = 1 - is_bound", "is_first = 1 - is_first", "public_key = zeroblob(32)",
                    "credential_id = x'99'"],
    "credential_changes": ["content = x'00'", "change_id = zeroblob(16)"],
    "mandates": ["cap_minor = 501", "payee = payer", "period = 'month'", "expires_at_s = expires_at_s + 1",
                 "is_revoked = 1", "proof_hash = zeroblob(32)"],
    "mandate_revocations": ["mandate_id = zeroblob(16)", "revoked_at_s = 1"],
    "mandate_spending": ["spent_minor = 1", "period_start_s = 0"],
    "rolling_spending": ["spent_minor = 6", "hour = hour - 1", "hour = hour + 1", "ledger = 2"],
    "operations": ["state = 'pending', ended_at_s = NULL WHERE state = 'withdrawn'", "kind = 'policy'",
                   "digest = zeroblob(32)", "description = '{\"says\": [\"nothing\"]}'", "quorum = 'nobody'",
                   "initiator = 'alena'", "expires_at_s = expires_at_s + 1", "proposed_at_s = 1"],
    "operation_statements": ["verb = 3 - verb", "expires_at_s = 1", "policy_hash = zeroblob(32)",
                             "officer = officer || 'x'", "operation_id = zeroblob(16)"],
    "deployment": ["chain_id = 1", "contract = zeroblob(20)", "domain_name = 'another'"],
    "derived_keys": ["address = zeroblob(20)"],
}  # fmt: skip
ADDED = {
    "credentials": "SELECT wallet, x'77', algorithm, zeroblob(32), 0, 1, 0, seal FROM credentials LIMIT 1",
    "credential_changes": "SELECT zeroblob(16), content FROM credential_changes",
    "mandates": "SELECT zeroblob(16), payer, payee, 1, period, 1, 2, proof_hash, 0, seal FROM mandates",
    "mandate_revocations": "SELECT zeroblob(16), 1",
    "mandate_spending": "SELECT mandate_id, period_start_s - 604800, 1 FROM mandate_spending",
    "rolling_spending": "SELECT ledger, zeroblob(20), hour, 0 FROM rolling_spending LIMIT 1",
    "operations": "SELECT zeroblob(16), kind, digest, description, quorum, initiator, 1, 2, 'pending', NULL"
    " FROM operations LIMIT 1",
    "operation_statements": "SELECT 'third', zeroblob(32), operation_id, 1, policy_hash, 2, 1"
    " FROM operation_statements LIMIT 1",
}  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = every_kind(tmp_path / "journal.sqlite3")
    assert verify(made).rows == ROWS
    yield made
    made.close()


def broken(store: Store) -> str:
    with pytest.raises(JournalBroken) as found:
        verify(store)
    return found.value.detail


@pytest.mark.parametrize(
    ("table", "edit"), [(table, edit) for table, edits in EDITED.items() for edit in edits]
)
def test_an_edited_row_is_found(store: Store, table: str, edit: str) -> None:
    unguarded(store)
    places = store.query(f"SELECT count(*) FROM {table}")[0][0]
    if "WHERE" not in edit and places > 1:  # one of them
        key = store.query(f"SELECT name FROM pragma_table_info('{table}') WHERE pk = 1")[0][0]
        edit += f" WHERE {key} = (SELECT max({key}) FROM {table})"
    changed = store.connection.execute(f"UPDATE OR REPLACE {table} SET {edit}").rowcount
    assert changed > 0
    assert table in broken(store) or table == "deployment"


@pytest.mark.parametrize("table", ADDED)
def test_an_added_row_is_found(store: Store, table: str) -> None:
    unguarded(store, f"INSERT INTO {table} {ADDED[table]}")
    assert "of which no row tells" in broken(store)


@pytest.mark.parametrize("table", EDITED)
def test_a_deleted_row_is_found(store: Store, table: str) -> None:
    key = store.query(f"SELECT name FROM pragma_table_info('{table}') WHERE pk = 1")[0][0]
    unguarded(store, f"DELETE FROM {table} WHERE {key} = (SELECT min({key}) FROM {table})")
    assert "rows tell" in broken(store) or table == "deployment"


def test_what_was_swept_at_start_up_is_not_missed(store: Store) -> None:
    later_s = NOW_S + 170 * 3_600
    open_journal(store, NEXT_POLICY).write(Page(first_attempts=[paid(90, 90)]), later_s)
    assert verify(store).rows == ROWS + 1  # old buckets are there, or not
    Spending(store).sweep(later_s)
    assert store.query("SELECT count(*) FROM rolling_spending") == [(0,)]
    assert verify(store).rows == ROWS + 1


CONTRADICTIONS = {
    "a first credential to a wallet that has one": Row(b"P" * 16, CredentialBound(b"P" * 20, bytes(32))),
    "an operation that did not wait": Row(
        new_id(720), OperationApproved(b"d" * 32, "alena", NOW_S + 90, False), b"9" * 32
    ),
    "a second time": Row(new_id(720), OperationApproved(b"d" * 32, "alena", NOW_S + 60, False), b"1" * 32),
}


@pytest.mark.parametrize("what", CONTRADICTIONS)
def test_rows_that_contradict_each_other_are_found(store: Store, what: str) -> None:
    open_journal(store, NEXT_POLICY).write(Page(notes=[CONTRADICTIONS[what]]), NOW_S + 9)
    assert what in broken(store)


def test_a_row_under_a_policy_that_was_not_in_force_is_found(store: Store) -> None:
    open_journal(store).write(Page(first_attempts=[paid(90, 90)]), NOW_S + 9)
    assert "was not in force" in broken(store)


def test_a_charge_that_no_bucket_has_is_found(store: Store) -> None:
    charges = (("pay/unproved", False, 1),)
    journal = open_journal(store, NEXT_POLICY)
    journal.write(Page(first_attempts=[paid(90, 90, charges=charges)]), NOW_S + 9)
    assert "rolling_spending" in broken(store)


# ------------------------------------------------------------------------------------------ a real node's

BANK = sandbox_policy(POLICIES.joinpath("sandbox-bank.yaml").read_bytes())
COUNT = 3
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["pay", "approved", "mandate", "under", "revoke", "change", "hours", "policy",
                         "restart"]),
        st.integers(0, COUNT - 1),
    ),
    max_size=25,
)  # fmt: skip


class History:
    """What customers of a real node do, one step after the other."""

    def __init__(self, home: Home) -> None:
        self.home, self.policy = home, BANK
        self.bank = StolenBank(home, BANK)
        fields = [wire(passkey(number)) for number in range(COUNT)]
        body = {"indices": list(range(COUNT)), "credentials": fields}
        self.bank.wallets = self.node.derive(decoded(body, Derivation))["addresses"]
        self.mandates: list[tuple[int, str]] = []

    @property
    def node(self) -> WalletNode:
        return self.home.opened[-1]

    def take(self, step: str, number: int) -> None:
        bank, wallet = self.bank, self.bank.wallets[number]
        match step:
            case "pay":
                sign(self.node, batch(payment(wallet, LANDLORD, 20_000 + number)))
            case "approved":
                sign(self.node, batch(bank.approved(number, payee=SHOP, amount_minor=900_000)))
            case "mandate":
                mandate = bank._mandate(number, LANDLORD, 400)
                self.node.register_mandates(decoded({"mandates": [mandate]}, MandateRegistrations))
                self.mandates.append((number, mandate["mandate_id"]))
            case "under" if self.mandates:
                payer, mandate_id = self.mandates[-1 - number % len(self.mandates)]
                proof = {"kind": "mandate", "mandate_id": mandate_id}
                asked = payment(bank.wallets[payer], LANDLORD, 1_100_000 + number, proof=proof)
                sign(self.node, batch(asked))
            case "revoke":
                ids = [str(uuid.uuid4()), *(mandate_id for _, mandate_id in self.mandates[:number])]
                self.node.revoke_mandates(MandateRevocations(tuple(ids)))
            case "change":
                with suppress(RefusedByNode):  # a credential that was unbound before
                    self.node.change_credential(decoded(bank._change(number), CredentialChangeRequest))
            case "hours":
                self.home.clock.now_s += 3_600 * (1, 30, 169)[number]
            case "policy":
                version = self.node.policy.file.version
                later = b"version: %d" % (version + 1)
                self.policy = self.policy.replace(b"version: %d" % version, later)
                put_in_force(self.node, self.policy)
            case "restart":
                self.home.open(BANK)


def decoded(body: dict[str, Any], form: type[Any]) -> Any:
    return strict_json.decode(json.dumps(body).encode(), form)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS)
def test_any_history_of_a_real_node_verifies(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    path = tmp_path_factory.mktemp("history") / "home"
    path.mkdir(mode=0o700)
    history = History(Home(path).bind())
    history.node._store.connection.execute("PRAGMA synchronous = OFF")
    for step in steps:
        history.take(*step)
    assert verify(history.node._store).rows >= COUNT
    history.home.close()


def test_a_history_with_every_step_has_a_row_in_every_table_and_verifies(home: Home) -> None:
    history = History(home)
    steps = [("mandate", 0), ("mandate", 1), ("pay", 0), ("approved", 1), ("under", 0), ("revoke", 1)]
    for step, number in (*steps, ("change", 2), ("policy", 0), ("restart", 0)):
        history.take(step, number)
    store = history.node._store
    assert verify(store).rows > 10
    for table in ADDED:
        assert store.query(f"SELECT count(*) FROM {table}")[0][0], table
