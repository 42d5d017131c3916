"""How long a signature without its customer's proof can be executed: allowances are not kept for later.

a payment or fan-out without proof
├── is signed when it ends within the policy's bound, and refused beyond it
├── also at a later attempt, which takes no allowance
├── is signed again for so long after its first signature as the policy says, and no longer
│   ├── after a restart, a change of policy, and with a clock that is set back as well
│   └── while the attempts that were signed give their bytes for ever
└── while one with its proof, then or at its first attempt, may last as long as any other
a policy
├── that says for how long attempts may be made, and not how long they may last: malformed
├── whose bound is above the one for everything bounds nothing: malformed
└── of the sandbox's bank leaves room for what the relay asks for
"""

from typing import Any

import msgspec
import pytest
from node_builders import DOMAIN, NOW_S, STRANGER, Home, batch, codes, payment, sign
from passkeys import ORIGIN, RP_ID, Passkey
from policy_builders import HEAD, bundled, facts, policy, spent
from typed_data_requests import asking, fan_out
from typed_data_requests import refused as refused_structure
from typed_data_requests import sign as sign_structure

from api.chain import batching
from contracts.customer_approvals import PaymentApproval
from wallet_node.errors import MalformedPolicy
from wallet_node.fields import address_bytes, identifier_bytes
from wallet_node.intents.requests import Derivation
from wallet_node.journal.verification import verify
from wallet_node.node import WalletNode
from wallet_node.policy.policy import Policy

BOUND_S, ANY_S, AGE_S = 120, 600, 400
PASSKEY = Passkey(1)
RULES = f"""
customers: {{highest_index: 9}}
customer_proof: {{rp_id: {RP_ID}, origins: ["{ORIGIN}"]}}
payments:
  - name: pay
    effect: allow
    payer: derived
    payee: any
    intents: [payment, fan_out]
    proof: customer
    unproved:
      per_payment_cap_minor: 1000
      wallet: {{day_minor: 1000}}
      institution: {{day_minor: 5000}}
      longest_validity_s: {BOUND_S}
      attempts_within_s: {AGE_S}
"""


@pytest.fixture
def node(home: Home) -> WalletNode:
    return home.open((HEAD + RULES).encode())


@pytest.fixture
def payer(node: WalletNode) -> str:
    (found,) = node.derive(Derivation((0,), (PASSKEY.fields(),)))["addresses"]
    return str(found)


def ask(node: WalletNode, asked: dict[str, Any], ahead_s: int) -> dict[str, Any]:
    (result,) = sign(node, batch(asked, valid_before_s=NOW_S + ahead_s))
    return result


def proved(payer: str, **changes: Any) -> dict[str, Any]:
    """With the customer's approval."""
    asked = payment(payer, **changes)
    approved = PaymentApproval(
        identifier_bytes(asked["payment_id"]),
        address_bytes(payer),
        address_bytes(STRANGER),
        asked["amount_minor"],
        NOW_S + 60,
    )
    proof = PASSKEY.proof(approved.digest(DOMAIN.separator), NOW_S + 60)
    names = ("credential_id", "authenticator_data", "client_data_json", "signature", "expires_at_s")
    return asked | {"proof": {"kind": "assertion"} | {name: getattr(proof, name) for name in names}}


def test_what_has_no_proof_ends_within_the_bound(node: WalletNode, payer: str) -> None:
    assert ask(node, payment(payer), BOUND_S)["nonce"] == 0
    assert codes(ask(node, payment(payer), BOUND_S + 1)) == ["UnprovedValidityTooLong"]
    assert ask(node, proved(payer), ANY_S)["nonce"] == 1
    structure = asking(fan_out(payer, valid_before_s=NOW_S + BOUND_S + 1))
    assert refused_structure(node, structure) == ["UnprovedValidityTooLong"]
    assert sign_structure(node, asking(fan_out(payer, valid_before_s=NOW_S + BOUND_S)))
    verify(node._store)


def test_a_later_attempt_is_bound_as_well_unless_the_first_was_proved(
    home: Home, node: WalletNode, payer: str
) -> None:
    without, with_one = payment(payer), proved(payer)
    assert ask(node, without, 60)["nonce"] == 0
    assert ask(node, with_one, 60)["nonce"] == 1
    later = without | {"attempt": 2}
    assert codes(ask(node, later, BOUND_S + 1)) == ["UnprovedValidityTooLong"]
    opened = home.open((HEAD + RULES).encode())
    assert codes(ask(opened, later, BOUND_S + 1)) == ["UnprovedValidityTooLong"]
    assert ask(opened, later, BOUND_S)["nonce"] == 0
    again = {name: value for name, value in with_one.items() if name != "proof"} | {"attempt": 2}
    assert ask(opened, again, ANY_S)["nonce"] == 1


def test_what_has_no_proof_is_signed_again_for_so_long_and_no_longer(
    home: Home, node: WalletNode, payer: str
) -> None:
    without, with_one, structure = payment(payer), proved(payer), asking(fan_out(payer))
    structure["intent"]["valid_before_s"] = NOW_S + BOUND_S
    assert ask(node, without, 60)["nonce"] == 0
    assert ask(node, with_one, 60)["nonce"] == 1
    assert sign_structure(node, structure)["nonce"] == 2

    home.clock.now_s = NOW_S + AGE_S
    last = ask(node, without | {"attempt": 2}, AGE_S + BOUND_S - 1)
    assert last["nonce"] == 0
    structure |= {"attempt": 2, "intent": structure["intent"] | {"valid_before_s": NOW_S + AGE_S + 1}}
    assert sign_structure(node, structure)["nonce"] == 2

    home.clock.now_s = NOW_S + AGE_S + 1
    too_late, until_s = without | {"attempt": 3}, AGE_S + BOUND_S
    assert codes(ask(node, too_late, until_s)) == ["UnprovedAttemptTooLate"]
    later = structure | {"attempt": 3, "intent": structure["intent"] | {"valid_before_s": NOW_S + until_s}}
    assert refused_structure(node, later) == ["UnprovedAttemptTooLate"]
    assert ask(node, without | {"attempt": 2}, AGE_S + BOUND_S - 1) == last
    again = {name: value for name, value in with_one.items() if name != "proof"} | {"attempt": 2}
    assert ask(node, again, ANY_S)["nonce"] == 1

    opened = home.open((HEAD + RULES).encode())
    home.clock.now_s = NOW_S
    assert codes(ask(opened, too_late, until_s)) == ["UnprovedAttemptTooLate"]
    assert refused_structure(opened, later) == ["UnprovedAttemptTooLate"]
    verify(opened._store)


def test_both_attempts_in_one_request_are_judged_alike(node: WalletNode, payer: str) -> None:
    first = payment(payer)
    results = sign(node, batch(first, first | {"attempt": 2}, valid_before_s=NOW_S + BOUND_S))
    assert [codes(each) if "refusal" in each else each["nonce"] for each in results] == [
        0,
        ["ValidBeforeNotLater"],
    ]


def test_a_bound_that_bounds_nothing_is_malformed() -> None:
    Policy((HEAD + RULES.replace(f": {BOUND_S}", ": 600")).encode())
    with pytest.raises(MalformedPolicy, match=r"'unproved.longest_validity_s'.*600"):
        Policy((HEAD + RULES.replace(f": {BOUND_S}", ": 601")).encode())


def test_a_time_for_attempts_that_may_last_for_ever_is_malformed() -> None:
    with pytest.raises(MalformedPolicy, match=r"'unproved.attempts_within_s'.*'longest_validity_s'"):
        Policy((HEAD + RULES.replace(f"      longest_validity_s: {BOUND_S}\n", "")).encode())


def test_without_a_bound_it_lasts_as_long_as_any_other() -> None:
    bounds = f"      longest_validity_s: {BOUND_S}\n      attempts_within_s: {AGE_S}\n"
    unbound = policy(RULES.replace(bounds, ""))
    for first in (True, False):
        asked = msgspec.structs.replace(
            facts(amount_minor=1), is_first_signature=first, valid_for_s=ANY_S, now_s=NOW_S
        )
        assert unbound.evaluate_payment(asked, spent()).refusals == ()


def test_the_sandboxs_bank_signs_what_the_relay_asks_for_and_not_much_more() -> None:
    """Also where the latest block is half an hour ahead of the node."""
    rule = next(rule for rule in bundled("sandbox-bank").file.payments if rule.unproved is not None)
    assert rule.unproved is not None
    bound_s = rule.unproved.longest_validity_s
    assert bound_s is not None
    most_s = max(batching.valid_before(NOW_S + second) - NOW_S - second for second in range(60))
    assert most_s + 1_800 < bound_s <= 3_600
    assert rule.unproved.attempts_within_s is not None
    assert rule.unproved.attempts_within_s + bound_s <= 86_400, "two days' allowances at one moment"
