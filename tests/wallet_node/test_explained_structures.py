"""What the policy would decide about a structure, told before anything is signed.

the explanation of a structure
├── is the decision that signing it comes to, with each rule's part, for every kind
├── of a fan-out to payees of several roles says to whom each reason belongs, and counts the whole sum
├── says what no policy allows, and how long it would last
└── signs nothing, writes nothing, and is of one intent
"""

import json
from typing import Any

import pytest
from http_calls import call
from node_builders import NOW_S, STRANGER, VALID_BEFORE_S, Home, customers
from typed_data_requests import asking, authorization, fan_out, move, permit, policy_text, refused
from typed_data_requests import sign as sign_structure

from wallet_node.callers import Peer
from wallet_node.errors import RefusedByNode
from wallet_node.node import WalletNode

RULES = """
payments:
  - {name: to-customers, effect: allow, payer: derived, payee: derived, intents: [fan_out],
     caps: {day_minor: 500}}
  - {name: to-others, effect: allow, payer: derived, payee: other, intents: [fan_out, authorization],
     per_payment_cap_minor: 100}
  - {name: permits, effect: allow, payer: derived, payee: any, intents: [permit], quorum: two}
  - {name: moves, effect: deny, code: Never, payer: any, payee: any, intents: [account_move]}
"""


@pytest.fixture
def node(home: Home) -> WalletNode:
    return home.open(policy_text(RULES))


async def explain(node: WalletNode, asked: dict[str, Any]) -> tuple[int, Any]:
    body = json.dumps(asked).encode()
    status, _, content = await call(node, "POST", "/v1/intents:explain", body, peer=Peer("officers"))
    return status, content


def parts(told: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["rule"], each["outcome"]) for each in told["rules"]]


async def test_it_is_the_decision_that_signing_comes_to(node: WalletNode) -> None:
    payer, payee = customers(node, 2)
    for request, outcome in (
        (asking(fan_out(payer, (payee, 50))), "allowed"),
        (asking(fan_out(payer, (payee, 501))), "refused"),
        (asking(fan_out(payer, (STRANGER, 101))), "refused"),
        (asking(fan_out(payer, (payee, 50), (STRANGER, 50))), "allowed"),
        (asking(fan_out(STRANGER, (payee, 50))), "refused"),
        (asking(fan_out(payer, (payee, 50), valid_before_s=VALID_BEFORE_S + 1)), "refused"),
        (asking(permit(payer)), "waits for officers"),
        (asking(authorization(payer, amount_minor=5)), "allowed"),
        (asking(move(payer)), "refused"),
    ):
        status, told = await explain(node, {"typed_data": request})
        assert (status, told["outcome"]) == (200, outcome), told
        if outcome == "refused":
            expected = refused(node, request)
            assert set(expected) <= {each["code"] for each in told["refusals"]} | {"UnknownPayer"}
        elif outcome == "allowed":
            assert "signature" in sign_structure(node, request)
        else:
            assert told["quorum"] == "two"
            assert sign_structure(node, request)[0] == 202  # type: ignore[index]


async def test_of_several_roles_each_reason_says_to_whom(node: WalletNode) -> None:
    payer, payee = customers(node, 2)
    request = asking(fan_out(payer, (payee, 50), (STRANGER, 101)))
    _, told = await explain(node, {"typed_data": request})
    assert (told["outcome"], [each["code"] for each in told["refusals"]]) == (
        "refused",
        ["PerPaymentCapExceeded"],
    )
    assert (told["facts"]["payee_role"], told["facts"]["amount_minor"]) == ("derived and other", 151)
    assert parts(told)[:2] == [("to-customers", "allowed"), ("to-others", "no match")]
    assert ("to-others", "refused") in parts(told)
    assert all(
        reason.startswith(("to derived", "to other")) for each in told["rules"] for reason in each["because"]
    )
    assert len(told["moves"]) == 2


async def test_nothing_is_signed_or_written_or_used_up(node: WalletNode) -> None:
    payer, payee = customers(node, 2)
    length = node.journal()["size"]
    for _ in range(3):
        _, told = await explain(node, {"typed_data": asking(fan_out(payer, (payee, 300)))})
        assert told["outcome"] == "allowed"
        assert [each["day_minor"] for each in told["used"]] == [0]
        assert told["facts"]["valid_for_s"] == VALID_BEFORE_S - NOW_S
    assert node.journal()["size"] == length
    assert node.operations()["operations"] == []


async def test_it_is_of_one_intent(node: WalletNode) -> None:
    (payer,) = customers(node, 1)
    request = {"typed_data": asking(permit(payer))}
    for asked in ({}, request | {"payment": None, "transaction": None} | {"typed_data": None}):
        status, problem = await explain(node, asked)
        assert (status, problem["code"]) == (400, "ContradictoryRequest")
    with pytest.raises(RefusedByNode):
        sign_structure(node, asking(move(payer)))


async def test_a_cap_sees_the_sum_of_all_roles(home: Home) -> None:
    rules = """
payments:
  - {name: all, effect: allow, payer: derived, payee: any, intents: [fan_out], caps: {day_minor: 500}}
  - {name: never, effect: deny, payer: derived, payee: institution, intents: [fan_out]}
"""
    node = home.open(policy_text(rules))
    payer, payee = customers(node, 2)
    for amount_minor, outcome in ((250, "allowed"), (251, "refused")):
        request = asking(fan_out(payer, (payee, 250), (STRANGER, amount_minor)))
        _, told = await explain(node, {"typed_data": request})
        assert told["outcome"] == outcome
    assert refused(node, request) == [told["refusals"][0]["code"]] == ["DailyCapExceeded"]
