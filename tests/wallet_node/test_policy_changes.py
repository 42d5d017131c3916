"""The policy in force: the first one, and then only what the officers' quorum approved."""

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import msgspec
import pytest
from journal_builders import unguarded
from node_builders import NO_PROOF, POLICIES, Home
from officers_word import put_in_force
from policy_builders import HEAD, NOTHING, OFFICERS, WALLET, bundled, call, facts, public_text, spent
from rich.console import Console

from scripts.commands.explain import print_explanation
from wallet_node.errors import JournalBroken, PolicyNotApproved
from wallet_node.journal.journal import Journal
from wallet_node.journal.pages import Page
from wallet_node.main import main
from wallet_node.policy import change as policy_change
from wallet_node.policy.change import decide_policy_change, in_force
from wallet_node.policy.policy import Policy
from wallet_node.signers.explaining import explain
from wallet_node.store import Store

NOW_S = 1_800_000_000
BANK = bundled("sandbox-bank")
SECOND, THIRD = (Policy(BANK.source.replace(b"version: 1", b"version: %d" % each)) for each in (2, 3))


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


def test_the_first_start_believes_its_file_and_another_one_is_refused_ever_after(store: Store) -> None:
    assert policy_change.active_hash(store) is None
    assert policy_change.active_source(store) is None
    for policy in (BANK, BANK):
        assert in_force(store, policy) is policy
        Journal(store, policy.digest, policy.source)
    assert policy_change.active_hash(store) == BANK.digest
    assert policy_change.active_source(store) == BANK.source
    for other in (SECOND, Policy(BANK.source + b"# a comment\n"), Policy(NO_PROOF)):
        with pytest.raises(PolicyNotApproved) as refused:
            in_force(store, other)
        for said in (BANK.digest.hex(), "sandbox-bank 1", "/v1/policy:change", "main policy --home"):
            assert said in refused.value.detail


def activate(store: Store, before: Policy, after: Policy) -> None:
    page = Page()
    page.activate(bytes(16), after.digest, after.source)
    Journal(store, before.digest, before.source).write(page, NOW_S)


def test_after_a_change_the_file_of_before_starts_the_policy_that_was_approved(store: Store) -> None:
    activate(store, BANK, SECOND)
    activate(store, SECOND, THIRD)
    for file in (BANK, SECOND, THIRD):
        assert in_force(store, file).source == THIRD.source
    with pytest.raises(PolicyNotApproved, match="sandbox-bank 3"):
        in_force(store, Policy(NO_PROOF))


@pytest.mark.parametrize(
    "edit",
    [
        "INSERT INTO policies VALUES (:hash, :source)",
        "INSERT INTO activations VALUES (2, :hash)",
        "UPDATE activations SET policy_hash = :hash",
    ],
)
def test_no_table_puts_a_policy_in_force(store: Store, edit: str) -> None:
    activate(store, BANK, SECOND)
    unguarded(store)
    store.connection.execute(edit, {"hash": THIRD.digest, "source": THIRD.source})
    assert in_force(store, SECOND).source == SECOND.source
    with pytest.raises(PolicyNotApproved):
        in_force(store, THIRD)


@pytest.mark.parametrize("edit", ["UPDATE policies SET source = x'00'", "DELETE FROM policies"])
def test_a_text_that_is_not_what_was_approved_is_not_believed(store: Store, edit: str) -> None:
    activate(store, BANK, SECOND)
    unguarded(store, edit)
    with pytest.raises(JournalBroken, match="verify-journal"):
        in_force(store, BANK)


def test_a_node_that_was_started_with_the_file_of_before_says_so(home: Home) -> None:
    node = home.open(BANK.source)
    assert node.readiness()["policy_file"] == "in force"
    put_in_force(node, SECOND.source)
    again = home.open(BANK.source)
    assert again.policy.source == SECOND.source
    told = {name: again.readiness()[name] for name in ("policy", "policy_version", "policy_file")}
    assert told == {"policy": "sandbox-bank", "policy_version": 2, "policy_file": "replaced"}
    assert home.open(SECOND.source).readiness()["policy_file"] == "in force"


# ------------------------------------------------------------------------------------------ commands


def test_the_policy_in_force_is_printed_as_it_belongs_in_the_file(
    home: Home, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    put_in_force(home.open(BANK.source), SECOND.source)
    assert main(["policy", "--home", str(home.path)]) == 0  # beside the running node
    assert capfdbinary.readouterr().out == SECOND.source


def test_where_no_policy_was_ever_in_force_the_command_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["policy", "--home", str(tmp_path)]) == 1
    Store(tmp_path / "journal.sqlite3").close()
    assert main(["policy", "--home", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("no policy was ever in force here") == 2


def test_a_template_is_completed_with_the_officers_keys(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    given = [f"--officer={name}={public_text(name)}" for name in OFFICERS]
    assert main(["complete-policy", "--template", "sandbox-bank", *given]) == 0
    assert capfdbinary.readouterr().out == BANK.source
    file = str(POLICIES.joinpath("sandbox-bank.yaml"))
    assert main(["complete-policy", "--template", file, *given[:2]]) == 1
    assert b"MalformedPolicy: " in capfdbinary.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--template", "none-such"], "sandbox-bank"),
        (["--template", "sandbox-bank", "--officer", "alena"], "NAME=ed25519:KEY"),
        (["--template", "sandbox-bank", "--officer", '{"name": 1}'], "NAME=ed25519:KEY"),
    ],
)
def test_what_completes_no_template_is_said(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["complete-policy", *options]) == 1
    assert said in capsys.readouterr().err


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
