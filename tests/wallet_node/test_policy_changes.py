"""The policy in force: the first one, and then only what the officers' quorum approved."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from journal_builders import unguarded
from node_builders import NO_PROOF, POLICIES, Home
from officers_word import put_in_force
from policy_builders import HEAD, OFFICERS, bundled, public_text

from wallet_node.errors import JournalBroken, PolicyNotApproved
from wallet_node.journal.journal import Journal
from wallet_node.journal.pages import Page
from wallet_node.policy import change as policy_change
from wallet_node.policy.change import decide_policy_change, in_force
from wallet_node.policy.policy import Policy
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


def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """The node's command: a process of its own, since it makes itself private for good."""
    command = [sys.executable, "-m", "wallet_node.main", *arguments]
    return subprocess.run(command, capture_output=True, check=False, timeout=60)


def test_the_policy_in_force_is_printed_as_it_belongs_in_the_file(home: Home) -> None:
    put_in_force(home.open(BANK.source), SECOND.source)
    printed = run("policy", "--home", str(home.path))  # beside the running node
    assert (printed.returncode, printed.stdout) == (0, SECOND.source)


def test_where_no_policy_was_ever_in_force_the_command_says_so(tmp_path: Path) -> None:
    for _ in range(2):
        refused = run("policy", "--home", str(tmp_path))
        assert refused.returncode == 1
        assert b"no policy was ever in force here" in refused.stderr
        Store(tmp_path / "journal.sqlite3").close()


def test_a_template_is_completed_with_the_officers_keys() -> None:
    given = [f"--officer={name}={public_text(name)}" for name in OFFICERS]
    completed = run("complete-policy", "--template", "sandbox-bank", *given)
    assert (completed.returncode, completed.stdout) == (0, BANK.source)
    file = str(POLICIES.joinpath("sandbox-bank.yaml"))
    refused = run("complete-policy", "--template", file, *given[:2])
    assert refused.returncode == 1
    assert b"MalformedPolicy: " in refused.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--template", "none-such"], "sandbox-bank"),
        (["--template", "sandbox-bank", "--officer", "alena"], "NAME=ed25519:KEY"),
        (["--template", "sandbox-bank", "--officer", '{"name": 1}'], "NAME=ed25519:KEY"),
    ],
)
def test_what_completes_no_template_is_said(options: list[str], said: str) -> None:
    refused = run("complete-policy", *options)
    assert refused.returncode == 1
    assert said.encode() in refused.stderr
