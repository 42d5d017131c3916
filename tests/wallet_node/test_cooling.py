"""A credential is changed without its customer only after a time in which the customer can say no.

a change of credentials by the quorum
├── is done no earlier than its cooling after the proposal, whoever has approved before
├── through restarts, and a clock that is set back makes the time no shorter
├── is done at once where the policy says so
└── refused by a credential that is bound
    ├── ends it, and another one takes its whole time
    ├── and not by one that is not bound, for another change or wallet, or too late
    └── also carried by the API, also again; what was done is not refused any more
a policy
└── whose quorum would let the operation end before its cooling is malformed
"""

import uuid
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from http_calls import call
from node_builders import DOMAIN, Home
from officers_word import approve, initiator
from passkeys import ORIGIN, RP_ID, Passkey
from policy_builders import HEAD, OFFICERS, bundled, officers_text

from contracts.customer_approvals import CredentialChangeRefusal
from wallet_node.callers import Peer
from wallet_node.customers.credential_changes import CredentialChangeRequest, parse_change
from wallet_node.errors import MalformedPolicy
from wallet_node.fields import address_bytes, identifier_bytes
from wallet_node.intents.requests import Derivation
from wallet_node.journal.entries import OperationRefused, decode
from wallet_node.journal.verification import verify
from wallet_node.node import WalletNode
from wallet_node.officers.approvals import operation_digest
from wallet_node.policy.policy import Policy
from wallet_node.transport.routes import Application

COOLING_S = 86_400
FIRST, SECOND, THIRD = Passkey(1), Passkey(2), Passkey(3)
UNTIL_S = 2**40 - 1


def source(
    credentials: str = f"{{quorum: two, cooling_s: {COOLING_S}}}", valid_s: int = 3 * COOLING_S
) -> bytes:
    rules = f"""
customers: {{highest_index: 9}}
customer_proof: {{rp_id: {RP_ID}, origins: ["{ORIGIN}"]}}
{officers_text()}
quorums: [{{name: two, approvals: 2, officers: [{", ".join(OFFICERS)}], valid_s: {valid_s}}}]
changes: {{policy: two, credentials: {credentials}}}
"""
    return (HEAD + rules).encode()


@dataclass
class Office:
    """One node with two wallets, whose credential is FIRST's."""

    home: Home
    policy: bytes = field(default_factory=source)
    wallets: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        credentials = (FIRST.fields(), FIRST.fields())
        self.wallets = self.node.derive(Derivation((0, 1), credentials))["addresses"]

    @property
    def node(self) -> WalletNode:
        """A node that was just started."""
        return self.home.open(self.policy)

    def change(self, wallet: int = 0) -> dict[str, Any]:
        return {
            "change_id": str(uuid.uuid4()),
            "wallet": self.wallets[wallet],
            "bind": msgspec.to_builtins(SECOND.fields()),
            "unbind": FIRST.fields().credential_id,
            "approval": None,
        }

    def ask(self, change: dict[str, Any]) -> Any:
        parsed = parse_change(msgspec.convert(change, CredentialChangeRequest))
        digest = operation_digest("credential-change", parsed.change_id, parsed.content)
        node = self.node
        named = change | {"initiator": initiator("0x" + digest.hex(), node.policy.digest)}
        return node.change_credential(msgspec.convert(named, CredentialChangeRequest))

    def wait(self, seconds: int) -> None:
        self.home.clock.now_s += seconds

    async def refuse(self, change: dict[str, Any], by: Passkey = FIRST, **changes: Any) -> tuple[int, Any]:
        """The wallet's customer says no to a change, and the API carries it."""
        said = {"change_id": change["change_id"], "wallet": change["wallet"], "until_s": UNTIL_S} | changes
        change_id, wallet = identifier_bytes(said["change_id"]), address_bytes(said["wallet"])
        refusal = CredentialChangeRefusal(change_id, wallet, said["until_s"])
        approval = msgspec.to_builtins(by.approval(refusal.digest(DOMAIN.separator), said["until_s"]))
        body = {"change_id": change["change_id"], "wallet": change["wallet"], "approval": approval}
        application = Application(self.node)
        sent = msgspec.json.encode(body)
        status, _, content = await call(application, "POST", "/v1/credentials:refuse", sent, peer=Peer("api"))
        return status, content


@pytest.fixture
def office(home: Home) -> Office:
    return Office(home)


def test_a_change_is_made_no_earlier_than_its_cooling_whoever_approved_before(office: Office) -> None:
    change = office.change()
    status, waiting = office.ask(change)
    begun_s = int(office.home.clock.now_s)
    assert (status, waiting["cooling_until_s"]) == (202, begun_s + COOLING_S)
    approve(office.home.opened[-1], (status, waiting))
    (listed,) = office.node.operations()["operations"]
    assert (listed["cooling_until_s"], listed["is_satisfied"]) == (begun_s + COOLING_S, False)
    for seconds in (0, COOLING_S - 1):
        office.home.clock.now_s = begun_s + seconds
        status, waiting = office.ask(change)
        assert (status, waiting["approvals"], waiting["cooling_until_s"]) == (202, 2, begun_s + COOLING_S)
    office.wait(1)
    (listed,) = office.node.operations()["operations"]
    assert listed["is_satisfied"]
    assert "cooling_until_s" not in listed
    assert office.ask(change) == {"change_id": change["change_id"]}
    verify(office.home.opened[-1]._store)


def test_without_approvals_the_time_alone_changes_nothing(office: Office) -> None:
    change = office.change()
    waiting = office.ask(change)
    approve(office.home.opened[-1], waiting, OFFICERS[0])
    office.wait(2 * COOLING_S)
    status, answer = office.ask(change)
    assert (status, answer["approvals"]) == (202, 1)
    approve(office.home.opened[-1], waiting, OFFICERS[1])
    assert office.ask(change) == {"change_id": change["change_id"]}


def test_a_clock_set_back_makes_the_time_no_shorter(office: Office) -> None:
    change = office.change()
    office.wait(10 * COOLING_S)
    waiting = office.ask(change)
    office.wait(-20 * COOLING_S)
    approve(office.home.opened[-1], waiting)
    for _ in range(2):
        assert office.ask(change)[0] == 202
        office.wait(COOLING_S)


@pytest.mark.parametrize("credentials", ["two", "{quorum: two}", "{quorum: two, cooling_s: 0}"])
def test_where_the_policy_says_so_it_is_made_at_once(home: Home, credentials: str) -> None:
    office = Office(home, source(credentials, 60))
    change = office.change()
    status, waiting = office.ask(change)
    assert "cooling_until_s" not in waiting
    approve(home.opened[-1], (status, waiting))
    assert office.ask(change) == {"change_id": change["change_id"]}


async def test_a_credential_that_is_bound_ends_it(office: Office) -> None:
    change = office.change()
    waiting = office.ask(change)
    approve(office.home.opened[-1], waiting)
    office.wait(COOLING_S // 2)
    for _ in range(2):
        assert await office.refuse(change) == (200, {"change_id": change["change_id"], "state": "withdrawn"})
    office.wait(COOLING_S)
    with pytest.raises(Exception, match="propose it anew") as refused:
        office.ask(change)
    assert refused.value.code == "OperationWithdrawn"  # type: ignore[attr-defined]
    assert office.node.operations()["operations"] == []
    node = office.home.opened[-1]
    stored = node._store.query("SELECT entry, sequence FROM journal ORDER BY sequence")
    rows = [decode(entry, sequence) for entry, sequence in stored]
    (row,) = [each for each in rows if isinstance(each.decision, OperationRefused)]
    assert isinstance(row.decision, OperationRefused)
    assert (row.decision.wallet, len(row.proof_hash)) == (address_bytes(change["wallet"]), 32)
    verify(node._store)

    anew = office.change()
    status, waiting = office.ask(anew)
    assert (status, waiting["cooling_until_s"]) == (202, office.home.clock.now_s + COOLING_S)


async def test_nobody_elses_no_ends_it(office: Office) -> None:
    change, other = office.change(), office.change(1)
    waiting = office.ask(change)
    office.ask(other)
    for by, changes, code in (
        (SECOND, {}, "CredentialUnknown"),  # it is to be bound, and is not yet
        (THIRD, {}, "CredentialUnknown"),
        (FIRST, {"change_id": other["change_id"]}, "ChallengeMismatch"),
        (FIRST, {"wallet": other["wallet"]}, "ChallengeMismatch"),
        (FIRST, {"until_s": int(office.home.clock.now_s)}, "ProofExpired"),
    ):
        status, problem = await office.refuse(change, by, **changes)
        assert (status, problem["code"]) == (403, code)
    elsewhere = change | {"wallet": other["wallet"]}
    status, problem = await office.refuse(elsewhere)
    assert (status, problem["code"]) == (403, "UnknownOperation")
    status, problem = await office.refuse(office.change())
    assert (status, problem["code"]) == (403, "UnknownOperation")
    office.wait(COOLING_S)
    approve(office.home.opened[-1], waiting)
    assert office.ask(change) == {"change_id": change["change_id"]}
    status, problem = await office.refuse(change, SECOND)
    assert (status, problem["code"]) == (403, "OperationExecuted")


def test_a_quorum_that_ends_before_the_cooling_is_malformed() -> None:
    Policy(source(valid_s=COOLING_S + 60))
    with pytest.raises(MalformedPolicy, match=r"field 'credentials'.*'two'.*86459.*at least 86460"):
        Policy(source(valid_s=COOLING_S + 59))
    with pytest.raises(MalformedPolicy, match="no quorum 'three'"):
        Policy(source("{quorum: three}"))
    with pytest.raises(MalformedPolicy, match="'credentials'"):
        Policy(source("{quorum: two, cooling: 5}"))


def test_the_sandboxs_bank_waits_a_day() -> None:
    terms = bundled("sandbox-bank").file.changes.credential_terms
    assert terms is not None
    assert terms.cooling_s == 86_400
