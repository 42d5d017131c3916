"""Who proposes an operation: an officer, by a signed word of one's own, who then never counts.

an operation that officers alone want (a policy, a repair, a credential without its customer)
├── is proposed in the name of an officer, or refused with the digest that the officer signs
├── whose word is of that officer, for that digest, under this policy, and not too late
├── and is then approved by the others alone
└── keeps the initiator that it was proposed with, whoever asks again
a request to sign that needs a quorum
├── has no initiator when software asks, or one if an officer signed for it
├── needs one where the policy says so of the caller: also over web3signer's wire
└── binds its id to nothing while it is not shown who proposes it
"""

import json
import uuid
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from http_calls import call
from node_builders import Home, batch, customers, payment, transaction
from officers_word import initiator
from passkeys import ORIGIN, RP_ID, Passkey
from policy_builders import HEAD, OFFICERS, officer_key, public_text

from contracts import base64url
from contracts.abi import encode_mint
from wallet_node.callers import Peer, declared
from wallet_node.customer_proof import AssertionFields
from wallet_node.fields import identifier_bytes
from wallet_node.journal.entries import OperationPending, decode
from wallet_node.journal.verification import verify
from wallet_node.officers import approvals
from wallet_node.officers.approvals import APPROVE, PROPOSE
from wallet_node.policy.change import content_of
from wallet_node.transport.routes import Application

FIRST, SECOND, THIRD = OFFICERS
TOKEN = Passkey(7)
CREDENTIAL = (
    f'credential_id: "{TOKEN.fields().credential_id}", algorithm: -7, public_key: {TOKEN.fields().public_key}'
)
NAMES = f"[{', '.join(OFFICERS)}, with-passkey]"
POLICY = f"""
customers: {{highest_index: 9}}
customer_proof: {{rp_id: {RP_ID}, origins: ["{ORIGIN}"]}}
officers:
{"".join(f'  - {{name: {name}, key: "{public_text(name)}"}}' + chr(10) for name in OFFICERS)}
  - {{name: with-passkey, credential: {{{CREDENTIAL}}}}}
quorums: [{{name: two, approvals: 2, officers: {NAMES}, valid_s: 3600}}]
changes: {{policy: two, credentials: two, repairs: two}}
callers:
  - {{name: api, verbs: [derive, sign-payments, sign-transactions, credentials]}}
  - {{name: officers, verbs: [approve, policy, repair, credentials]}}
  - {{name: desk, verbs: [sign-payments, sign-transactions, sign-typed-data], initiators: required}}
  - {{name: tool, verbs: [web3signer], initiators: required}}
  - {{name: lenient, verbs: [policy], initiators: optional}}
payments: [{{name: all, effect: allow, payer: derived, payee: any, quorum: two}}]
transactions:
  - {{name: minting, effect: allow, key: institution, to: currency, quorum: two, calls: [mint(uint256)]}}
"""
SOURCE = (HEAD + POLICY).encode()
MINT = "0x" + encode_mint(5).hex()


@dataclass
class Board:
    """One node, and everybody who asks it."""

    home: Home
    policy: bytes = SOURCE

    def __post_init__(self) -> None:
        node = self.node = self.home.open(self.policy)
        self.application = Application(node, callers=lambda: declared(node.policy.file.callers))

    async def post(self, path: str, body: Any, caller: str = "officers") -> tuple[int, Any]:
        sent = json.dumps(body).encode()
        status, _, content = await call(self.application, "POST", path, sent, peer=Peer(caller))
        return status, content

    async def approve(self, waiting: dict[str, Any], officer: str) -> tuple[int, Any]:
        digest, until_s = bytes.fromhex(waiting["digest"][2:]), waiting["expires_at_s"]
        signed = approvals.message(APPROVE, digest, self.node.policy.digest, until_s)
        said = {"operation_id": waiting["operation_id"], "officer": officer, "expires_at_s": until_s}
        said["signature"] = base64url.encode(officer_key(officer).sign(signed))
        return await self.post("/v1/operations:approve", said)

    def named(self, refused: dict[str, Any], officer: str = FIRST) -> dict[str, Any]:
        """The initiator that a refusal asks for."""
        required = refused["reasons"][0]
        assert (refused["code"], required["code"]) == ("InitiatorRequired",) * 2
        assert required["policy_hash"] == "0x" + self.node.policy.digest.hex()
        return initiator(required["digest"], self.node.policy.digest, officer)

    @property
    def proposed(self) -> list[tuple[str, bytes]]:
        """The initiators in the journal, and what their rows keep of their words."""
        stored = self.node._store.query("SELECT entry, sequence FROM journal ORDER BY sequence")
        entries = [decode(entry, sequence) for entry, sequence in stored]
        return [
            (each.decision.initiator, each.proof_hash)
            for each in entries
            if isinstance(each.decision, OperationPending)
        ]


@pytest.fixture
def board(home: Home) -> Board:
    return Board(home)


def change(number: int = 2) -> dict[str, Any]:
    source = SOURCE.replace(b"version: 1\n", f"version: {number}\n".encode())
    return {"operation_id": str(uuid.uuid4()), "source": source.decode()}


def digest_of(change: dict[str, Any]) -> str:
    """As an officer's tool computes it before anything is sent."""
    content = content_of(change["source"].encode())
    return (
        "0x" + approvals.operation_digest("policy", identifier_bytes(change["operation_id"]), content).hex()
    )


async def test_a_policy_is_proposed_in_an_officers_name_whom_it_then_does_not_count(board: Board) -> None:
    asked = change()
    status, refused = await board.post("/v1/policy:change", asked)
    assert (status, refused["reasons"][0]["digest"]) == (403, digest_of(asked))
    assert board.proposed == []
    named = asked | {"initiator": board.named(refused)}
    status, waiting = await board.post("/v1/policy:change", named)
    assert (status, waiting["digest"]) == (202, digest_of(asked))
    assert await board.post("/v1/policy:change", named) == (status, waiting)  # sent again by whoever saw it

    status, problem = await board.approve(waiting, FIRST)
    assert (status, problem["code"]) == (403, "InitiatorCannotApprove")
    await board.approve(waiting, SECOND)
    assert (await board.post("/v1/policy:change", asked))[1]["approvals"] == 1
    await board.approve(waiting, THIRD)
    assert (await board.post("/v1/policy:change", asked))[0] == 200
    ((by, proof_hash),) = board.proposed
    assert (by, len(proof_hash)) == (FIRST, 32)
    verify(board.node._store)


async def test_a_repair_and_a_credential_without_its_customer_have_an_initiator_as_well(board: Board) -> None:
    (wallet,) = customers(board.node, 1)
    bind = msgspec.to_builtins(Passkey(1).fields())
    asked = {"change_id": str(uuid.uuid4()), "wallet": wallet, "bind": bind, "unbind": None, "approval": None}
    for caller in ("api", "officers"):
        status, refused = await board.post("/v1/credentials:change", asked, caller)
        assert status == 403
    status, waiting = await board.post("/v1/credentials:change", asked | {"initiator": board.named(refused)})
    assert status == 202
    stuck = transaction(MINT)
    _, pending = await board.post("/v1/transactions:sign", stuck, "api")
    for each in (waiting, pending):
        for officer in (SECOND, THIRD):
            assert (await board.approve(each, officer))[0] == 200
    assert (await board.post("/v1/credentials:change", asked))[0] == 200
    assert (await board.post("/v1/transactions:sign", stuck, "api"))[0] == 200
    repair = {"transaction_id": stuck["transaction_id"], "max_fee_per_gas": 10**10}
    repair["max_priority_fee_per_gas"] = 5 * 10**9
    _, refused = await board.post("/v1/transactions:repair", repair)
    status, _ = await board.post("/v1/transactions:repair", repair | {"initiator": board.named(refused)})
    assert status == 202
    assert [by for by, _ in board.proposed] == [FIRST, "", FIRST]


@pytest.mark.parametrize(
    ("spoilt", "code"),
    [
        ({"officer": SECOND}, "BadApproval"),
        ({"officer": "nobody"}, "UnknownOfficer"),
        ({"signature": base64url.encode(bytes(64))}, "BadApproval"),
        ({"signature": None}, "BadApproval"),
        ({"expires_at_s": 2**40 - 2}, "BadApproval"),
    ],
)
async def test_nobody_is_made_an_initiator_by_somebody_else(
    board: Board, spoilt: dict[str, Any], code: str
) -> None:
    asked = change()
    word = initiator(digest_of(asked), board.node.policy.digest, FIRST)
    status, problem = await board.post("/v1/policy:change", asked | {"initiator": word | spoilt})
    assert (status, problem["code"]) == (403, code)
    for stolen in (
        initiator(digest_of(change()), board.node.policy.digest, FIRST),  # another id's
        initiator(digest_of(asked), bytes(32), FIRST),  # under another policy
    ):
        status, problem = await board.post("/v1/policy:change", asked | {"initiator": stolen})
        assert (status, problem["code"]) == (403, "BadApproval")
    late = initiator(digest_of(asked), board.node.policy.digest, FIRST, int(board.home.clock.now_s))
    status, problem = await board.post("/v1/policy:change", asked | {"initiator": late})
    assert (status, problem["code"]) == (403, "ApprovalExpired")
    assert board.proposed == []
    assert (await board.post("/v1/policy:change", asked | {"initiator": word}))[0] == 202


async def test_an_approval_is_no_proposal_and_a_proposal_no_approval(board: Board) -> None:
    asked = change()
    digest, policy_hash = bytes.fromhex(digest_of(asked)[2:]), board.node.policy.digest
    approval = approvals.message(APPROVE, digest, policy_hash, 2**40 - 1)
    word = initiator(digest_of(asked), policy_hash, FIRST)
    spoilt = word | {"signature": base64url.encode(officer_key(FIRST).sign(approval))}
    status, problem = await board.post("/v1/policy:change", asked | {"initiator": spoilt})
    assert (status, problem["code"]) == (403, "BadApproval")
    third = initiator(digest_of(asked), policy_hash, THIRD)
    await board.post("/v1/policy:change", asked | {"initiator": third})
    said = word | {"operation_id": asked["operation_id"]}
    for path in ("/v1/operations:approve", "/v1/operations:withdraw"):
        status, problem = await board.post(path, said)
        assert (status, problem["code"]) == (403, "BadApproval")


async def test_an_officer_with_a_passkey_proposes_and_the_count_is_kept(board: Board) -> None:
    def asserted(asked: dict[str, Any], sign_count: int) -> dict[str, Any]:
        digest = bytes.fromhex(digest_of(asked)[2:])
        signed = approvals.message(PROPOSE, digest, board.node.policy.digest, 2**40 - 1)
        word = TOKEN.approval(sha256(signed).digest(), 2**40 - 1, sign_count=sign_count)
        fields = {name: getattr(word, name) for name in AssertionFields.__struct_fields__}
        return {"officer": "with-passkey", "expires_at_s": 2**40 - 1, "assertion": fields}

    one, two = change(), change(3)
    assert (await board.post("/v1/policy:change", one | {"initiator": asserted(one, 5)}))[0] == 202
    status, problem = await board.post("/v1/policy:change", two | {"initiator": asserted(two, 5)})
    assert (status, problem["code"]) == (403, "CloneSuspected")
    assert (await board.post("/v1/policy:change", two | {"initiator": asserted(two, 6)}))[0] == 202
    assert [by for by, _ in board.proposed] == ["with-passkey"] * 2


async def test_an_initiator_stays_who_it_was(board: Board) -> None:
    """Also none: whoever proposes it first without a name does not let an officer count who comes after."""
    mint = transaction(MINT)
    _, waiting = await board.post("/v1/transactions:sign", mint, "api")
    word = initiator(waiting["digest"], board.node.policy.digest, FIRST)
    for _ in range(2):
        status, problem = await board.post("/v1/transactions:sign", mint | {"initiator": word}, "desk")
        assert (status, problem["code"]) == (403, "InitiatorDiffers")
    asked = change()
    for officer, expected in ((FIRST, 202), (SECOND, 403), (FIRST, 202)):
        word = initiator(digest_of(asked), board.node.policy.digest, officer)
        assert (await board.post("/v1/policy:change", asked | {"initiator": word}))[0] == expected
    assert [by for by, _ in board.proposed] == ["", FIRST]


async def test_software_names_nobody_unless_it_must_or_an_officer_signed_for_it(board: Board) -> None:
    (payer,) = customers(board.node, 1)
    alone, named = transaction(MINT), transaction(MINT)
    assert (await board.post("/v1/transactions:sign", alone, "api"))[0] == 202
    status, refused = await board.post("/v1/transactions:sign", named, "desk")
    assert (status, refused["code"]) == (403, "InitiatorRequired")
    named["initiator"] = board.named(refused)
    assert (await board.post("/v1/transactions:sign", named, "api"))[0] == 202

    request = payment(payer)
    for _ in range(2):
        _, answer = await board.post("/v1/payments:sign", batch(request), "desk")
        refused = answer["results"][0]["refusal"]
    request["initiator"] = board.named(refused)
    _, answer = await board.post("/v1/payments:sign", batch(request), "desk")
    waiting = answer["results"][0]["pending"]
    for officer in (SECOND, THIRD):
        await board.approve(waiting, officer)
    _, answer = await board.post("/v1/payments:sign", batch(request), "desk")
    assert answer["results"][0]["nonce"] == 0
    assert [by for by, _ in board.proposed] == ["", FIRST, FIRST]
    verify(board.node._store)


async def test_the_policy_decides_of_whom_a_name_is_asked(board: Board) -> None:
    assert (await board.post("/v1/policy:change", change(), "lenient"))[0] == 202
    wire = {"from": board.node.keys()["keys"]["institution"], "to": transaction(MINT)["to"], "data": MINT}
    wire |= {"type": "0x2", "gas": "0x186a0", "value": "0x0", "nonce": "0x0"}
    wire |= {"maxFeePerGas": "0x2", "maxPriorityFeePerGas": "0x1"}
    asked = {"jsonrpc": "2.0", "id": 1, "method": "eth_signTransaction", "params": [wire]}
    _, answer = await board.post("/", asked, "tool")
    assert answer["error"]["data"]["code"] == "InitiatorRequired"
    assert [by for by, _ in board.proposed] == [""]


async def test_what_is_not_proposed_is_no_refused_id(home: Home) -> None:
    """An initiator without whom the quorum cannot be found, too: another one may still propose it."""
    two = SOURCE.replace(f"officers: {NAMES}".encode(), f"officers: [{FIRST}, {SECOND}]".encode())
    board = Board(home, two)
    mint = transaction(MINT)
    _, refused = await board.post("/v1/transactions:sign", mint, "desk")
    word = board.named(refused)
    status, problem = await board.post("/v1/transactions:sign", mint | {"initiator": word}, "desk")
    assert (status, problem["code"]) == (403, "QuorumUnreachable")
    word = board.named(refused, THIRD)
    assert (await board.post("/v1/transactions:sign", mint | {"initiator": word}, "desk"))[0] == 202
