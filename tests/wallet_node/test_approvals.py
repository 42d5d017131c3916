"""Approvals: m distinct officers, this operation, this policy, until then; and nothing counts twice."""

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_builders import (
    HEAD,
    MONDAY_8_40_S,
    OFFICERS,
    PROOFS,
    bundled,
    officer_key,
    officers_text,
    statement,
)

from wallet_node.customer_proof import RelyingParty
from wallet_node.errors import JournalUnavailable, Refusal
from wallet_node.officers import approvals, operations
from wallet_node.officers.approvals import APPROVE, WITHDRAW, Operation, Statement
from wallet_node.officers.operations import Operations
from wallet_node.officers.outcomes import (
    Changes,
    Executed,
    Expired,
    Pending,
    Proposal,
    Recorded,
    Refused,
    Satisfied,
    Withdrawn,
)
from wallet_node.policy.file import Credential
from wallet_node.policy.policy import Policy
from wallet_node.store import Store

FIRST, SECOND, THIRD = OFFICERS
NOW_S = MONDAY_8_40_S
CENTRAL = bundled("sandbox-central-bank")
CONTENT = b"increase the allowance of participant 1 by 1000"
LATER = Policy(CENTRAL.source.replace(b"version: 1", b"version: 2"))


def no_passkeys(*_: Any) -> int | Refusal:
    raise AssertionError("no officer here has a passkey")


@dataclass
class Desk:
    """Operations as the node uses them: what a step returns is written, or lost."""

    store: Store
    policy: Policy = CENTRAL
    now_s: int = NOW_S
    operations: Operations = field(init=False)

    def __post_init__(self) -> None:
        self.operations = Operations(self.store, no_passkeys)

    def write(self, changes: Changes) -> None:
        with self.store.transaction() as connection:
            for sql, rows in changes:
                connection.executemany(sql, rows)

    def propose(self, number: int = 1, content: bytes = CONTENT, **changes: Any) -> Any:
        operation_id = number.to_bytes(16)
        digest = approvals.operation_digest("transaction", operation_id, content)
        proposal = Proposal(operation_id, "transaction", digest, '{"moves": 1000}', "officers")
        proposal = msgspec.structs.replace(proposal, **changes)
        outcome = self.operations.propose(proposal, policy=self.policy, now_s=self.now_s)
        if not isinstance(outcome, Refused):
            self.write(outcome.changes)
        return outcome

    def operation(self, number: int = 1) -> Operation:
        found = self.operations.find(number.to_bytes(16))
        assert found is not None
        return found

    def say(self, officer: str, verb: int = APPROVE, number: int = 1, until_s: int = 600) -> Any:
        return self.send(statement(self.operation(number), officer, self.policy, self.now_s + until_s, verb))

    def send(self, said: Statement) -> Any:
        verb = self.operations.approve if said.verb == APPROVE else self.operations.withdraw
        outcome = verb(said, policy=self.policy, now_s=self.now_s)
        if isinstance(outcome, Recorded):
            self.write(outcome.changes)
        return outcome

    def execute(self, satisfied: Satisfied) -> Executed:
        executed = self.operations.execute(satisfied, self.now_s)
        self.write(executed.changes)
        return executed


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    store = Store(tmp_path / "journal.sqlite3")
    yield Desk(store)
    store.close()


def codes(outcome: Any) -> list[str]:
    assert isinstance(outcome, Refused), outcome
    return [refusal.code for refusal in outcome.refusals]


def test_the_signed_bytes_are_what_is_written_down() -> None:
    digest, policy_hash = bytes(range(32)), bytes(range(32, 64))
    signed = approvals.message(APPROVE, digest, policy_hash, 1_800_000_000)
    assert signed == b"florin-operation/1\x00\x01" + digest + policy_hash + (1_800_000_000).to_bytes(8, "big")
    assert approvals.message(WITHDRAW, digest, policy_hash, 1)[19] == 2


def test_operations_with_one_content_have_digests_of_their_own() -> None:
    digests = {
        approvals.operation_digest(kind, number.to_bytes(16), content)
        for kind, number, content in itertools.product(("policy", "transaction"), (1, 2), (b"a", b"b"))
    }
    assert len(digests) == 8


@pytest.mark.parametrize("pair", list(itertools.permutations(OFFICERS, 2)))
def test_any_two_of_three_officers_satisfy_the_quorum_and_one_does_not(
    desk: Desk, pair: tuple[str, str]
) -> None:
    proposed = desk.propose()
    assert isinstance(proposed, Pending)
    assert (proposed.is_new, proposed.needed, proposed.approved) == (True, 2, ())
    assert proposed.operation.expires_at_s == NOW_S + 86_400
    first = desk.say(pair[0])
    assert (first.is_new, first.tally.approved) == (True, (pair[0],))
    waiting = desk.propose()
    assert isinstance(waiting, Pending)
    assert (waiting.is_new, waiting.approved) == (False, (pair[0],))
    desk.say(pair[1])
    satisfied = desk.propose()
    assert isinstance(satisfied, Satisfied)
    assert set(satisfied.approved) == set(pair)


def test_approving_twice_is_once(desk: Desk) -> None:
    desk.propose()
    said = statement(desk.operation(), FIRST, CENTRAL, NOW_S + 600)
    assert desk.send(said).is_new
    again = desk.send(said)
    assert (again.is_new, again.changes, again.tally.approved) == (False, [], (FIRST,))
    assert desk.say(FIRST, until_s=700).tally.approved == (FIRST,)
    assert isinstance(desk.propose(), Pending)


def test_the_initiator_never_counts(desk: Desk) -> None:
    desk.propose(initiator=FIRST)
    assert codes(desk.say(FIRST)) == ["InitiatorCannotApprove"]
    desk.say(SECOND)
    # asked again without its name, or with another's, it stays who it was
    for initiator in ("", SECOND):
        assert isinstance(desk.propose(initiator=initiator), Pending)
    assert codes(desk.say(FIRST)) == ["InitiatorCannotApprove"]
    desk.say(THIRD)
    assert isinstance(desk.propose(), Satisfied)


def test_an_initiator_who_is_needed_cannot_initiate(desk: Desk) -> None:
    both = (
        "quorums: [{name: officers, approvals: 2, officers: [first-officer, second-officer], valid_s: 60}]\n"
    )
    desk.policy = Policy((HEAD + officers_text() + both).encode())
    assert codes(desk.propose(initiator=FIRST)) == ["QuorumUnreachable"]
    assert codes(desk.propose(initiator="nobody")) == ["UnknownOfficer"]
    assert isinstance(desk.propose(initiator=THIRD), Pending)


@pytest.mark.parametrize("by", [SECOND, None], ids=["another officer's key", "a bit"])
def test_a_signature_of_anything_else_is_refused(desk: Desk, by: str | None) -> None:
    desk.propose()
    said = statement(desk.operation(), FIRST, CENTRAL, NOW_S + 600)
    assert said.signature is not None
    if by is None:
        forged = bytes([said.signature[0] ^ 1]) + said.signature[1:]
    else:
        message = approvals.message(APPROVE, desk.operation().digest, CENTRAL.digest, NOW_S + 600)
        forged = officer_key(by).sign(message)
    fields = (said.operation_id, FIRST, APPROVE, NOW_S + 600)
    assert codes(desk.send(Statement(*fields, forged))) == ["BadApproval"]
    assert codes(desk.send(Statement(*fields, b""))) == ["BadApproval"]
    assert codes(desk.send(Statement(*fields, None))) == ["BadApproval"]
    for changed in (
        Statement(said.operation_id, FIRST, APPROVE, NOW_S + 601, said.signature),
        Statement(said.operation_id, FIRST, WITHDRAW, NOW_S + 600, said.signature),
        Statement(said.operation_id, THIRD, APPROVE, NOW_S + 600, said.signature),
    ):
        assert codes(desk.send(changed)) == ["BadApproval"]
    assert isinstance(desk.propose(), Pending)


def test_an_approval_of_one_operation_is_none_of_another_with_the_same_content(desk: Desk) -> None:
    desk.propose(1)
    desk.propose(2)
    said = statement(desk.operation(1), FIRST, CENTRAL, NOW_S + 600)
    desk.send(said)
    moved = Statement((2).to_bytes(16), FIRST, APPROVE, NOW_S + 600, said.signature)
    assert codes(desk.send(moved)) == ["BadApproval"]


def test_even_where_two_operations_share_a_digest_a_statement_counts_for_one(desk: Desk) -> None:
    shared = hashlib.sha256(CONTENT).digest()
    desk.propose(1, digest=shared)
    desk.propose(2, digest=shared)
    said = statement(desk.operation(1), FIRST, CENTRAL, NOW_S + 600)
    desk.send(said)
    moved = Statement((2).to_bytes(16), FIRST, APPROVE, NOW_S + 600, said.signature)
    assert codes(desk.send(moved)) == ["ApprovalUsed"]


def test_an_approval_under_another_policy_does_not_count(desk: Desk) -> None:
    desk.propose()
    desk.say(FIRST)
    old = statement(desk.operation(), THIRD, CENTRAL, NOW_S + 600)
    desk.policy = LATER
    assert codes(desk.send(old)) == ["BadApproval"]
    assert desk.say(SECOND).tally.approved == (SECOND,)
    assert isinstance(desk.propose(), Pending)
    desk.say(FIRST)
    assert isinstance(desk.propose(), Satisfied)
    desk.policy = CENTRAL
    assert isinstance(desk.propose(), Pending)


def test_an_approval_ends_at_its_expiry(desk: Desk) -> None:
    desk.propose()
    desk.say(FIRST, until_s=100)
    desk.say(SECOND, until_s=200)
    assert isinstance(desk.propose(), Satisfied)
    desk.now_s += 100
    waiting = desk.propose()
    assert isinstance(waiting, Pending)
    assert waiting.approved == (SECOND,)
    assert codes(desk.say(THIRD, until_s=0)) == ["ApprovalExpired"]


def test_an_operation_expires_and_stays_so(desk: Desk) -> None:
    desk.propose()
    desk.say(FIRST, until_s=10**6)
    desk.say(SECOND, until_s=10**6)
    desk.now_s += 86_400
    assert codes(desk.say(THIRD)) == ["OperationExpired"]
    expired = desk.propose()
    assert isinstance(expired, Expired)
    assert expired.changes
    desk.now_s -= 86_400  # the journal's clock never does; the operation's end does not depend on it
    again = desk.propose()
    assert isinstance(again, Expired)
    assert not again.changes
    assert desk.operations.pending(policy=CENTRAL, now_s=desk.now_s) == []


def test_an_executed_operation_is_neither_approved_nor_executed_again(desk: Desk) -> None:
    desk.propose()
    desk.say(FIRST)
    desk.say(SECOND)
    satisfied = desk.propose()
    executed = desk.execute(satisfied)
    assert set(executed.approved) == {FIRST, SECOND}
    with pytest.raises(JournalUnavailable):
        desk.execute(satisfied)
    assert codes(desk.say(THIRD)) == ["OperationExecuted"]
    assert codes(desk.say(FIRST, WITHDRAW)) == ["OperationExecuted"]
    assert isinstance(desk.propose(), Executed)
    assert desk.operation().state == "executed"


def test_an_execution_whose_page_is_lost_did_not_happen(desk: Desk) -> None:
    desk.propose()
    desk.say(FIRST)
    desk.say(SECOND)
    desk.operations.execute(desk.propose(), NOW_S)
    assert isinstance(desk.propose(), Satisfied)


def test_a_known_id_with_other_content_is_refused(desk: Desk) -> None:
    desk.propose()
    assert codes(desk.propose(content=b"other")) == ["OperationIdReused"]
    assert codes(desk.propose(kind="policy")) == ["OperationIdReused"]


# ------------------------------------------------------------------------------------------ withdrawn


def test_a_withdrawn_approval_does_not_count_and_cannot_be_sent_again(desk: Desk) -> None:
    desk.propose()
    said = statement(desk.operation(), FIRST, CENTRAL, NOW_S + 600)
    desk.send(said)
    desk.say(SECOND)
    withdrawn = desk.say(FIRST, WITHDRAW, until_s=600)
    assert (withdrawn.tally.approved, withdrawn.tally.withdrawn) == ((SECOND,), (FIRST,))
    assert withdrawn.operation.state == "pending"
    assert not desk.send(said).is_new
    earlier = statement(desk.operation(), FIRST, CENTRAL, NOW_S + 599)
    assert codes(desk.send(earlier)) == ["ApprovalWithdrawn"]
    assert isinstance(desk.propose(), Pending)
    assert desk.say(FIRST, until_s=601).tally.approved == (FIRST, SECOND)
    assert isinstance(desk.propose(), Satisfied)


def test_a_withdrawal_that_arrives_before_the_approval_it_takes_back_stands(desk: Desk) -> None:
    desk.propose()
    desk.say(FIRST, WITHDRAW)
    assert codes(desk.say(FIRST)) == ["ApprovalWithdrawn"]


def test_one_officer_alone_ends_nothing_and_two_of_three_do(desk: Desk) -> None:
    desk.propose()
    assert desk.say(FIRST, WITHDRAW).operation.state == "pending"
    ended = desk.say(SECOND, WITHDRAW)
    assert (ended.operation.state, ended.tally.can_succeed) == ("withdrawn", False)
    assert isinstance(desk.propose(), Withdrawn)
    assert codes(desk.say(THIRD)) == ["OperationWithdrawn"]
    assert desk.operation().state == "withdrawn"


def test_the_initiator_withdraws_what_it_proposed(desk: Desk) -> None:
    desk.propose(initiator=FIRST)
    desk.say(SECOND)
    desk.say(THIRD)
    assert desk.say(FIRST, WITHDRAW).operation.state == "withdrawn"
    assert isinstance(desk.propose(), Withdrawn)


# ------------------------------------------------------------------------------------------ kept


def test_pending_operations_survive_a_restart_and_are_listed(desk: Desk, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        desk.propose(number)
        desk.now_s += 1
    desk.say(FIRST, number=2)
    desk.say(SECOND, number=3)
    desk.say(THIRD, number=3)
    desk.store.close()
    again = Store(tmp_path / "journal.sqlite3")
    listed = Operations(again, no_passkeys).pending(policy=CENTRAL, now_s=desk.now_s)
    assert [type(each) for each in listed] == [Pending, Pending, Satisfied]
    assert [each.operation.operation_id[-1] for each in listed] == [1, 2, 3]
    assert [getattr(each, "approved", None) for each in listed] == [(), (FIRST,), (SECOND, THIRD)]
    assert listed[0].operation.description == '{"moves": 1000}'
    desk.store = again


def test_the_store_itself_keeps_operations_and_statements_as_they_were(desk: Desk) -> None:
    desk.propose()
    desk.say(FIRST)
    for statement_of_sql in (
        "UPDATE operations SET digest = zeroblob(32)",
        "UPDATE operations SET expires_at_s = expires_at_s + 1",
        "UPDATE operations SET initiator = ''",
        "DELETE FROM operations",
        "UPDATE operation_statements SET verb = 1",
        "DELETE FROM operation_statements",
    ):
        with pytest.raises(JournalUnavailable), desk.store.transaction() as connection:
            connection.execute(statement_of_sql)


def test_there_is_a_bound_on_what_waits(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "MOST_PENDING", 2)
    desk.propose(1)
    desk.propose(2)
    assert codes(desk.propose(3)) == ["TooManyPending"]
    desk.now_s += 86_400
    assert isinstance(desk.propose(3), Pending)


def test_what_officers_say_of_unknown_things_is_refused(desk: Desk) -> None:
    desk.propose()
    said = statement(desk.operation(), FIRST, CENTRAL, NOW_S + 600)
    unknown = Statement(bytes(16), FIRST, APPROVE, NOW_S + 600, said.signature)
    assert codes(desk.send(unknown)) == ["UnknownOperation"]
    stranger = Statement(said.operation_id, "nobody", APPROVE, NOW_S + 600, said.signature)
    assert codes(desk.send(stranger)) == ["UnknownOfficer"]


def test_an_officer_outside_of_the_quorum_does_not_count(desk: Desk) -> None:
    pair = (
        "quorums: [{name: officers, approvals: 2, officers: [first-officer, second-officer], valid_s: 60}]\n"
    )
    desk.policy = Policy((HEAD + officers_text() + pair).encode())
    desk.propose()
    assert codes(desk.say(THIRD)) == ["NotOfTheQuorum"]


def test_a_policy_that_asks_another_quorum_is_followed(desk: Desk) -> None:
    quorums = (
        "quorums: [{name: officers, approvals: 2, officers: [first-officer, second-officer], valid_s: 600},"
        " {name: one, approvals: 1, officers: [third-officer], valid_s: 600}]\n"
    )
    desk.propose()
    desk.policy = Policy((HEAD + officers_text() + quorums).encode())
    assert codes(desk.say(THIRD)) == ["NotOfTheQuorum"]
    assert isinstance(desk.propose(quorum="one"), Pending)
    assert desk.operation().quorum == "one"
    desk.say(THIRD)
    assert isinstance(desk.propose(quorum="one"), Satisfied)
    desk.policy = Policy(HEAD.encode())
    assert codes(desk.send(Statement((1).to_bytes(16), FIRST, APPROVE, NOW_S + 1))) == [
        "UnknownOfficer",
        "UnknownQuorum",
    ]
    assert [type(each) for each in desk.operations.pending(policy=desk.policy, now_s=desk.now_s)] == [Pending]


# ------------------------------------------------------------------------------------------ passkeys


def test_a_passkeys_assertion_is_asked_the_statements_hash_and_its_count_is_kept(tmp_path: Path) -> None:
    key = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA"
    passkeys = HEAD + PROOFS + "officers: [{name: a, credential: {credential_id: AAAA, algorithm: -8,"
    passkeys += (
        f" public_key: {key}}}}}]\nquorums: [{{name: officers, approvals: 1, officers: [a], valid_s: 600}}]\n"
    )
    asked: list[tuple[Any, ...]] = []

    def verify(
        assertion: Any, credential: Credential, challenge: bytes, party: RelyingParty, last: int
    ) -> int | Refusal:
        asked.append((credential.credential_id, challenge, party.rp_id, last))
        return assertion if assertion > last else Refusal("CloneSuspected", "counted before")

    desk = Desk(Store(tmp_path / "journal.sqlite3"), Policy(passkeys.encode()))
    desk.operations = Operations(desk.store, verify)
    desk.propose(1)
    desk.propose(2)

    def said(number: int, sign_count: int | None) -> Statement:
        return Statement(number.to_bytes(16), "a", APPROVE, NOW_S + 60, assertion=sign_count)

    assert codes(desk.send(said(1, None))) == ["BadApproval"]
    assert desk.send(said(1, 7)).is_new
    assert not desk.send(said(1, 7)).is_new
    assert codes(desk.send(said(2, 7))) == ["CloneSuspected"]
    signed = [
        approvals.message(APPROVE, desk.operation(number).digest, desk.policy.digest, NOW_S + 60)
        for number in (1, 2)
    ]
    challenges = [hashlib.sha256(each).digest() for each in signed]
    assert asked == [("AAAA", challenges[0], "localhost", 0), ("AAAA", challenges[1], "localhost", 7)]
    desk.store.close()


# ------------------------------------------------------------------------------------------ any order


STEPS = st.lists(
    st.tuples(
        st.sampled_from(OFFICERS),
        st.sampled_from([APPROVE, APPROVE, APPROVE, WITHDRAW]),
        st.integers(1, 6),
        st.integers(0, 2),
        st.booleans(),
    ),
    max_size=14,
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, initiator=st.sampled_from(["", FIRST]))
def test_whatever_is_said_and_sent_again_only_two_others_standing_approvals_execute(
    tmp_path_factory: pytest.TempPathFactory, steps: list, initiator: str
) -> None:
    desk = Desk(Store(tmp_path_factory.mktemp("approvals") / "journal.sqlite3"))
    desk.store.connection.execute("PRAGMA synchronous = OFF")
    desk.propose(initiator=initiator)
    sent: list[Statement] = []
    for officer, verb, until, later_s, again in steps:
        desk.now_s += later_s
        said = statement(desk.operation(), officer, CENTRAL, NOW_S + until * 3, verb)
        desk.send(said)
        sent.append(said)
        for each in sent if again else ():  # whoever listens sends everything once more
            desk.send(each)
        standing = desk.propose()
        willing = set()
        for name in OFFICERS:
            of = [s for s in sent if s.officer == name]
            last = max(of, key=lambda s: (s.expires_at_s, s.verb), default=None)
            if last and last.verb == APPROVE and last.expires_at_s > desk.now_s and name != initiator:
                willing.add(name)
        if isinstance(standing, Satisfied):
            assert set(standing.approved) <= willing
            assert len(standing.approved) >= 2
    desk.store.close()
