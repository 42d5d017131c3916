"""One officer who is not honest, and the others' words in the hands of whoever can send them: over HTTP.

a malicious officer
├── counts once, however often the officer says yes
├── is no other officer, and the API is none
├── cannot move a colleague's approval to another operation, time or policy
├── cannot approve again what a colleague took back, by sending the old approval anew
├── cannot bring about anything alone: neither a call, a policy, a credential nor a repair
├── cannot block alone what the others want, such as a policy without that officer
└── after which the officer's own words count for nothing
an operation
├── is executed once: asked for again it gives the same bytes, and no nonce more
├── that ended, withdrawn or too late, ends its id: asked for again it stays refused
└── was approved under the policy of its time: another policy needs the officers anew
"""

import json
import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from http_calls import call
from node_builders import Home, transaction
from officers_word import initiator
from policy_builders import OFFICERS, bundled, officer_key, officers_text

from contracts import base64url
from contracts.abi import encode_increase_mint_allowance
from wallet_node.callers import Peer
from wallet_node.fields import identifier_bytes
from wallet_node.journal.verification import verify
from wallet_node.officers import approvals
from wallet_node.officers.approvals import APPROVE, WITHDRAW
from wallet_node.policy.change import content_of
from wallet_node.transport.routes import Application

CENTRAL = bundled("sandbox-central-bank").source
KEYS = ("governor", "issuer", "pauser", "upgrader")
FIRST, SECOND, THIRD = OFFICERS
FOURTH = "fourth-officer"
ALLOWANCE = "0x" + encode_increase_mint_allowance(1, 1_000).hex()


@dataclass
class Board:
    """The officers of one node, and everybody who sends what they say."""

    home: Home
    policy: bytes = CENTRAL

    def __post_init__(self) -> None:
        self.application = Application(self.home.open(self.policy, KEYS))

    async def post(self, path: str, body: Any, caller: str = "officers") -> tuple[int, Any]:
        status, _, content = await call(
            self.application, "POST", path, json.dumps(body).encode(), peer=Peer(caller)
        )
        return status, content

    async def ask(self, **changes: Any) -> dict[str, Any]:
        """A call that waits for officers."""
        asked = transaction(ALLOWANCE, "issuer") | changes
        status, waiting = await self.post("/v1/transactions:sign", asked, "api")
        assert (status, waiting["operation_id"]) == (202, asked["transaction_id"])
        return asked | {"digest": waiting["digest"], "expires_at_s": waiting["expires_at_s"]}

    async def execute(self, asked: dict[str, Any]) -> tuple[int, Any]:
        fields = {name: asked[name] for name in asked if name not in ("digest", "expires_at_s")}
        return await self.post("/v1/transactions:sign", fields, "api")

    async def say(
        self, asked: dict[str, Any], officer: str, verb: int = APPROVE, **changes: Any
    ) -> tuple[int, Any]:
        return await self.send(self.word(asked, officer, verb, **changes), verb)

    def word(
        self,
        asked: dict[str, Any],
        officer: str,
        verb: int = APPROVE,
        signed_by: str | None = None,
        until_s: int | None = None,
    ) -> dict[str, Any]:
        until_s = until_s or asked["expires_at_s"]
        policy_hash = self.application.node.policy.digest
        signed = approvals.message(verb, bytes.fromhex(asked["digest"][2:]), policy_hash, until_s)
        return {
            "operation_id": asked.get("transaction_id") or asked["operation_id"],
            "officer": officer,
            "expires_at_s": until_s,
            "signature": base64url.encode(officer_key(signed_by or officer).sign(signed)),
        }

    async def send(self, word: dict[str, Any], verb: int = APPROVE, by: str = "officers") -> tuple[int, Any]:
        path = "/v1/operations:approve" if verb == APPROVE else "/v1/operations:withdraw"
        return await self.post(path, word, by)

    async def propose(self, source: bytes, by: str = OFFICERS[2]) -> tuple[int, dict[str, Any]]:
        body: dict[str, Any] = {"operation_id": str(uuid.uuid4()), "source": source.decode()}
        content, policy_hash = content_of(source), self.application.node.policy.digest
        digest = approvals.operation_digest("policy", identifier_bytes(body["operation_id"]), content)
        body["initiator"] = initiator("0x" + digest.hex(), policy_hash, by)
        status, answer = await self.post("/v1/policy:change", body)
        return status, {**body, **answer}

    async def put_in_force(self, proposed: dict[str, Any]) -> tuple[int, Any]:
        body = {name: proposed[name] for name in ("operation_id", "source")}
        return await self.post("/v1/policy:change", body)


@pytest.fixture
def board(home: Home) -> Board:
    return Board(home)


def version(number: int, source: bytes = CENTRAL) -> bytes:
    return source.replace(b"version: 1\n", f"version: {number}\n".encode())


async def test_an_officer_counts_once_however_often_it_says_yes(board: Board) -> None:
    asked = await board.ask()
    for until_s in (asked["expires_at_s"], asked["expires_at_s"] - 1, asked["expires_at_s"] - 2):
        _, answer = await board.say(asked, FIRST, until_s=until_s)
        assert (answer["approvals"], answer["needed"]) == (1, 2)
    status, waiting = await board.execute(asked)
    assert (status, waiting["approvals"]) == (202, 1)


async def test_an_officer_is_no_other_one_and_the_api_is_none(board: Board) -> None:
    asked = await board.ask()
    await board.say(asked, FIRST)
    for claimed in (SECOND, THIRD):
        status, problem = await board.say(asked, claimed, signed_by=FIRST)
        assert (status, problem["code"]) == (403, "BadApproval")
    status, problem = await board.say(asked, "fourth-officer", signed_by=FIRST)
    assert (status, problem["code"]) == (403, "UnknownOfficer")
    status, problem = await board.send(board.word(asked, SECOND), by="api")
    assert (status, problem["code"]) == (403, "CallerNotAllowed")
    assert (await board.execute(asked))[0] == 202


async def test_an_approval_is_good_for_nothing_else(board: Board) -> None:
    asked, other = await board.ask(), await board.ask()
    word = board.word(asked, SECOND)
    for changes in (
        {"operation_id": other["transaction_id"]},
        {"expires_at_s": word["expires_at_s"] + 1},
        {"expires_at_s": word["expires_at_s"] - 1},
    ):
        status, problem = await board.send(word | changes)
        assert (status, problem["code"]) == (403, "BadApproval")
    status, problem = await board.send(word, WITHDRAW)
    assert (status, problem["code"]) == (403, "BadApproval")


async def test_an_approval_that_was_taken_back_cannot_be_sent_again(board: Board) -> None:
    asked = await board.ask()
    word = board.word(asked, SECOND, until_s=asked["expires_at_s"] - 10)
    await board.send(word)
    await board.say(asked, SECOND, WITHDRAW)
    await board.say(asked, FIRST)
    _, answer = await board.send(word)
    assert answer["approvals"] == 1
    assert (await board.execute(asked))[0] == 202


async def test_alone_an_officer_brings_about_nothing(board: Board) -> None:
    asked = await board.ask()
    _, proposed = await board.propose(version(2))
    for operation in (asked, proposed):
        await board.say(operation, FIRST)
    assert (await board.execute(asked))[0] == 202
    assert (await board.put_in_force(proposed))[0] == 202
    assert board.application.node.policy.source == CENTRAL


def of_officers(*names: str) -> bytes:
    """The central bank's policy with these officers."""
    head = CENTRAL[: CENTRAL.index(b"officers:\n  - {")].decode()
    listed = "officers: [first-officer, second-officer, third-officer]"
    return (head.replace(listed, f"officers: [{', '.join(names)}]") + officers_text(*names)).encode()


async def test_alone_an_officer_blocks_nothing_and_can_be_removed(home: Home) -> None:
    """Where there is one officer more than those who propose and approve."""
    board = Board(home, of_officers(*OFFICERS, FOURTH))
    asked = await board.ask()
    await board.say(asked, THIRD, WITHDRAW)
    _, proposed = await board.propose(version(2, of_officers(FIRST, SECOND, FOURTH)), FOURTH)
    await board.say(proposed, THIRD, WITHDRAW)
    for officer in (FIRST, SECOND):
        _, answer = await board.say(proposed, officer)
    assert answer["approvals"] == 2
    status, _ = await board.put_in_force(proposed)
    assert (status, board.application.node.policy.file.version) == (200, 2)

    for verb in (APPROVE, WITHDRAW):
        status, problem = await board.say(asked, THIRD, verb)
        assert (status, problem["code"]) == (403, "UnknownOfficer")
    for officer in (FIRST, SECOND):
        await board.say(asked, officer)
    assert (await board.execute(asked))[0] == 200


async def test_an_operation_is_executed_once(board: Board) -> None:
    asked = await board.ask()
    for officer in (SECOND, THIRD):
        await board.say(asked, officer)
    first = await board.execute(asked)
    assert first[0] == 200
    assert await board.execute(asked) == first
    board.application = Application(board.home.open(CENTRAL, KEYS))
    assert await board.execute(asked) == first
    status, problem = await board.say(asked, FIRST)
    assert (status, problem["code"]) == (403, "OperationExecuted")
    status, problem = await board.execute(asked | {"gas": 90_000})
    assert (status, problem["code"]) == (403, "TransactionIdReused")
    verify(board.application.node._store)


@pytest.mark.parametrize("how", ["withdrawn", "too late"])
async def test_an_operation_that_ended_ends_its_id(board: Board, how: str) -> None:
    asked = await board.ask()
    if how == "withdrawn":
        for officer in (SECOND, THIRD):
            await board.say(asked, officer, WITHDRAW)
        code = "OperationWithdrawn"
    else:
        for officer in (SECOND, THIRD):
            await board.say(asked, officer)
        board.home.clock.now_s = asked["expires_at_s"]
        code = "OperationExpired"
    for _ in range(2):
        status, problem = await board.execute(asked)
        assert (status, problem["code"]) == (403, code)
    for officer in OFFICERS:
        assert (await board.say(asked, officer, until_s=2**39))[0] == 403
    board.home.clock.now_s = 0
    assert (await board.execute(asked))[1]["code"] == code
    verify(board.application.node._store)


async def test_approvals_are_of_the_policy_of_their_time(board: Board) -> None:
    asked = await board.ask()
    _, two = await board.propose(version(2), FIRST)
    _, three = await board.propose(version(3), FIRST)
    for operation in (asked, two, three):
        for officer in (SECOND, THIRD):
            await board.say(operation, officer)
    assert (await board.put_in_force(two))[0] == 200
    for again in (board.put_in_force(three), board.execute(asked)):
        status, waiting = await again
        assert (status, waiting["approvals"]) == (202, 0)
    status, problem = await board.propose(CENTRAL)
    assert (status, problem["code"]) == (403, "PolicyVersionNotHigher")
    # also where the new word ends together with, or before, the one that was given under the earlier policy
    for officer, sooner_s in ((SECOND, 0), (THIRD, 10)):
        await board.say(asked, officer, until_s=asked["expires_at_s"] - sooner_s)
    assert (await board.execute(asked))[0] == 200
