"""Attacks on the whole node that once succeeded or came near: each is tried as it was found.

attacks on the whole node
├── clocks
│   ├── a clock that ran ahead and was set back frees nothing that was spent
│   ├── nor does one that was ahead while the node was started
│   └── one that stays ahead is believed, and the journal says so
├── officers
│   ├── whoever floods the node with proposals does not keep officers from changing the policy
│   ├── one id twice in a batch that waits is one operation
│   └── other content under an id that waits is refused, in the same batch too
├── disks
│   ├── a policy that cannot be written is not in force
│   ├── on a full disk nothing is signed, and with room again it is as if nothing had been asked
│   └── and no node starts
├── texts
│   └── half of a character is refused wherever a text is taken
└── credentials
    ├── a bad one concerns its own wallet: the others of the lot are made, and it can be sent again
    └── a wallet that was made is given no other first one, whatever comes with it
"""

import json
import resource
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from http_calls import call
from node_builders import Home, batch, codes, customers, payment, sign, transaction
from officers_word import initiator
from passkeys import Passkey
from policy_builders import HEAD, OFFICERS, bundled, officer_key, officers_text

from contracts import base64url
from wallet_node.callers import Peer
from wallet_node.customer_proof import CredentialFields
from wallet_node.customers.credential_changes import CredentialChangeRequest, parse_change
from wallet_node.errors import JournalUnavailable
from wallet_node.fields import identifier_bytes
from wallet_node.journal.verification import verify
from wallet_node.node import WalletNode
from wallet_node.officers import approvals
from wallet_node.policy.change import content_of
from wallet_node.policy.policy import Policy
from wallet_node.transport.routes import ROUTES, Application

BANK = bundled("sandbox-bank").source
SECOND = BANK.replace(b"version: 1\n", b"version: 2\n")
CENTRAL = bundled("sandbox-central-bank").source
DAY_S = 86_400
OF_API, OF_OFFICERS = Peer("api"), Peer("officers")
WAITING = (
    HEAD
    + officers_text()
    + """
customers: {highest_index: 100}
quorums: [{name: officers, approvals: 2, officers: [first-officer, second-officer], valid_s: 3600}]
payments: [{name: pay, effect: allow, payer: derived, payee: any, quorum: officers}]
"""
).encode()


def allowance_left(node: WalletNode, payer: str, now_s: float) -> int:
    """How many low-value payments of CZK 500 a thief still gets signed, of four."""
    asked = [payment(payer, amount_minor=50_000) for _ in range(4)]
    return sum("signature" in each for each in sign(node, batch(*asked, valid_before_s=int(now_s) + 60)))


# ------------------------------------------------------------------------------------------ clocks


def test_a_clock_that_ran_ahead_and_was_set_back_frees_nothing_that_was_spent(home: Home) -> None:
    node, start_s = home.open(BANK), home.clock.now_s
    (payer,) = customers(node, 1)
    known = batch(payment(payer), valid_before_s=int(start_s) + 60)
    sign(node, known)
    assert allowance_left(node, payer, start_s) == 2
    for days in (2, 9, 30):
        home.clock.now_s = start_s + days * DAY_S
        sign(node, known)  # known already, so nothing is written that would say what time it was
        home.clock.now_s = start_s
        assert allowance_left(node, payer, start_s) == 0


def test_a_clock_that_was_ahead_while_the_node_was_started_frees_nothing(home: Home) -> None:
    node, start_s = home.open(BANK), home.clock.now_s
    (payer,) = customers(node, 1)
    assert allowance_left(node, payer, start_s) == 3
    for days in (9, 400):
        home.clock.now_s = start_s + days * DAY_S
        home.open(BANK)
        home.clock.now_s = start_s
        assert allowance_left(home.open(BANK), payer, start_s) == 0


def test_a_clock_that_stays_ahead_is_believed_and_the_journal_says_so(home: Home) -> None:
    """What does not hold: each day that the clock is put ahead is another day's allowance."""
    node, start_s = home.open(BANK), home.clock.now_s
    (payer,) = customers(node, 1)
    assert allowance_left(node, payer, start_s) == 3
    home.clock.now_s = start_s + 2 * DAY_S
    assert allowance_left(node, payer, start_s) == 3
    home.clock.now_s = start_s
    assert allowance_left(home.open(BANK), payer, start_s) == 0
    assert node._journal.now_s(0) == start_s + 2 * DAY_S


# ------------------------------------------------------------------------------------------ officers


async def test_a_flood_of_proposals_does_not_keep_officers_from_changing_the_policy(home: Home) -> None:
    application = Application(home.open(BANK))
    wallets = customers(application.node, 1)
    for number in range(1_000):
        change = {
            "change_id": str(uuid.UUID(int=number)),
            "wallet": wallets[0],
            "bind": wire(Passkey(number + 1).fields()),
            "unbind": None,
            "approval": None,
        }
        named = change | {"initiator": of_change(application.node, change)}
        status, _, answer = await send(application, "/v1/credentials:change", named)
        assert status == 202, answer
    change["change_id"] = str(uuid.uuid4())
    named = change | {"initiator": of_change(application.node, change)}
    status, _, refused = await send(application, "/v1/credentials:change", named)
    assert (status, refused["code"]) == (403, "TooManyPending")

    status, _, answer = await change_policy(application, SECOND)
    assert (status, answer["policy"]["name"]) == (200, "sandbox-bank")
    assert application.node.policy.source == SECOND


def test_one_id_twice_in_a_batch_that_waits_is_one_operation(home: Home) -> None:
    node = home.open(WAITING)
    (payer,) = customers(node, 1)
    asked = payment(payer)
    first, again, other = sign(node, batch(asked, asked, payment(payer)))
    assert first == again
    assert first["pending"]["state"] == other["pending"]["state"] == "pending"
    assert len(node.operations()["operations"]) == 2
    assert sign(node, batch(asked)) == [first]


def test_other_content_under_an_id_that_waits_is_refused(home: Home) -> None:
    node = home.open(WAITING)
    (payer,) = customers(node, 1)
    asked = payment(payer)
    first, other = sign(node, batch(asked, asked | {"amount_minor": 101}))
    assert "pending" in first
    assert codes(other) == ["OperationIdReused"]
    assert codes(sign(node, batch(asked))[0]) == ["OperationIdReused"]  # the id was refused: it never signs
    verify(node._store)


# ------------------------------------------------------------------------------------------ disks


@contextmanager
def no_more_pages(node: WalletNode) -> Iterator[None]:
    """SQLite finds no page more (SQLITE_FULL)."""
    run = node._store.connection.execute
    run(f"PRAGMA max_page_count = {run('PRAGMA page_count').fetchone()[0]}")
    try:
        yield
    finally:
        run("PRAGMA max_page_count = 1073741823")


@contextmanager
def no_more_bytes(_: WalletNode) -> Iterator[None]:
    """The system writes no file any further (EFBIG)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


FULL_DISKS = [no_more_pages, no_more_bytes]


@pytest.mark.parametrize("full", FULL_DISKS)
async def test_a_policy_that_cannot_be_written_is_not_in_force(home: Home, full: Any) -> None:
    application = Application(home.open(BANK))
    node, operation_id = application.node, str(uuid.uuid4())
    renamed = SECOND.replace(b"name: customers-pay", b"name: customers-pay-anew")  # a ledger that is new
    await approve_policy(application, renamed, operation_id)
    body = {"operation_id": operation_id, "source": renamed.decode()}
    with full(node):
        status, _, answer = await send(application, "/v1/policy:change", body, OF_OFFICERS)
        assert (status, answer["code"]) == (503, "JournalUnavailable")
        assert node.policy.source == BANK
    assert home.open(BANK).policy.source == BANK
    application = Application(home.opened[-1])
    status, _, answer = await send(application, "/v1/policy:change", body, OF_OFFICERS)
    assert (status, application.node.policy.source) == (200, renamed), answer
    verify(application.node._store)


@pytest.mark.parametrize("full", FULL_DISKS)
async def test_on_a_full_disk_nothing_is_signed_and_with_room_it_is_as_if_nothing_was_asked(
    home: Home, full: Any
) -> None:
    application = Application(home.open(BANK))
    node = application.node
    payers = customers(node, 500)
    asked = batch(*[payment(payer, amount_minor=50_000) for payer in payers])
    verbs = {
        "/v1/payments:sign": asked,
        "/v1/transactions:sign": transaction("0xa0712d68" + "00" * 31 + "05"),
        "/v1/keys:derive": {"indices": list(range(1_000, 1_500))},
        "/v1/mandates:revoke": {"mandate_ids": [str(uuid.UUID(int=n)) for n in range(500)]},
    }
    rows = node.readiness()["journal_rows"]
    with full(node):
        for path, body in verbs.items():
            if path == "/v1/transactions:sign" and full is no_more_pages:
                continue  # one row still fits into the last page
            status, _, answer = await send(application, path, body)
            assert (status, answer["code"]) == (503, "JournalUnavailable"), path
            assert "signature" not in json.dumps(answer)
            assert "raw" not in answer
        assert (await call(application, "GET", "/readyz"))[0] == 200
    assert (node.readiness()["journal_rows"], node.readiness()["derived"]) == (rows, 500)
    for path, body in verbs.items():
        status, _, answer = await send(application, path, body)
        assert status == 200, (path, answer)
    # what was refused by the disk has used up nothing: the allowance is what one signing leaves of it
    assert allowance_left(node, payers[0], home.clock.now_s) == 2
    again = sign(node, asked)
    assert [each["nonce"] for each in again] == [0] * 500
    verify(node._store)


def test_a_node_on_a_full_disk_does_not_start(home: Home) -> None:
    node = home.open(BANK)
    with no_more_bytes(node), pytest.raises(JournalUnavailable):
        home.open(BANK)
    assert home.open(BANK).is_sound


# ------------------------------------------------------------------------------------------ texts


TAKES_A_BODY = sorted(path for (method, path) in ROUTES if method == "POST")


@pytest.mark.parametrize("path", TAKES_A_BODY)
@pytest.mark.parametrize("escape", ["\\ud800", "\\uDFFF", "\\udc00\\ud800", "a\\ud83d"])
async def test_half_of_a_character_is_refused_wherever_a_text_is_taken(
    home: Home, path: str, escape: str
) -> None:
    application = Application(home.open(BANK))
    for body in (f'{{"{escape}": 1}}', f'{{"source": "{escape}", "operation_id": "{uuid.uuid4()}"}}'):
        peer = OF_OFFICERS if "operations" in path or "policy" in path or "intents" in path else OF_API
        status, _, problem = await call(application, "POST", path, body.encode(), peer=peer)
        if status == 403 and problem["code"] == "CallerNotAllowed":
            status, _, problem = await call(application, "POST", path, body.encode(), peer=OF_OFFICERS)
        assert (status, problem["code"]) == (400, "MalformedRequest")
        assert "half of a character" in problem["detail"]


# ------------------------------------------------------------------------------------------ credentials


async def test_a_bad_credential_concerns_its_own_wallet(home: Home) -> None:
    application = Application(home.open(BANK))
    good, bad = wire(Passkey(1).fields()), wire(Passkey(2).fields()) | {"public_key": "AAAA"}
    lot = {"indices": [0, 1, 2, 10**7], "credentials": [good, bad, None, None]}
    status, _, answer = await send(application, "/v1/keys:derive", lot)
    assert status == 200
    assert [address is None for address in answer["addresses"]] == [False, True, False, True]
    refused = [(each["index"], each["code"]) for each in answer["refusals"]]
    assert refused == [(1, "CredentialMalformed"), (10**7, "KeyIndexTooHigh")]
    assert application.node.readiness()["derived"] == 2

    mended = {"indices": [1], "credentials": [wire(Passkey(2).fields())]}
    status, _, made = await send(application, "/v1/keys:derive", mended)
    assert (status, "refusals" in made) == (200, False)
    assert made["addresses"][0] is not None


async def test_a_wallet_that_was_made_is_given_no_other_first_credential_whatever_the_lot(home: Home) -> None:
    application = Application(home.open(BANK))
    customer, thief = wire(Passkey(1).fields()), wire(Passkey(666).fields())
    await send(application, "/v1/keys:derive", {"indices": [0, 1], "credentials": [customer, None]})
    lot = {"indices": [0, 1, 2, 2], "credentials": [thief, thief, customer, thief]}
    _, _, answer = await send(application, "/v1/keys:derive", lot)
    assert [address is None for address in answer["addresses"]] == [True, True, False, True]
    codes_of = [each["code"] for each in answer["refusals"]]
    assert codes_of == ["CredentialAlreadyBound", "CredentialNotAtCreation", "CredentialAlreadyBound"]
    bound = application.node._store.query("SELECT credential_id FROM credentials")
    assert {row[0] for row in bound} == {Passkey(1).credential.credential_id}


# ------------------------------------------------------------------------------------------ said


def of_change(node: WalletNode, change: dict[str, Any]) -> dict[str, Any]:
    """The word of an officer who proposes a change of credentials."""
    parsed = parse_change(msgspec.convert(change, CredentialChangeRequest))
    digest = approvals.operation_digest("credential-change", parsed.change_id, parsed.content)
    return initiator("0x" + digest.hex(), node.policy.digest)


def wire(fields: CredentialFields) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(fields)
    return found


async def send(application: Application, path: str, body: Any, peer: Peer = OF_API) -> tuple[int, str, Any]:
    return await call(application, "POST", path, json.dumps(body).encode(), peer=peer)


async def approve_policy(application: Application, source: bytes, operation_id: str) -> None:
    """Two officers approve of a policy that is proposed under this id."""
    body = {"operation_id": operation_id, "source": source.decode()}
    digest = approvals.operation_digest("policy", identifier_bytes(operation_id), content_of(source))
    body["initiator"] = initiator("0x" + digest.hex(), application.node.policy.digest)
    status, _, waiting = await send(application, "/v1/policy:change", body, OF_OFFICERS)
    assert (status, waiting["digest"]) == (202, "0x" + digest.hex()), waiting
    until_s = waiting["expires_at_s"]
    for officer in OFFICERS[:2]:
        said = statement(application.node.policy, officer, operation_id, digest, until_s)
        status, _, answer = await send(application, "/v1/operations:approve", said, OF_OFFICERS)
        assert status == 200, answer


def statement(policy: Policy, officer: str, operation_id: str, digest: bytes, until_s: int) -> dict[str, Any]:
    """What an officer sends."""
    signed = approvals.message(approvals.APPROVE, digest, policy.digest, until_s)
    return {
        "operation_id": operation_id,
        "officer": officer,
        "expires_at_s": until_s,
        "signature": base64url.encode(officer_key(officer).sign(signed)),
    }


async def change_policy(application: Application, source: bytes) -> tuple[int, str, Any]:
    """The answer to a change that two officers approved."""
    operation_id = str(uuid.uuid4())
    await approve_policy(application, source, operation_id)
    body = {"operation_id": operation_id, "source": source.decode()}
    return await send(application, "/v1/policy:change", body, OF_OFFICERS)
