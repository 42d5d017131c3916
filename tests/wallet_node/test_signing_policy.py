"""Policy: default deny, deny wins, every reason reported; and what the bundled policies allow and no more."""

import itertools
import re

import pytest
from node_builders import CENTRAL_BANK, NO_PROOF

from contracts.abi import SELECTORS
from contracts.notary import ANCHOR_SIGNATURE
from contracts.notary import SELECTORS as NOTARY_SELECTORS
from wallet_node.errors import MalformedPolicy
from wallet_node.policy import Decision, PaymentFacts, Policy, TransactionFacts, selector

SAMPLE_BOOK_TOTAL_MINOR = 2_122_899_360
HEAD = """
name: tested
version: 1
summary: A policy for one test.
nonces: {longest_payment_jump: 10, longest_transaction_jump: 10}
longest_validity_s: 600
"""
ALLOW_ANY = "{name: all, effect: allow, payer: any, payee: any}"
ROLES = ("derived", "other", "institution", "governor")

BANK_CALLS = {
    "settle(bytes,uint64)",
    "settleGrouped(bytes,uint64)",
    "register(address[],uint8,uint24)",
    "mint(uint256)",
    "burn(uint256)",
}
CENTRAL_BANK_CALLS = {
    "governor": {
        "setParticipant(uint16,address,uint8,uint256)",
        "setSystemAccount(address,uint8)",
        "setTier(uint8,uint96,uint64,uint64)",
    },
    "issuer": {"increaseMintAllowance(uint16,uint256)", "decreaseMintAllowance(uint16,uint256)"},
    "pauser": {"pause()"},
    "upgrader": set(),
}
QUORUM_CALLS = {
    "unpause()",
    "proposeUpgrade(address,bytes)",
    "cancelUpgrade()",
    "upgradeToAndCall(address,bytes)",
    "offerRole(bytes32,address)",
    "acceptRole(bytes32)",
}


def policy(rules: str = "") -> Policy:
    return Policy((HEAD + rules).encode())


def facts(
    payer: str = "derived", payee: str = "other", amount_minor: int = 100, *, first: bool = True
) -> PaymentFacts:
    return PaymentFacts(payer, payee, amount_minor, first)


def call(key: str, signature: str, **changes: object) -> TransactionFacts:
    given: dict[str, object] = {
        "key": key,
        "target": "currency",
        "selector": selector(signature),
        "value_wei": 0,
        "gas": 100_000,
        "max_fee_per_gas_wei": 1,
    }
    return TransactionFacts(**(given | changes))


def codes(decision: Decision) -> list[str]:
    return [refusal.code for refusal in decision.refusals]


@pytest.mark.parametrize(("payer", "payee"), list(itertools.product(ROLES, ROLES)))
def test_without_rules_nothing_is_allowed(payer: str, payee: str) -> None:
    assert codes(policy().evaluate_payment(facts(payer, payee), {})) == ["NoRuleAllows"]
    assert codes(policy().evaluate_transaction(call(payer, "mint(uint256)"))) == ["NoRuleAllows"]
    assert codes(policy().evaluate_derivation(0)) == ["NoRuleAllows"]


def test_a_rule_for_others_does_not_allow() -> None:
    tested = policy("payments: [{name: r, effect: allow, payer: institution, payee: derived}]")
    assert codes(tested.evaluate_payment(facts("institution", "derived"), {})) == []
    assert codes(tested.evaluate_payment(facts("derived", "derived"), {})) == ["NoRuleAllows"]
    assert codes(tested.evaluate_payment(facts("institution", "other"), {})) == ["NoRuleAllows"]


def test_one_deny_rule_wins_over_any_number_of_allow_rules() -> None:
    second = "{name: second, effect: allow, payer: derived, payee: any}"
    deny = "{name: never, effect: deny, payer: any, payee: other, code: NotThere}"
    for order in itertools.permutations([ALLOW_ANY, second, deny]):
        tested = policy(f"payments: [{', '.join(order)}]")
        assert codes(tested.evaluate_payment(facts("derived", "other"), {})) == ["NotThere"]
        assert codes(tested.evaluate_payment(facts("derived", "derived"), {})) == []


def test_every_refusal_is_reported_not_only_the_first() -> None:
    tested = policy(
        "payments: [{name: a, effect: allow, payer: any, payee: any,"
        " per_payment_cap_minor: 10, daily_cap_minor: 50},"
        " {name: b, effect: deny, payer: derived, payee: any},"
        " {name: c, effect: deny, payer: any, payee: other, code: NotThere}]"
    )
    found = codes(tested.evaluate_payment(facts(amount_minor=100), {}))
    assert found == ["PerPaymentCapExceeded", "DailyCapExceeded", "DeniedByRule", "NotThere"]


def test_a_cap_of_one_rule_is_not_lifted_by_another_rule_that_allows() -> None:
    capped = "{name: capped, effect: allow, payer: derived, payee: any, per_payment_cap_minor: 10}"
    tested = policy(f"payments: [{ALLOW_ANY}, {capped}]")
    assert codes(tested.evaluate_payment(facts(amount_minor=11), {})) == ["PerPaymentCapExceeded"]
    assert codes(tested.evaluate_payment(facts(amount_minor=10), {})) == []


def test_a_daily_cap_counts_what_was_spent_and_is_filled_to_the_last_unit() -> None:
    tested = policy("payments: [{name: daily, effect: allow, payer: any, payee: any, daily_cap_minor: 100}]")
    assert tested.evaluate_payment(facts(amount_minor=60), {"daily": 40}) == Decision((), ("daily",))
    assert codes(tested.evaluate_payment(facts(amount_minor=61), {"daily": 40})) == ["DailyCapExceeded"]


def test_a_later_attempt_is_judged_without_counting_again() -> None:
    tested = policy("payments: [{name: daily, effect: allow, payer: any, payee: any, daily_cap_minor: 100}]")
    assert tested.evaluate_payment(facts(amount_minor=100, first=False), {"daily": 100}) == Decision(())


def test_in_the_bank_policy_customers_pay_anyone() -> None:
    bank = Policy(NO_PROOF)
    for payee in ("any", "derived", "other", "institution"):
        assert codes(bank.evaluate_payment(facts("derived", payee, 10**12), {})) == []


def test_in_the_bank_policy_the_banks_key_pays_its_own_customers_and_nobody_else() -> None:
    bank = Policy(NO_PROOF)
    assert codes(bank.evaluate_payment(facts("institution", "derived"), {})) == []
    assert "PayeeNotOwnCustomer" in codes(bank.evaluate_payment(facts("institution", "other"), {}))
    assert codes(bank.evaluate_payment(facts("institution", "institution"), {})) == ["NoRuleAllows"]
    assert bank.looks_at_payee("institution")
    assert not bank.looks_at_payee("derived")


def test_in_the_bank_policy_funding_is_capped_by_the_day_above_the_sample_book() -> None:
    bank = Policy(NO_PROOF)
    cap = next(rule.daily_cap_minor for rule in bank.file.payments if rule.name == "funding")
    assert cap is not None
    assert cap > 10 * SAMPLE_BOOK_TOTAL_MINOR
    assert codes(bank.evaluate_payment(facts("institution", "derived", 1), {"funding": cap})) == [
        "DailyCapExceeded"
    ]


@pytest.mark.parametrize("signature", sorted(SELECTORS))
def test_in_the_bank_policy_the_banks_key_makes_its_own_calls_and_no_other(signature: str) -> None:
    decision = Policy(NO_PROOF).evaluate_transaction(call("institution", signature))
    assert (decision.refusals == ()) == (signature in BANK_CALLS)


@pytest.mark.parametrize("signature", sorted(SELECTORS))
@pytest.mark.parametrize("key", [*CENTRAL_BANK_CALLS, "institution"])
def test_in_the_central_bank_policy_each_key_makes_its_own_calls_and_no_other(
    key: str, signature: str
) -> None:
    decision = Policy(CENTRAL_BANK).evaluate_transaction(call(key, signature))
    assert (decision.refusals == ()) == (signature in CENTRAL_BANK_CALLS.get(key, set()))
    assert ("QuorumNotConfigured" in codes(decision)) == (signature in QUORUM_CALLS)


ANCHORING_KEYS = {NO_PROOF: "institution", CENTRAL_BANK: "issuer"}


@pytest.mark.parametrize("signature", sorted(NOTARY_SELECTORS))
@pytest.mark.parametrize("key", [*CENTRAL_BANK_CALLS, "institution"])
@pytest.mark.parametrize("source", ANCHORING_KEYS, ids=["bank", "central bank"])
def test_of_the_notary_one_key_anchors_and_nothing_else_is_called(
    source: bytes, key: str, signature: str
) -> None:
    loaded, is_anchoring = Policy(source), (key, signature) == (ANCHORING_KEYS[source], ANCHOR_SIGNATURE)
    decision = loaded.evaluate_transaction(call(key, signature, target="notary"))
    assert (decision.refusals == ()) == is_anchoring
    for target in ("currency", "other"):
        assert codes(loaded.evaluate_transaction(call(key, signature, target=target))) == ["NoRuleAllows"]


@pytest.mark.parametrize("signature", sorted(SELECTORS))
@pytest.mark.parametrize("source", ANCHORING_KEYS, ids=["bank", "central bank"])
def test_a_call_of_the_currency_is_no_call_of_the_notary(source: bytes, signature: str) -> None:
    for key in (*CENTRAL_BANK_CALLS, "institution"):
        assert codes(Policy(source).evaluate_transaction(call(key, signature, target="notary"))) != []


def test_every_call_that_a_bundled_policy_names_exists_in_the_contract() -> None:
    known = {"currency": SELECTORS, "notary": NOTARY_SELECTORS, "any": SELECTORS}
    for source in (NO_PROOF, CENTRAL_BANK):
        for rule in Policy(source).file.transactions:
            assert {call: selector(call) for call in rule.calls} == {
                call: known[rule.to].get(call) for call in rule.calls
            }


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"value_wei": 1}, "ValueNotAllowed"),
        ({"gas": 10**9 + 1}, "GasTooHigh"),
        ({"max_fee_per_gas_wei": 10**14 + 1}, "FeeTooHigh"),
        ({"target": "other"}, "NoRuleAllows"),
        ({"target": "notary"}, "NoRuleAllows"),
        ({"selector": b""}, "NoRuleAllows"),
        ({"selector": b"\x12\x34"}, "NoRuleAllows"),
    ],
)
def test_value_gas_fee_target_and_selector_have_bounds(changes: dict[str, object], code: str) -> None:
    decision = Policy(NO_PROOF).evaluate_transaction(call("institution", "mint(uint256)", **changes))
    assert codes(decision) == [code]


def test_the_central_bank_signs_no_payment_and_derives_no_key() -> None:
    central = Policy(CENTRAL_BANK)
    for payer, payee in itertools.product(ROLES, ROLES):
        assert codes(central.evaluate_payment(facts(payer, payee), {})) == ["NoRuleAllows"]
    assert codes(central.evaluate_derivation(0)) == ["NoRuleAllows"]


def test_derivation_is_allowed_up_to_the_highest_index() -> None:
    tested = policy("customers: {highest_index: 9}")
    assert codes(tested.evaluate_derivation(9)) == []
    assert codes(tested.evaluate_derivation(10)) == ["KeyIndexTooHigh"]


def test_the_hash_is_of_the_bytes_so_any_edit_shows() -> None:
    assert Policy(NO_PROOF).digest != Policy(NO_PROOF + b"\n").digest


@pytest.mark.parametrize(
    "source",
    [
        "",
        "[]",
        "name: x",
        HEAD + "unknown: 1",
        HEAD + "version: 2",
        HEAD.replace("version: 1", "version: true"),
        HEAD.replace("version: 1", "version: 1.0"),
        HEAD.replace("600", "-1"),
        HEAD + "payments: [{name: a, effect: maybe, payer: any, payee: any}]",
        HEAD + "payments: [{name: a, effect: allow, payer: any}]",
        HEAD + "payments: [{name: a, effect: allow, payer: any, payee: any, cap: 1}]",
        HEAD + "payments: [{name: a, effect: deny, payer: any, payee: any, daily_cap_minor: 1}]",
        HEAD + f"payments: [{ALLOW_ANY}, {ALLOW_ANY}]",
        HEAD + "transactions: [{name: a, effect: allow, key: any, to: any, calls: []}]",
        HEAD + "transactions: [{name: a, effect: allow, key: any, to: currency, calls: [mint]}]",
        HEAD + "customers: !!python/object/apply:os.system ['true']",
        HEAD + "{",
    ],
)
def test_a_file_that_could_be_misread_is_refused(source: str) -> None:
    with pytest.raises(MalformedPolicy):
        Policy(source.encode())


def test_bundled_policies_say_for_whom_they_are() -> None:
    for source in (NO_PROOF, CENTRAL_BANK):
        loaded = Policy(source)
        assert re.match(r"sandbox-", loaded.name)
        assert loaded.file.summary.startswith("Sandbox")
