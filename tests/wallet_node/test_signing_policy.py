"""Policy: default deny, deny wins, every reason reported; and what the bundled policies allow and no more."""

import itertools

import pytest
from node_builders import NO_PROOF, NO_QUORUM
from policy_builders import NOTHING, bundled, call, facts, policy, spent

from contracts.abi import SELECTORS
from contracts.notary import ANCHOR_SIGNATURE
from contracts.notary import SELECTORS as NOTARY_SELECTORS
from wallet_node.policy.policy import Decision, Policy, selector

SAMPLE_BOOK_TOTAL_MINOR = 2_122_899_360
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


def codes(decision: Decision) -> list[str]:
    return [refusal.code for refusal in decision.refusals]


@pytest.mark.parametrize(("payer", "payee"), list(itertools.product(ROLES, ROLES)))
def test_without_rules_nothing_is_allowed(payer: str, payee: str) -> None:
    assert codes(policy().evaluate_payment(facts(payer, payee), NOTHING)) == ["NoRuleAllows"]
    assert codes(policy().evaluate_transaction(call(payer, "mint(uint256)"), NOTHING)) == ["NoRuleAllows"]
    assert codes(policy().evaluate_derivation(0)) == ["NoRuleAllows"]


def test_a_rule_for_others_does_not_allow() -> None:
    tested = policy("payments: [{name: r, effect: allow, payer: institution, payee: derived}]")
    assert codes(tested.evaluate_payment(facts("institution", "derived"), NOTHING)) == []
    assert codes(tested.evaluate_payment(facts("derived", "derived"), NOTHING)) == ["NoRuleAllows"]
    assert codes(tested.evaluate_payment(facts("institution", "other"), NOTHING)) == ["NoRuleAllows"]


def test_one_deny_rule_wins_over_any_number_of_allow_rules() -> None:
    second = "{name: second, effect: allow, payer: derived, payee: any}"
    deny = "{name: never, effect: deny, payer: any, payee: other, code: NotThere}"
    for order in itertools.permutations([ALLOW_ANY, second, deny]):
        tested = policy(f"payments: [{', '.join(order)}]")
        assert codes(tested.evaluate_payment(facts("derived", "other"), NOTHING)) == ["NotThere"]
        assert codes(tested.evaluate_payment(facts("derived", "derived"), NOTHING)) == []


def test_every_refusal_is_reported_not_only_the_first() -> None:
    tested = policy(
        "payments: [{name: a, effect: allow, payer: any, payee: any,"
        " per_payment_cap_minor: 10, caps: {day_minor: 50}},"
        " {name: b, effect: deny, payer: derived, payee: any},"
        " {name: c, effect: deny, payer: any, payee: other, code: NotThere}]"
    )
    found = codes(tested.evaluate_payment(facts(amount_minor=100), NOTHING))
    assert found == ["PerPaymentCapExceeded", "DailyCapExceeded", "DeniedByRule", "NotThere"]


def test_a_cap_of_one_rule_is_not_lifted_by_another_rule_that_allows() -> None:
    capped = "{name: capped, effect: allow, payer: derived, payee: any, per_payment_cap_minor: 10}"
    tested = policy(f"payments: [{ALLOW_ANY}, {capped}]")
    assert codes(tested.evaluate_payment(facts(amount_minor=11), NOTHING)) == ["PerPaymentCapExceeded"]
    assert codes(tested.evaluate_payment(facts(amount_minor=10), NOTHING)) == []


def test_a_daily_cap_counts_what_was_spent_and_is_filled_to_the_last_unit() -> None:
    tested = policy(
        "payments: [{name: daily, effect: allow, payer: any, payee: any, caps: {day_minor: 100}}]"
    )
    assert tested.evaluate_payment(facts(amount_minor=60), spent({("daily", b""): (40, 40)})) == Decision(
        (), (("daily", b""),)
    )
    assert codes(tested.evaluate_payment(facts(amount_minor=61), spent({("daily", b""): (40, 40)}))) == [
        "DailyCapExceeded"
    ]


def test_a_later_attempt_is_judged_without_counting_again() -> None:
    tested = policy(
        "payments: [{name: daily, effect: allow, payer: any, payee: any, caps: {day_minor: 100}}]"
    )
    assert tested.evaluate_payment(
        facts(amount_minor=100, first=False), spent({("daily", b""): (100, 100)})
    ) == Decision(())


def test_in_the_bank_policy_customers_pay_anyone() -> None:
    bank = Policy(NO_PROOF)
    for payee in ("any", "derived", "other", "institution"):
        assert codes(bank.evaluate_payment(facts("derived", payee, 10**12), NOTHING)) == []


def test_in_the_bank_policy_the_banks_key_pays_its_own_customers_and_nobody_else() -> None:
    bank = Policy(NO_PROOF)
    assert codes(bank.evaluate_payment(facts("institution", "derived"), NOTHING)) == []
    assert "PayeeNotOwnCustomer" in codes(bank.evaluate_payment(facts("institution", "other"), NOTHING))
    assert codes(bank.evaluate_payment(facts("institution", "institution"), NOTHING)) == ["NoRuleAllows"]
    assert bank.looks_at_payee("institution")
    assert not bank.looks_at_payee("derived")


def test_in_the_bank_policy_funding_is_capped_by_the_day_above_the_sample_book() -> None:
    bank = Policy(NO_PROOF)
    caps = next(rule.caps for rule in bank.file.payments if rule.name == "funding")
    assert caps is not None
    cap = caps.day_minor
    assert cap is not None
    assert cap > 10 * SAMPLE_BOOK_TOTAL_MINOR
    assert codes(
        bank.evaluate_payment(facts("institution", "derived", 1), spent({("funding", b""): (cap, cap)}))
    ) == ["DailyCapExceeded"]


@pytest.mark.parametrize("signature", sorted(SELECTORS))
def test_in_the_bank_policy_the_banks_key_makes_its_own_calls_and_no_other(signature: str) -> None:
    decision = Policy(NO_PROOF).evaluate_transaction(call("institution", signature), NOTHING)
    assert (decision.refusals == ()) == (signature in BANK_CALLS)


@pytest.mark.parametrize("signature", sorted(SELECTORS))
@pytest.mark.parametrize("key", [*CENTRAL_BANK_CALLS, "institution"])
def test_in_the_central_bank_policy_each_key_makes_its_own_calls_and_no_other(
    key: str, signature: str
) -> None:
    decision = Policy(NO_QUORUM).evaluate_transaction(call(key, signature), NOTHING)
    assert (decision.refusals == ()) == (signature in CENTRAL_BANK_CALLS.get(key, set()))
    assert ("QuorumNotConfigured" in codes(decision)) == (signature in QUORUM_CALLS)


ANCHORING_KEYS = {NO_PROOF: "institution", NO_QUORUM: "issuer"}


@pytest.mark.parametrize("signature", sorted(NOTARY_SELECTORS))
@pytest.mark.parametrize("key", [*CENTRAL_BANK_CALLS, "institution"])
@pytest.mark.parametrize("source", ANCHORING_KEYS, ids=["bank", "central bank"])
def test_of_the_notary_one_key_anchors_and_nothing_else_is_called(
    source: bytes, key: str, signature: str
) -> None:
    loaded, is_anchoring = Policy(source), (key, signature) == (ANCHORING_KEYS[source], ANCHOR_SIGNATURE)
    decision = loaded.evaluate_transaction(call(key, signature, target="notary"), NOTHING)
    assert (decision.refusals == ()) == is_anchoring
    for target in ("currency", "other"):
        assert codes(loaded.evaluate_transaction(call(key, signature, target=target), NOTHING)) == [
            "NoRuleAllows"
        ]


@pytest.mark.parametrize("signature", sorted(SELECTORS))
@pytest.mark.parametrize("source", ANCHORING_KEYS, ids=["bank", "central bank"])
def test_a_call_of_the_currency_is_no_call_of_the_notary(source: bytes, signature: str) -> None:
    for key in (*CENTRAL_BANK_CALLS, "institution"):
        assert (
            codes(Policy(source).evaluate_transaction(call(key, signature, target="notary"), NOTHING)) != []
        )


def test_every_call_that_a_bundled_policy_names_exists_in_the_contract() -> None:
    known = {"currency": SELECTORS, "notary": NOTARY_SELECTORS, "any": SELECTORS}
    for source in (NO_PROOF, NO_QUORUM):
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
    decision = Policy(NO_PROOF).evaluate_transaction(call("institution", "mint(uint256)", **changes), NOTHING)
    assert codes(decision) == [code]


def test_the_central_bank_signs_no_payment_and_derives_no_key() -> None:
    central = Policy(NO_QUORUM)
    for payer, payee in itertools.product(ROLES, ROLES):
        assert codes(central.evaluate_payment(facts(payer, payee), NOTHING)) == ["NoRuleAllows"]
    assert codes(central.evaluate_derivation(0)) == ["NoRuleAllows"]


def test_derivation_is_allowed_up_to_the_highest_index() -> None:
    tested = policy("customers: {highest_index: 9}")
    assert codes(tested.evaluate_derivation(9)) == []
    assert codes(tested.evaluate_derivation(10)) == ["KeyIndexTooHigh"]


def test_the_hash_is_of_the_bytes_so_any_edit_shows() -> None:
    assert Policy(NO_PROOF).digest != Policy(NO_PROOF + b"\n").digest


def test_bundled_policies_say_for_whom_they_are() -> None:
    for name in ("sandbox-bank", "sandbox-central-bank"):
        loaded = bundled(name)
        assert loaded.name == name
        assert loaded.file.summary.startswith("Sandbox")
