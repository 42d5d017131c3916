"""Policy: proofs and their allowance, rolling caps, hours, quorums, and what each rule had to do with it."""

import pytest
from policy_builders import HEAD, MONDAY_8_40_S, NOTHING, PROOFS, WALLET, bundled, call, facts, policy, spent
from policy_builders import officers_text as officers

from contracts.abi import SELECTORS, load_abi, load_artifact
from wallet_node.policy.policy import Decision, Policy

HOUR, DAY = 3_600, 86_400
UNPROVED = """
payments:
  - name: pay
    effect: allow
    payer: derived
    payee: any
    proof: customer
    unproved:
      per_payment_cap_minor: 100
      wallet: {day_minor: 300, week_minor: 900}
      institution: {day_minor: 5000, week_minor: 9000}
"""
LOW_VALUE = policy(PROOFS + UNPROVED)
OF_WALLET, OF_ALL = ("pay/unproved", WALLET), ("pay/unproved", b"")


def codes(decision: Decision) -> list[str]:
    return [refusal.code for refusal in decision.refusals]


# ------------------------------------------------------------------------------------------ proofs


def test_little_is_paid_without_a_proof_and_counts_against_the_wallet_and_the_institution() -> None:
    decision = LOW_VALUE.evaluate_payment(facts(amount_minor=100), NOTHING)
    assert decision == Decision((), (OF_ALL, OF_WALLET))


def test_with_a_proof_any_amount_is_paid_and_no_allowance_is_used() -> None:
    full = spent({OF_WALLET: (300, 900), OF_ALL: (5000, 9000)})
    assert LOW_VALUE.evaluate_payment(facts(amount_minor=10**12, proof=True), full) == Decision(())


@pytest.mark.parametrize(
    ("amount_minor", "used"),
    [
        (101, {}),
        (100, {OF_WALLET: (201, 201)}),
        (100, {OF_WALLET: (0, 801)}),
        (100, {OF_ALL: (4901, 4901)}),
        (100, {OF_ALL: (0, 8901)}),
    ],
    ids=["a payment", "the wallet's day", "the wallet's week", "the institution's day", "its week"],
)
def test_beyond_any_limit_of_the_allowance_a_proof_is_needed(amount_minor: int, used: dict) -> None:
    decision = LOW_VALUE.evaluate_payment(facts(amount_minor=amount_minor), spent(used))
    assert codes(decision) == ["ProofRequired"]
    assert decision.proof_needed
    assert decision.reserves == ()
    less = spent({key: (max(day - 1, 0), max(week - 1, 0)) for key, (day, week) in used.items()})
    assert codes(LOW_VALUE.evaluate_payment(facts(amount_minor=min(amount_minor, 100)), less)) == []


def test_every_limit_that_is_passed_is_said() -> None:
    used = spent({OF_WALLET: (300, 900), OF_ALL: (5000, 9000)})
    assert codes(LOW_VALUE.evaluate_payment(facts(amount_minor=101), used)) == ["ProofRequired"] * 5


def test_without_an_allowance_every_payment_needs_its_proof() -> None:
    strict = policy(
        PROOFS + "payments: [{name: pay, effect: allow, payer: derived, payee: any, proof: customer}]"
    )
    decision = strict.evaluate_payment(facts(amount_minor=1), NOTHING)
    assert (codes(decision), decision.proof_needed) == (["ProofRequired"], True)
    assert strict.evaluate_payment(facts(amount_minor=1, proof=True), NOTHING) == Decision(())


def test_a_later_attempt_needs_no_proof_again_and_counts_nothing() -> None:
    full = spent({OF_WALLET: (300, 900), OF_ALL: (5000, 9000)})
    assert LOW_VALUE.evaluate_payment(facts(amount_minor=10**9, first=False), full) == Decision(())


def test_a_proof_lifts_no_deny_rule_and_no_cap() -> None:
    tested = policy(
        PROOFS + "payments: [{name: a, effect: allow, payer: derived, payee: any, proof: customer,"
        " per_payment_cap_minor: 50, caps: {day_minor: 60}},"
        " {name: b, effect: deny, payer: derived, payee: other, code: NotThere}]"
    )
    decision = tested.evaluate_payment(facts(amount_minor=70, proof=True), NOTHING)
    assert codes(decision) == ["PerPaymentCapExceeded", "DailyCapExceeded", "NotThere"]
    assert not decision.proof_needed


def test_one_rule_that_asks_for_no_proof_does_not_excuse_from_another_that_does() -> None:
    tested = policy(
        officers() + "quorums: [{name: two, approvals: 2, officers: [first-officer, second-officer],"
        " valid_s: 600}]\n" + PROOFS + "payments: [{name: a, effect: allow, payer: derived, payee: any,"
        " quorum: two}, {name: b, effect: allow, payer: derived, payee: any, proof: customer}]"
    )
    assert codes(tested.evaluate_payment(facts(), NOTHING)) == ["ProofRequired"]
    assert tested.evaluate_payment(facts(proof=True), NOTHING) == Decision((), quorum="two")


def test_an_intent_that_no_rule_names_is_refused() -> None:
    for intent in ("fan_out", "permit", "authorization", "account_move"):
        assert codes(LOW_VALUE.evaluate_payment(facts(intent=intent), NOTHING)) == ["NoRuleAllows"]
    fan_outs = policy("payments: [{name: f, effect: allow, payer: any, payee: any, intents: [fan_out]}]")
    assert codes(fan_outs.evaluate_payment(facts(intent="fan_out"), NOTHING)) == []
    assert codes(fan_outs.evaluate_payment(facts(), NOTHING)) == ["NoRuleAllows"]


# ------------------------------------------------------------------------------------------ rolling caps


def test_each_cap_has_its_own_code_and_is_filled_to_the_last_unit() -> None:
    tested = policy(
        "payments: [{name: f, effect: allow, payer: any, payee: any,"
        " caps: {day_minor: 50, week_minor: 80, wallet: {day_minor: 20, week_minor: 30}}}]"
    )
    everything = spent({("f", b""): (50, 80), ("f", WALLET): (20, 30)})
    assert codes(tested.evaluate_payment(facts(amount_minor=1), everything)) == [
        "DailyCapExceeded",
        "WeeklyCapExceeded",
        "WalletDailyCapExceeded",
        "WalletWeeklyCapExceeded",
    ]
    room = spent({("f", b""): (49, 79), ("f", WALLET): (19, 29)})
    assert tested.evaluate_payment(facts(amount_minor=1), room) == Decision((), (("f", b""), ("f", WALLET)))
    assert tested.payment_caps("derived") == ((("f", b""),), ("f",))


def test_spending_that_was_not_loaded_is_a_mistake_and_not_zero() -> None:
    with pytest.raises(KeyError):
        LOW_VALUE.evaluate_payment(facts(), {})


def test_what_a_call_moves_is_capped_and_must_be_known() -> None:
    tested = policy(
        "transactions: [{name: burning, effect: allow, key: institution, to: currency,"
        " calls: [burn(uint256)], per_call_cap_minor: 10, caps: {day_minor: 15, week_minor: 18}}]"
    )
    key = ("burning", b"")
    assert tested.transaction_caps("institution") == (key,)

    def decided(amount: int | None, day: int = 0, week: int = 0, *, first: bool = True) -> Decision:
        changes = {"amount_minor": amount, "is_first_signature": first}
        return tested.evaluate_transaction(
            call("institution", "burn(uint256)", **changes), spent({key: (day, week)})
        )

    assert decided(10, 5, 8) == Decision((), (key,))
    assert codes(decided(11)) == ["PerCallCapExceeded"]
    assert codes(decided(10, 6, 8)) == ["DailyCapExceeded"]
    assert codes(decided(10, 5, 9)) == ["WeeklyCapExceeded"]
    assert codes(decided(None)) == ["AmountUnknown"]
    assert decided(10, 15, 18, first=False) == Decision(())


# ------------------------------------------------------------------------------------------ hours


OFFICE = "hours: [{days: [mon, tue], from: 8, to: 17}, {days: [sat], from: 0, to: 1}]"
OFFICE_ONLY = f"payments: [{{name: o, effect: allow, payer: any, payee: any, {OFFICE}}}]"
MONDAY_S = MONDAY_8_40_S - 8 * HOUR - 40 * 60


@pytest.mark.parametrize(
    ("after_monday_s", "is_open"),
    [
        (8 * HOUR, True),
        (8 * HOUR - 1, False),
        (17 * HOUR - 1, True),
        (17 * HOUR, False),
        (DAY + 9 * HOUR, True),
        (2 * DAY + 9 * HOUR, False),
        (5 * DAY, True),
        (5 * DAY + HOUR, False),
        (6 * DAY + 9 * HOUR, False),
        (7 * DAY + 9 * HOUR, True),
    ],
)
def test_a_rule_speaks_at_its_hours_only(after_monday_s: int, is_open: bool) -> None:
    decision = policy(OFFICE_ONLY).evaluate_payment(facts(now_s=MONDAY_S + after_monday_s), NOTHING)
    assert codes(decision) == ([] if is_open else ["OutsideHours"])
    calls = policy(
        "transactions: [{name: o, effect: allow, key: k, to: currency, calls: [pause()], " + OFFICE + "}]"
    )
    decided = calls.evaluate_transaction(call("k", "pause()", now_s=MONDAY_S + after_monday_s), NOTHING)
    assert codes(decided) == ([] if is_open else ["OutsideHours"])


def test_a_rule_for_the_night_allows_what_one_for_the_day_does_not() -> None:
    tested = policy(
        "payments: [{name: day, effect: allow, payer: any, payee: any, hours: [{from: 6, to: 22}]},"
        " {name: late, effect: allow, payer: any, payee: any, per_payment_cap_minor: 10,"
        " hours: [{from: 22, to: 24}, {from: 0, to: 6}]}]"
    )
    assert codes(tested.evaluate_payment(facts(amount_minor=11), NOTHING)) == []
    at_night = facts(amount_minor=11, now_s=MONDAY_S + 23 * HOUR)
    assert codes(tested.evaluate_payment(at_night, NOTHING)) == ["PerPaymentCapExceeded"]


def test_a_deny_rule_with_hours_denies_at_these_hours() -> None:
    tested = policy(
        "payments: [{name: a, effect: allow, payer: any, payee: any},"
        " {name: n, effect: deny, payer: any, payee: any, hours: [{days: [mon], from: 8, to: 9}]}]"
    )
    assert codes(tested.evaluate_payment(facts(), NOTHING)) == ["DeniedByRule"]
    assert codes(tested.evaluate_payment(facts(now_s=MONDAY_8_40_S + HOUR), NOTHING)) == []


# ------------------------------------------------------------------------------------------ quorums


def test_what_is_allowed_waits_for_its_quorum_and_what_is_refused_does_not() -> None:
    central = bundled("sandbox-central-bank")
    allowed = central.evaluate_transaction(call("issuer", "increaseMintAllowance(uint16,uint256)"), NOTHING)
    assert allowed == Decision((), quorum="officers")
    refused = central.evaluate_transaction(
        call("issuer", "increaseMintAllowance(uint16,uint256)", value_wei=1), NOTHING
    )
    assert (codes(refused), refused.quorum) == (["ValueNotAllowed"], None)


def test_higher_fees_for_what_was_approved_need_no_second_approval() -> None:
    repeated = call("issuer", "increaseMintAllowance(uint16,uint256)", is_first_signature=False)
    assert bundled("sandbox-central-bank").evaluate_transaction(repeated, NOTHING) == Decision(())


# ------------------------------------------------------------------------------------------ explained


def test_explained_every_rule_has_its_part_and_the_decision_is_the_same() -> None:
    tested = policy(
        PROOFS + UNPROVED + "  - {name: funding, effect: allow, payer: institution, payee: derived}\n"
        "  - {name: never, effect: deny, payer: derived, payee: other, code: NotThere}\n"
        "  - {name: sundays, effect: deny, payer: any, payee: any, hours: [{days: [sun], from: 0, to: 24}]}"
    )
    asked = facts(amount_minor=101)
    plain, explained = (tested.evaluate_payment(asked, NOTHING, explain=each) for each in (False, True))
    assert (explained.refusals, plain.parts) == (plain.refusals, ())
    assert [(part.rule, part.outcome) for part in explained.parts] == [
        ("pay", "refused"),
        ("funding", "no match"),
        ("never", "denied"),
        ("sundays", "no match"),
    ]
    because = [part.because for part in explained.parts]
    assert because[0][0].startswith("ProofRequired: 101 is above 100")
    assert because[1] == ("the payer is derived, not institution", "the payee is other, not derived")
    assert because[3] == ("it speaks of sun 00:00-24:00 UTC",)


# ------------------------------------------------------------------------------------------ bundled


def state_changing(*contracts: str) -> set[str]:
    """Every function that changes state, by its signature."""
    found = set()
    for contract in contracts:
        identifiers = load_artifact(contract)["methodIdentifiers"]
        changing = [
            entry["name"]
            for entry in load_abi(contract)
            if entry["type"] == "function" and entry["stateMutability"] not in ("view", "pure")
        ]
        found |= {signature for signature in identifiers if signature.split("(")[0] in changing}
    return found


CURRENCY_CALLS = state_changing("DigitalCurrency", "Administration")
BANK = {
    "settle(bytes,uint64)",
    "settleGrouped(bytes,uint64)",
    "settleFanOut(bytes,uint32,uint64,bytes32,bytes32)",
    "register(address[],uint8,uint24)",
    "mint(uint256)",
    "burn(uint256)",
}
UNDER_QUORUM = {
    "governor": {
        "cancelUpgrade()",
        "setParticipant(uint16,address,uint8,uint256)",
        "setSystemAccount(address,uint8)",
        "setTier(uint8,uint96,uint64,uint64)",
        "suspendParticipant(uint16)",
        "reinstateParticipant(uint16)",
        "registerOrder(bytes32,address,uint96,uint64)",
        "revokeOrder(bytes32)",
        "release(bytes32,address,uint96)",
        "unfreeze(bytes32,address)",
    },
    "issuer": {"increaseMintAllowance(uint16,uint256)", "decreaseMintAllowance(uint16,uint256)"},
    "pauser": {"unpause()"},
    "upgrader": {"proposeUpgrade(address,bytes)", "upgradeToAndCall(address,bytes)"},
}
HAND_OVER = {"offerRole(bytes32,address)", "acceptRole(bytes32)"}
CENTRAL_BANK_POLICY, BANK_POLICY = "sandbox-central-bank", "sandbox-bank"


def outcome(loaded: Policy, key: str, signature: str, target: str) -> str:
    decision = loaded.evaluate_transaction(call(key, signature, target=target, amount_minor=0), NOTHING)
    if decision.refusals:
        return codes(decision)[0]
    return "allowed" if decision.quorum is None else decision.quorum


def test_there_are_functions_to_walk() -> None:
    assert len(CURRENCY_CALLS) > 30
    assert SELECTORS.keys() >= CURRENCY_CALLS


@pytest.mark.parametrize("signature", sorted(CURRENCY_CALLS))
def test_the_bank_policy_allows_or_denies_every_function_of_the_currency_by_name(signature: str) -> None:
    found = outcome(bundled(BANK_POLICY), "institution", signature, "currency")
    expected = ("allowed",) if signature in BANK else ("CentralBankOnly", "NotInTheBooks", "NeverAgain")
    assert found in expected


@pytest.mark.parametrize("signature", sorted(CURRENCY_CALLS))
def test_the_central_bank_policy_knows_every_function_of_the_currency_by_name(signature: str) -> None:
    found = {key: outcome(bundled(CENTRAL_BANK_POLICY), key, signature, "currency") for key in UNDER_QUORUM}
    named = {"AuthorityOnly", "CentralBankMovesNoMoney", "NeverAgain"}
    for key, calls in UNDER_QUORUM.items():
        if signature in calls | HAND_OVER:
            assert found[key] == "officers"
        elif (key, signature) == ("pauser", "pause()"):
            assert found[key] == "allowed"
        else:
            assert found[key] in {"NoRuleAllows", *named}
    assert named & set(found.values()) or {"officers", "allowed"} & set(found.values())


@pytest.mark.parametrize("signature", sorted(state_changing("Settlement")))
@pytest.mark.parametrize("name", [BANK_POLICY, CENTRAL_BANK_POLICY])
def test_every_function_of_the_settlement_is_denied_by_name(name: str, signature: str) -> None:
    for key in ("institution", *UNDER_QUORUM):
        assert outcome(bundled(name), key, signature, "other") in ("NotInTheBooks", "SettlementNotServed")


@pytest.mark.parametrize("name", [BANK_POLICY, CENTRAL_BANK_POLICY])
def test_of_the_notary_one_key_anchors_and_that_is_all_that_changes_it(name: str) -> None:
    (anchor,) = state_changing("Notary")
    found = {
        key
        for key in ("institution", *UNDER_QUORUM)
        if outcome(bundled(name), key, anchor, "notary") == "allowed"
    }
    assert found == {"institution" if name == BANK_POLICY else "issuer"}


def test_in_the_bank_policy_little_passes_without_a_proof_and_nothing_leaves_for_others() -> None:
    bank = bundled(BANK_POLICY)
    assert codes(bank.evaluate_payment(facts(amount_minor=50_000), NOTHING)) == []
    assert codes(bank.evaluate_payment(facts(amount_minor=50_001), NOTHING)) == ["ProofRequired"]
    assert codes(bank.evaluate_payment(facts(amount_minor=10**9, proof=True), NOTHING)) == []
    assert codes(bank.evaluate_payment(facts("institution", "derived", 10**9), NOTHING)) == []
    assert "PayeeNotOwnCustomer" in codes(bank.evaluate_payment(facts("institution", "other"), NOTHING))
    for intent in ("permit", "authorization", "account_move"):
        assert codes(bank.evaluate_payment(facts(intent=intent, proof=True), NOTHING)) == ["NoRuleAllows"]
    full = spent({("customers-pay/unproved", b""): (100_000_000, 100_000_000)})
    assert codes(bank.evaluate_payment(facts(amount_minor=1), full)) == ["ProofRequired"]


def test_the_head_of_a_test_policy_allows_nothing() -> None:
    assert Policy(HEAD.encode()).ledgers == ()
