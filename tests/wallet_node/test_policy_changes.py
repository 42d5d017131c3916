"""The policy in force: the first one, and then only what the officers' quorum approved."""

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from node_builders import NO_PROOF
from policy_builders import HEAD, NOTHING, WALLET, bundled, call, facts, spent, statement
from rich.console import Console

from scripts.commands.explain import print_explanation
from wallet_node.errors import PolicyNotApproved
from wallet_node.officers import approvals
from wallet_node.officers.operations import Operations
from wallet_node.officers.outcomes import Proposal, Recorded, Satisfied
from wallet_node.policy import change as policy_change
from wallet_node.policy.change import decide_policy_change, require_active
from wallet_node.policy.policy import Policy
from wallet_node.signers.explaining import explain
from wallet_node.store import Store

NOW_S = 1_800_000_000
BANK = bundled("sandbox-bank")
SECOND = Policy(BANK.source.replace(b"version: 1", b"version: 2"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "journal.sqlite3")
    yield store
    store.close()


def codes(decided: Policy | tuple) -> list[str]:
    assert isinstance(decided, tuple)
    return [refusal.code for refusal in decided]


def test_a_higher_version_can_replace_the_policy_and_nothing_else_can() -> None:
    decided = decide_policy_change(BANK, SECOND.source)
    assert isinstance(decided, Policy)
    assert decided.digest == SECOND.digest
    assert codes(decide_policy_change(BANK, BANK.source)) == ["PolicyVersionNotHigher"]
    assert codes(decide_policy_change(SECOND, BANK.source)) == ["PolicyVersionNotHigher"]
    assert codes(decide_policy_change(BANK, b"nonsense")) == ["MalformedPolicy"]
    assert codes(decide_policy_change(BANK, HEAD.replace("version: 1", "version: 2").encode())) == [
        "PolicyWouldBeFinal"
    ]


def test_a_policy_that_names_no_quorum_for_it_is_never_changed() -> None:
    assert codes(decide_policy_change(Policy(NO_PROOF), SECOND.source)) == ["PolicyChangeNotAllowed"]
    assert codes(decide_policy_change(Policy(NO_PROOF), b"")) == ["PolicyChangeNotAllowed", "MalformedPolicy"]


def test_the_first_start_puts_its_policy_in_force_and_another_file_is_refused(store: Store) -> None:
    assert policy_change.active_hash(store) is None
    require_active(store, BANK, NOW_S)
    require_active(store, BANK, NOW_S + 1)
    assert policy_change.active_hash(store) == BANK.digest
    assert policy_change.active_source(store) == BANK.source
    for other in (SECOND, Policy(BANK.source + b"# a comment\n"), Policy(NO_PROOF)):
        with pytest.raises(PolicyNotApproved) as refused:
            require_active(store, other, NOW_S)
        assert BANK.digest.hex() in refused.value.detail
        assert "sandbox-bank 1" in refused.value.detail
        assert "/v1/policy:change" in refused.value.detail
    with pytest.raises(Exception, match="for ever"):
        store.connection.execute("DELETE FROM active_policy")


def test_officers_put_another_policy_in_force(store: Store) -> None:
    require_active(store, BANK, NOW_S)

    def never(*_: object) -> int:
        raise AssertionError

    operations, operation_id = Operations(store, never), bytes(16)
    quorum = BANK.file.changes.policy
    assert quorum is not None
    content = policy_change.content_of(SECOND.source)
    digest = approvals.operation_digest(policy_change.POLICY_CHANGE, operation_id, content)
    proposal = Proposal(operation_id, policy_change.POLICY_CHANGE, digest, "{}", quorum)

    def write(changes: policy_change.Changes) -> None:
        with store.transaction() as connection:
            for sql, rows in changes:
                connection.executemany(sql, rows)

    proposed = operations.propose(proposal, policy=BANK, now_s=NOW_S)
    write(proposed.changes)
    for name in ("first-officer", "third-officer"):
        said = operations.approve(
            statement(proposed.operation, name, BANK, NOW_S + 60), policy=BANK, now_s=NOW_S
        )
        assert isinstance(said, Recorded)
        write(said.changes)
    satisfied = operations.propose(proposal, policy=BANK, now_s=NOW_S)
    assert isinstance(satisfied, Satisfied)
    write(operations.execute(satisfied, NOW_S).changes + policy_change.activation(SECOND, NOW_S))
    require_active(store, SECOND, NOW_S)
    with pytest.raises(PolicyNotApproved):
        require_active(store, BANK, NOW_S)


# ------------------------------------------------------------------------------------------ explained


def test_an_explanation_says_the_decision_each_rules_part_and_what_was_used() -> None:
    used = spent({("customers-pay/unproved", WALLET): (149_999, 149_999)})
    found = explain(BANK, facts(amount_minor=2), used)
    assert (found.outcome, found.proof_needed) == ("refused", True)
    assert [refusal.code for refusal in found.refusals] == ["ProofRequired"]
    assert {part.rule: part.outcome for part in found.rules} == {
        "customers-pay": "refused",
        "funding": "no match",
        "funding-leaves-the-bank": "no match",
    }
    of_wallet = next(cap for cap in found.used if cap.subject != "institution")
    assert (of_wallet.subject, of_wallet.day_minor) == ("0x" + WALLET.hex(), 149_999)
    assert "rule funding: no match\n    the payer is derived, not institution" in found.text
    document = json.loads(msgspec.json.encode(found))
    assert document["facts"]["payer"] == "0x" + WALLET.hex()
    assert document["rules"][0]["outcome"] == "refused"


def test_an_explained_transaction_names_the_quorum_that_it_waits_for() -> None:
    central = bundled("sandbox-central-bank")
    found = explain(central, call("pauser", "unpause()"), NOTHING)
    assert (found.outcome, found.quorum) == ("waits for officers", "officers")
    assert {part.outcome for part in found.rules} == {"allowed", "no match"}
    assert explain(central, call("pauser", "pause()"), NOTHING).outcome == "allowed"


def test_an_explanation_is_printed_as_tables_and_markup_in_it_stays_text() -> None:
    shown = StringIO()
    explanation = msgspec.to_builtins(explain(BANK, facts(amount_minor=50_001), NOTHING))
    explanation["rules"][1]["because"] = ("[bold]not markup[/bold]",)
    print_explanation(Console(file=shown, width=140), explanation)
    text = shown.getvalue()
    for expected in (
        "refused, by sandbox-bank",
        "ProofRequired",
        "funding-leaves-the-bank",
        "[bold]not markup",
    ):
        assert expected in text
    assert "168 hours" in text
    waiting = msgspec.to_builtins(
        explain(bundled("sandbox-central-bank"), call("pauser", "unpause()"), NOTHING)
    )
    print_explanation(Console(file=shown, width=140), waiting)
    assert "waits for officers for the quorum officers" in shown.getvalue()
