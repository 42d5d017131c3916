"""A stuck transaction's nonce is filled with nothing, by the officers' quorum and in no other way."""

import json
import uuid
from typing import Any

import msgspec
import pytest
from eth_account import Account
from http_calls import call
from node_builders import (
    CHAIN_ID,
    INSTITUTION_SECRET,
    NO_PROOF,
    Home,
    batch,
    customers,
    payment,
    sign,
    sign_one,
    transaction,
)
from officers_word import approve, initiator, proposed, withdraw
from policy_builders import bundled
from typed_data_requests import asking, permit, policy_text
from typed_data_requests import sign as sign_structure

from contracts.abi import encode_mint, encode_pause
from wallet_node import strict_json
from wallet_node.callers import Peer
from wallet_node.errors import JournalUnavailable, RefusedByNode
from wallet_node.intents.requests import Repair
from wallet_node.journal.entries import AttemptRefused, NonceRepaired, decode
from wallet_node.journal.verification import verify_file
from wallet_node.node import WalletNode

BANK = Account.from_key(INSTITUTION_SECRET)
SOURCE = bundled("sandbox-bank").source
MINT = "0x" + encode_mint(5).hex()
HIGHER = (3_000_000_000, 2_000_000_000)


@pytest.fixture
def node(home: Home) -> WalletNode:
    return home.open(SOURCE)


@pytest.fixture
def stuck(node: WalletNode) -> str:
    """The id of a transaction that was signed under nonce 0."""
    request = transaction(MINT)
    sign_one(node, request)
    return request["transaction_id"]


def repair(node: WalletNode, stuck: str, fees: tuple[int, int] = HIGHER, **changes: Any) -> Any:
    asked = {
        "transaction_id": stuck,
        "max_fee_per_gas": fees[0],
        "max_priority_fee_per_gas": fees[1],
    } | changes

    def ask(**more: Any) -> Any:
        return node.repair_transaction(strict_json.decode(json.dumps(asked | more).encode(), Repair))

    return proposed(node, ask)


def refused(node: WalletNode, stuck: str, fees: tuple[int, int] = HIGHER, **changes: Any) -> list[str]:
    with pytest.raises(RefusedByNode) as refusal:
        repair(node, stuck, fees, **changes)
    return [reason.code for reason in refusal.value.reasons]


def rows(node: WalletNode, kind: type) -> list[Any]:
    stored = node._store.query("SELECT entry, sequence FROM journal ORDER BY sequence")
    decisions = [decode(entry, sequence).decision for entry, sequence in stored]
    return [each for each in decisions if isinstance(each, kind)]


def oracle(nonce: int, fees: tuple[int, int]) -> str:
    """A transfer of nothing to oneself, as eth-account signs it."""
    fields = {
        "type": 2,
        "chainId": CHAIN_ID,
        "nonce": nonce,
        "to": BANK.address,
        "value": 0,
        "data": "0x",
        "gas": 21_000,
        "maxFeePerGas": fees[0],
        "maxPriorityFeePerGas": fees[1],
    }
    return "0x" + BANK.sign_transaction(fields).raw_transaction.hex()


def test_the_quorum_lets_a_transfer_of_nothing_take_the_stuck_ones_nonce(home: Home) -> None:
    node = home.open(SOURCE)
    sign_one(node, transaction(MINT, nonce_floor=6))
    asked = transaction(MINT)
    assert sign_one(node, asked)["nonce"] == 7
    sign_one(node, transaction(MINT))
    waiting = repair(node, asked["transaction_id"])
    assert (waiting[0], waiting[1]["approvals"], waiting[1]["needed"]) == (202, 0, 2)
    approve(node, waiting, "first-officer")
    node = home.open(SOURCE)
    assert repair(node, asked["transaction_id"])[1]["approvals"] == 1
    approve(node, waiting, "second-officer")
    answer = repair(node, asked["transaction_id"])
    assert (answer["nonce"], answer["raw"]) == (7, oracle(7, HIGHER))
    (row,) = rows(node, NonceRepaired)
    assert (row.nonce, row.attempt, str(uuid.UUID(bytes=row.operation_id))) == (
        7,
        1,
        waiting[1]["operation_id"],
    )
    assert node.signatures["repair"] == 1
    home.close()
    verify_file(home.path / "journal.sqlite3", {})


def test_officers_are_told_what_they_fill(node: WalletNode, stuck: str) -> None:
    _, waiting = repair(node, stuck)
    (shown,) = node.operations()["operations"]
    assert (shown["kind"], shown["operation_id"]) == ("repair", waiting["operation_id"])
    description = msgspec.json.decode(shown["description"])
    assert (description["transaction_id"], description["nonce"]) == (stuck, 0)
    assert BANK.address in description["says"][0]
    assert waiting["operation_id"] != stuck  # which is the id of the transaction's own approval


def test_the_same_gives_the_same_bytes_and_higher_fees_a_replacement(home: Home) -> None:
    node = home.open(SOURCE)
    asked = transaction(MINT)
    sign_one(node, asked)
    stuck = asked["transaction_id"]
    approve(node, repair(node, stuck))
    first = repair(node, stuck)
    node = home.open(SOURCE)
    for fees in (HIGHER, (1, 1), (HIGHER[0] - 1, HIGHER[1])):
        assert repair(node, stuck, fees) == first
    assert len(rows(node, NonceRepaired)) == 1
    dearer = (HIGHER[0] + 1, HIGHER[1])
    assert repair(node, stuck, dearer)["raw"] == oracle(0, dearer)
    assert repair(node, stuck)["raw"] == oracle(0, dearer)
    made = rows(node, NonceRepaired)
    assert [row.attempt for row in made] == [1, 2]
    assert made[0].operation_id == made[1].operation_id
    home.close()
    verify_file(home.path / "journal.sqlite3", {})


def test_the_stuck_transaction_is_never_raised_afterwards(home: Home) -> None:
    node = home.open(SOURCE)
    asked = transaction(MINT)
    first = sign_one(node, asked)
    approve(node, repair(node, asked["transaction_id"]))
    raised = asked | {"max_fee_per_gas": 2_500_000_000}
    second = sign_one(node, raised)  # nothing was repaired yet
    repair(node, asked["transaction_id"])
    node = home.open(SOURCE)
    with pytest.raises(RefusedByNode, match="repaired"):
        sign_one(node, asked | {"max_fee_per_gas": 4_000_000_000})
    assert sign_one(node, asked) == second != first  # what was signed may be under way, and is no secret
    assert sign_one(node, transaction(MINT))["nonce"] == 1


def test_a_repair_outbids_the_last_attempt_in_both_fees(node: WalletNode, stuck: str) -> None:
    for fees in ((2_000_000_000, 2_000_000_000), (3_000_000_000, 1_000_000_000), (1, 1), (0, 0)):
        assert refused(node, stuck, fees) == ["RepairFeesTooLow"]
    assert node.operations()["operations"] == []
    assert len(rows(node, AttemptRefused)) == 1  # the same reasons again add no row
    repair(node, stuck)


def test_a_repairs_fees_have_the_bounds_of_the_keys_calls(node: WalletNode, stuck: str) -> None:
    most = 100_000_000_000_000
    assert refused(node, stuck, (most + 1, most)) == ["FeeTooHigh"]
    assert refused(node, stuck, (HIGHER[0], HIGHER[0] + 1)) == ["PriorityFeeTooHigh"]
    approve(node, repair(node, stuck, (most, most)))
    repair(node, stuck, (most, most))
    assert refused(node, stuck, (most + 1, most)) == ["FeeTooHigh"]


def test_only_what_has_a_transactions_nonce_is_repaired(home: Home) -> None:
    node = home.open(policy_text())
    payer = customers(node, 1)[0]
    paid, structure = payment(payer), asking(permit(payer))
    sign(node, batch(paid))
    sign_structure(node, structure)
    never = transaction("0x" + encode_pause().hex())
    with pytest.raises(RefusedByNode):
        sign_one(node, never)
    unknown = str(uuid.uuid4())
    length = node.journal()["size"]
    for each in (paid["payment_id"], structure["intent_id"], never["transaction_id"], unknown):
        assert refused(node, each) == ["NothingToRepair"]
    assert node.journal()["size"] == length


def test_an_id_that_had_nothing_to_repair_can_still_be_signed(node: WalletNode) -> None:
    asked = transaction(MINT)
    assert refused(node, asked["transaction_id"]) == ["NothingToRepair"]
    assert sign_one(node, asked)["nonce"] == 0


def test_without_a_quorum_for_repairs_nobody_can_allow_one(home: Home) -> None:
    node = home.open(NO_PROOF)
    asked = transaction(MINT)
    sign_one(node, asked)
    assert refused(node, asked["transaction_id"]) == ["RepairNotAllowed"]


def test_what_officers_refused_is_asked_anew_under_another_operation(node: WalletNode, stuck: str) -> None:
    withdraw(node, repair(node, stuck), "first-officer")  # of the two who are left, both are needed
    assert refused(node, stuck) == ["OperationWithdrawn"]
    anew = str(uuid.uuid4())
    waiting = repair(node, stuck, operation_id=anew)
    assert waiting[1]["operation_id"] == anew
    approve(node, waiting)
    assert repair(node, stuck, operation_id=anew)["nonce"] == 0
    assert repair(node, stuck)["nonce"] == 0  # it is done, whoever asks


def test_an_operation_that_ran_out_allows_nothing(home: Home, node: WalletNode, stuck: str) -> None:
    waiting = repair(node, stuck)
    approve(node, waiting, "first-officer")
    home.clock.now_s = waiting[1]["expires_at_s"]
    assert refused(node, stuck) == ["OperationExpired"]
    assert refused(node, stuck) == ["OperationExpired"]
    assert repair(node, stuck, operation_id=str(uuid.uuid4()))[0] == 202


def test_an_approval_is_of_one_transactions_repair(node: WalletNode, stuck: str) -> None:
    other = transaction(MINT)
    sign_one(node, other)
    operation_id = str(uuid.uuid4())
    approve(node, repair(node, stuck, operation_id=operation_id))
    for _ in range(2):
        assert refused(node, other["transaction_id"], operation_id=operation_id) == ["OperationIdReused"]
    repair(node, stuck, operation_id=operation_id)
    assert rows(node, NonceRepaired)[0].nonce == 0


def test_a_store_that_cannot_be_written_repairs_nothing(node: WalletNode, stuck: str) -> None:
    approve(node, repair(node, stuck))
    node._store.connection.execute("PRAGMA query_only = ON")
    with pytest.raises(JournalUnavailable):
        repair(node, stuck)
    node._store.connection.execute("PRAGMA query_only = OFF")
    assert rows(node, NonceRepaired) == []
    assert repair(node, stuck)["nonce"] == 0


async def test_the_api_cannot_ask_for_a_repair_and_officers_can(node: WalletNode, stuck: str) -> None:
    asked = {"transaction_id": stuck, "max_fee_per_gas": HIGHER[0], "max_priority_fee_per_gas": HIGHER[1]}
    body = json.dumps(asked).encode()
    status, _, problem = await call(node, "POST", "/v1/transactions:repair", body)
    assert (status, problem["code"]) == (403, "CallerNotAllowed")
    officers = Peer("officers")
    status, _, problem = await call(node, "POST", "/v1/transactions:repair", body, peer=officers)
    assert (status, problem["code"]) == (403, "InitiatorRequired")
    named = asked | {"initiator": initiator(problem["reasons"][0]["digest"], node.policy.digest)}
    sent = json.dumps(named).encode()
    status, _, waiting = await call(node, "POST", "/v1/transactions:repair", sent, peer=officers)
    assert (status, waiting["state"]) == (202, "pending")
    approve(node, (status, waiting))
    status, _, answer = await call(node, "POST", "/v1/transactions:repair", body, peer=officers)
    assert (status, answer["raw"]) == (200, oracle(0, HIGHER))
