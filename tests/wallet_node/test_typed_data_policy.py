"""What lets a structure be signed: the policy of its payees' roles and sums, the customer, the officers."""

import uuid
from typing import Any

import msgspec
import pytest
from node_builders import (
    DOMAIN,
    INSTITUTION_SECRET,
    NOW_S,
    STRANGER,
    VALID_BEFORE_S,
    Home,
    batch,
    customers,
    payment,
)
from node_builders import sign as pay
from officers_word import approve, withdraw
from passkeys import RELYING_PARTY, Passkey
from typed_data_requests import (
    asking,
    authorization,
    cancellation,
    fan_out,
    move,
    permit,
    policy_text,
    refused,
    sign,
    signed_by,
)

from contracts.customer_approvals import FanOutApproval
from wallet_node.errors import MalformedPolicy
from wallet_node.intents.requests import Derivation
from wallet_node.journal.entries import OperationExecuted, decode
from wallet_node.keystore.software_key import SoftwareKey
from wallet_node.node import WalletNode
from wallet_node.policy.policy import Policy

BANK = "0x" + SoftwareKey(INSTITUTION_SECRET).address.hex()
UNTIL_S = NOW_S + 300
PASSKEY = Passkey(1)
PARTY = f"""
customer_proof: {{rp_id: {RELYING_PARTY.rp_id}, origins: ["{RELYING_PARTY.origins[0]}"]}}
"""
PROVED = """
payments:
  - name: customers-pay
    effect: allow
    payer: derived
    payee: any
    intents: [payment, fan_out]
    proof: customer
    unproved: {per_payment_cap_minor: 100, wallet: {day_minor: 150}, institution: {day_minor: 250}}
"""


def rules(*written: str) -> bytes:
    return policy_text("payments:\n" + "".join(f"  - {{{each}}}\n" for each in written))


# --- roles and sums -----------------------------------------------------------------------------------------


def test_every_group_of_payees_has_to_be_allowed(home: Home) -> None:
    node = home.open(
        rules(
            "name: inside, effect: allow, payer: derived, payee: derived, intents: [fan_out]",
            "name: outside, effect: deny, payer: derived, payee: other, intents: [fan_out], code: NotOurs",
        )
    )
    payer, first, second = customers(node, 3)
    assert refused(node, asking(fan_out(payer, (first, 1), (STRANGER, 1)))) == ["NotOurs", "NoRuleAllows"]
    assert refused(node, asking(fan_out(payer, (first, 1), (BANK, 1)))) == ["NoRuleAllows"]
    assert sign(node, asking(fan_out(payer, (first, 1), (second, 1))))["nonce"] == 0


def test_a_group_is_judged_with_its_sum(home: Home) -> None:
    node = home.open(
        rules(
            "name: inside, effect: allow, payer: derived, payee: derived, intents: [fan_out],"
            " per_payment_cap_minor: 10",
            "name: outside, effect: allow, payer: derived, payee: other, intents: [fan_out],"
            " per_payment_cap_minor: 20",
        )
    )
    payer, first, second = customers(node, 3)
    assert refused(node, asking(fan_out(payer, (first, 6), (second, 5)))) == ["PerPaymentCapExceeded"]
    assert refused(node, asking(fan_out(payer, (STRANGER, 11), (STRANGER, 10)))) == ["PerPaymentCapExceeded"]
    sign(node, asking(fan_out(payer, (first, 5), (STRANGER, 20), (second, 5))))


def test_a_cap_counts_the_whole_sum_of_all_groups_and_with_payments(home: Home) -> None:
    capped = rules(
        "name: all, effect: allow, payer: derived, payee: any, intents: [payment, fan_out, permit,"
        " authorization], caps: {day_minor: 100}",
        "name: looks, effect: deny, payer: derived, payee: institution, intents: [payment]",
    )
    node = home.open(capped)
    payer, other, _ = customers(node, 3)
    assert refused(node, asking(fan_out(payer, (other, 50), (STRANGER, 51)))) == ["DailyCapExceeded"]
    sign(node, asking(fan_out(payer, (other, 20), (STRANGER, 20))))
    pay(node, batch(payment(other, amount_minor=10)))
    sign(node, asking(permit(payer, amount_minor=20)))
    sign(node, asking(authorization(payer, amount_minor=20)))
    node = home.open(capped)
    assert refused(node, asking(fan_out(payer, (other, 6), (STRANGER, 5)))) == ["DailyCapExceeded"]
    assert refused(node, asking(permit(payer, amount_minor=11))) == ["DailyCapExceeded"]
    request = asking(fan_out(payer, (other, 5), (STRANGER, 5)))
    sign(node, request)
    later = {**request, "attempt": 2, "intent": {**request["intent"], "valid_before_s": VALID_BEFORE_S + 1}}
    home.clock.now_s += 10
    sign(node, later)  # an attempt spends nothing more
    assert refused(node, asking(fan_out(payer, (other, 1)))) == ["DailyCapExceeded"]
    sign(node, asking(cancellation(payer)))  # moves nothing


def test_what_waits_or_is_refused_spends_nothing(home: Home) -> None:
    node = home.open(
        rules(
            "name: all, effect: allow, payer: derived, payee: any, intents: [fan_out],"
            " caps: {day_minor: 100}",
            "name: asked, effect: allow, payer: derived, payee: other, intents: [fan_out], quorum: two",
        )
    )
    payer, other, _ = customers(node, 3)
    refused(node, asking(fan_out(payer, (other, 101))))
    waiting = asking(fan_out(payer, (STRANGER, 100)))
    answer = sign(node, waiting)
    sign(node, asking(fan_out(payer, (other, 100))))
    approve(node, answer)
    assert refused(node, waiting) == ["DailyCapExceeded"]


@pytest.mark.parametrize("caps", ["per_payment_cap_minor: 5", "caps: {day_minor: 5}"])
def test_a_rule_of_moves_has_no_caps_that_would_cap_nothing(caps: str) -> None:
    with pytest.raises(MalformedPolicy, match="account_move"):
        Policy(rules(f"name: r, effect: allow, payer: derived, payee: any, intents: [account_move], {caps}"))
    unproved = PROVED.replace("fan_out]", "fan_out, account_move]")
    with pytest.raises(MalformedPolicy, match="account_move"):
        Policy(policy_text(unproved, PARTY))


@pytest.mark.parametrize("intent", [move(BANK), cancellation(BANK)], ids=["move", "cancellation"])
def test_what_has_no_payee_counts_as_going_elsewhere(home: Home, intent: dict[str, Any]) -> None:
    kinds = "intents: [account_move, authorization]"
    node = home.open(rules(f"name: r, effect: allow, payer: institution, payee: derived, {kinds}"))
    assert refused(node, asking(intent)) == ["NoRuleAllows"]
    home.close()
    (home.path / "journal.sqlite3").unlink()
    node = home.open(rules(f"name: r, effect: allow, payer: institution, payee: other, {kinds}"))
    sign(node, asking(intent))


# --- officers -----------------------------------------------------------------------------------------------


def kinds(payer: str) -> list[dict[str, Any]]:
    return [fan_out(payer), permit(payer), authorization(payer), cancellation(payer), move(payer)]


ALL = "intents: [fan_out, permit, authorization, account_move]"


@pytest.mark.parametrize("place", range(5), ids=["fan-out", "permit", "transfer", "cancellation", "move"])
def test_officers_approve_what_is_signed_and_the_answer_waits_for_them(home: Home, place: int) -> None:
    text = rules(f"name: asked, effect: allow, payer: derived, payee: any, {ALL}, quorum: two")
    node = home.open(text)
    payer = customers(node, 1)[0]
    request = asking(kinds(payer)[place])
    status, waiting = sign(node, request)
    assert (status, waiting["approvals"], waiting["needed"]) == (202, 0, 2)
    assert waiting["operation_id"] == request["intent_id"]
    (shown,) = node.operations()["operations"]
    description = msgspec.json.decode(shown["description"])
    assert description["intent"]["type"] == request["intent"]["type"]
    assert payer.lower() in description["says"][0].lower() or place == 0
    approve(node, (status, waiting), "first-officer")
    node = home.open(text)
    again = sign(node, request)
    assert (again[0], again[1]["approvals"]) == (202, 1)
    approve(node, again, "third-officer")
    answer = sign(node, request)
    assert signed_by(request, answer) == payer.lower()
    assert sign(node, request) == answer
    stored = node._store.query("SELECT entry, sequence FROM journal ORDER BY sequence")
    (executed,) = [
        row for row in (decode(*each).decision for each in stored) if isinstance(row, OperationExecuted)
    ]
    assert executed.officers == ("first-officer", "third-officer")


def test_what_officers_see_of_a_counted_nonce_is_what_they_approve(home: Home) -> None:
    """The nonce and the time are an attempt's: the digest has neither, and so has what is shown."""
    node = home.open(rules(f"name: asked, effect: allow, payer: derived, payee: any, {ALL}, quorum: two"))
    payer = customers(node, 1)[0]
    request = asking(fan_out(payer, (STRANGER, 5), (BANK, 6)))
    first = sign(node, request)
    later = {**request["intent"], "nonce": 3, "valid_before_s": VALID_BEFORE_S - 5}
    assert sign(node, {**request, "intent": later})[1]["digest"] == first[1]["digest"]
    description = msgspec.json.decode(node.operations()["operations"][0]["description"])
    assert description["intent"].keys() == {"type", "payer", "payments"}
    assert (description["total_minor"], description["movements_in_all"]) == (11, 2)
    other = {**request["intent"], "payments": fan_out(payer, (STRANGER, 6))["payments"]}
    assert refused(node, {**request, "intent": other}) == ["OperationIdReused"]


def test_what_officers_refuse_is_never_signed(home: Home) -> None:
    node = home.open(rules(f"name: asked, effect: allow, payer: derived, payee: any, {ALL}, quorum: two"))
    request = asking(permit(customers(node, 1)[0]))
    waiting = sign(node, request)
    withdraw(node, waiting)
    assert refused(node, request) == ["OperationWithdrawn"]
    assert refused(node, request) == ["OperationWithdrawn"]


def test_a_fan_out_that_two_quorums_would_have_to_approve_is_refused(home: Home) -> None:
    more = "\n  - {name: one, approvals: 1, officers: [first-officer], valid_s: 3600}\n"
    written = (
        rules(
            "name: inside, effect: allow, payer: derived, payee: derived, intents: [fan_out], quorum: two",
            "name: outside, effect: allow, payer: derived, payee: other, intents: [fan_out], quorum: one",
        )
        .decode()
        .replace("valid_s: 3600}]", "valid_s: 3600}, " + more.strip()[2:] + "]")
    )
    node = home.open(written.encode())
    payer, other, _ = customers(node, 3)
    assert refused(node, asking(fan_out(payer, (other, 1), (STRANGER, 1)))) == ["QuorumsDiffer"]
    assert sign(node, asking(fan_out(payer, (STRANGER, 1))))[1]["needed"] == 1


# --- customers ----------------------------------------------------------------------------------------------


@pytest.fixture
def node(home: Home) -> WalletNode:
    return home.open(policy_text(PROVED, PARTY))


@pytest.fixture
def payer(node: WalletNode) -> str:
    derivation = Derivation((0, 1), (PASSKEY.fields(), None))
    return node.derive(derivation)["addresses"][0].lower()


def proved(request: dict[str, Any], passkey: Passkey = PASSKEY, **changes: Any) -> dict[str, Any]:
    """The request with its customer's approval."""
    said = {
        "payment_id": uuid.UUID(request["intent_id"]).bytes,
        "payer": bytes.fromhex(request["intent"]["payer"][2:]),
        "payments": bytes.fromhex(request["intent"]["payments"][2:]),
        "expires_at_s": UNTIL_S,
    } | {name: value for name, value in changes.items() if name != "sign_count"}
    given = {"sign_count": changes["sign_count"]} if "sign_count" in changes else {}
    proof = passkey.proof(FanOutApproval(**said).digest(DOMAIN.separator), said["expires_at_s"], **given)
    return {**request, "proof": msgspec.to_builtins(proof)}


def test_a_fan_out_above_the_allowance_needs_its_customers_word(node: WalletNode, payer: str) -> None:
    dear = asking(fan_out(payer, (STRANGER, 60), (BANK, 41)))
    assert refused(node, dear) == ["ProofRequired"]
    assert refused(node, dear) == ["ProofRequired"]  # for ever
    dear = proved(asking(fan_out(payer, (STRANGER, 60_000), (BANK, 41))))
    answer = sign(node, dear)
    assert signed_by(dear, answer) == payer
    sign(node, asking(fan_out(payer, (STRANGER, 100))))  # the allowance is untouched
    assert refused(node, asking(fan_out(payer, (STRANGER, 51)))) == ["ProofRequired"]
    sign(node, asking(fan_out(payer, (STRANGER, 50))))


def test_a_later_attempt_needs_no_new_word(home: Home, node: WalletNode, payer: str) -> None:
    dear = proved(asking(fan_out(payer, (STRANGER, 60_000))))
    first = sign(node, dear)
    home.clock.now_s += 400  # the approval's time is over
    bare = {name: value for name, value in dear.items() if name != "proof"}
    assert sign(node, bare) == first
    later = {**bare, "attempt": 2, "intent": {**bare["intent"], "valid_before_s": VALID_BEFORE_S + 300}}
    assert sign(node, later)["nonce"] == first["nonce"]


@pytest.mark.parametrize(
    "changes",
    [
        {"payment_id": bytes(16)},
        {"payer": bytes(20)},
        {"payments": bytes.fromhex(fan_out(STRANGER, (STRANGER, 60_001))["payments"][2:])},
        {"payments": b""},
    ],
    ids=["id", "payer", "an amount", "no payment"],
)
def test_a_word_for_something_else_is_none(node: WalletNode, payer: str, changes: dict[str, Any]) -> None:
    request = proved(asking(fan_out(payer, (STRANGER, 60_000))), **changes)
    assert refused(node, request)[0] == "ChallengeMismatch"


def test_other_words_do_not_hold(node: WalletNode, payer: str) -> None:
    def asked() -> dict[str, Any]:
        return asking(fan_out(payer, (STRANGER, 5)))

    assert refused(node, proved(asked(), expires_at_s=NOW_S)) == ["ProofExpired"]
    assert refused(node, proved(asked(), Passkey(2))) == ["CredentialUnknown"]
    mandate = {"kind": "mandate", "mandate_id": str(uuid.uuid4())}
    assert refused(node, {**asked(), "proof": mandate}) == ["MandateNotForFanOut"]
    sign(node, proved(asked(), sign_count=7))
    assert refused(node, proved(asked(), sign_count=7)) == ["CloneSuspected"]


def test_only_a_fan_out_takes_a_word(home: Home, node: WalletNode, payer: str) -> None:
    proof = proved(asking(fan_out(payer)))["proof"]
    for intent in (permit(payer), authorization(payer), cancellation(payer), move(payer)):
        assert refused(node, {**asking(intent), "proof": proof}) == ["ProofNotExpected", "NoRuleAllows"]
    home.close()
    (home.path / "journal.sqlite3").unlink()
    node = home.open(policy_text())
    payer = customers(node, 1)[0]
    assert refused(node, proved(asking(fan_out(payer)))) == ["ProofNotExpected"]
