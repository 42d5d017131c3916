"""A policy file that could be misread, or is weaker than it looks, is refused, and the error says where."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from node_builders import POLICIES
from policy_builders import HEAD, OFFICERS, PROOFS, bundled, officers, officers_text, public_text

from wallet_node.errors import MalformedPolicy
from wallet_node.policy.file import Credential, Officer
from wallet_node.policy.policy import Policy
from wallet_node.policy.reading import LARGEST_POLICY_BYTES
from wallet_node.policy.template import complete

RULE = "{name: a, effect: allow, payer: derived, payee: any%s}"
CALL = "{name: a, effect: allow, key: issuer, to: currency, calls: [pause()]%s}"
ALL = "{name: all, approvals: 3, officers: [first-officer, second-officer, third-officer], valid_s: 60}"
SECOND_CALL = CALL.replace("name: a", "name: b")
OF_PASSKEY = "officers: [{name: a, credential: {credential_id: AAAA, algorithm: -7, public_key: %s}}]"
QUORUM = "quorums: [{name: two, approvals: 2, officers: [first-officer, second-officer], valid_s: 600}]\n"
GENERATOR = (
    "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li_hp_m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q"  # P-256's G
)


def payments(extra: str = "", rule: str = RULE) -> str:
    return f"payments: [{rule % extra}]"


def calls(extra: str = "", rule: str = CALL) -> str:
    return f"transactions: [{rule % extra}]"


UNPROVED = ", proof: customer, unproved: {per_payment_cap_minor: %s, wallet: {%s}, institution: {%s}}"

REFUSED = {
    "empty": ("", "a policy is a mapping"),
    "a list": ("[]", "a policy is a mapping"),
    "too little": ("name: x", "missing required field `version`"),
    "an unknown field": (HEAD + "unknown: 1", "the policy: Object contains unknown field `unknown`"),
    "a field twice": (HEAD + "version: 2", "the field 'version' is there twice"),
    "a rule's field twice": (HEAD + payments(", payee: any"), "the field 'payee' is there twice"),
    "true for 1": (
        HEAD.replace("version: 1", "version: true"),
        "field 'version': Expected `int`, got `bool`",
    ),
    "1.0": (HEAD.replace("version: 1", "version: 1.0"), "field 'version': Expected `int`"),
    "octal": (HEAD.replace("600", "0600"), "'0600' is not a plain decimal integer"),
    "hexadecimal": (HEAD.replace("600", "0x10"), "'0x10' is not a plain decimal integer"),
    "sexagesimal": (HEAD.replace("600", "10:00"), "'10:00' is not a plain decimal integer"),
    "negative": (HEAD.replace("600", "-1"), "field 'longest_validity_s'"),
    "an effect": (
        HEAD + "payments: [{name: a, effect: maybe, payer: any, payee: any}]",
        "'a' (number 1), field 'effect': Invalid enum value 'maybe'; allowed: allow, deny",
    ),
    "no payee": (HEAD + "payments: [{name: a, effect: allow, payer: any}]", "missing required field `payee`"),
    "a rule's unknown field": (
        HEAD + payments(", cap: 1"),
        "'a' (number 1): Object contains unknown field `cap`; allowed: the fields name",
    ),
    "an intent": (
        HEAD + payments(", intents: [gift]"),
        "field 'intents', number 1: Invalid enum value 'gift'; allowed: account_move",
    ),
    "no intent": (HEAD + payments(", intents: []"), "field 'intents': lists none"),
    "a rule's name": (
        HEAD + "payments: [{name: A b, effect: allow, payer: any, payee: any}]",
        "field 'name'",
    ),
    "two rules of one name": (HEAD + f"payments: [{RULE % ''}, {RULE % ''}]", "rules: 'a' is there twice"),
    "a payer of another node": (HEAD + payments().replace("derived", "other"), "field 'payer'"),
    "a call's form": (HEAD + calls().replace("pause()", "mint"), "field 'calls', number 1"),
    "no call": (HEAD + calls().replace("pause()", ""), "field 'calls': lists no call"),
    "a call twice": (HEAD + calls().replace("pause()", "pause(), pause()"), "'pause()' is there twice"),
    "any contract": (HEAD + calls().replace("currency", "any"), "field 'to': 'any' lets a key call whatever"),
    "another contract": (HEAD + calls().replace("currency", "other"), "field 'to': 'other' lets a key call"),
    "a code that is not used": (
        HEAD + payments(", code: NotThere"),
        "field 'code': only a deny rule has one",
    ),
    "a deny rule's cap": (
        HEAD + payments(", caps: {day_minor: 1}").replace("allow", "deny"),
        "field 'caps': only an allow rule can have it",
    ),
    "a deny rule's quorum": (
        HEAD + calls(", quorum: two").replace("allow", "deny"),
        "field 'quorum': only an allow rule can have it",
    ),
    "a cap of nothing": (HEAD + payments(", caps: {}"), "field 'caps': caps nothing"),
    "a wallet's cap of nothing": (
        HEAD + payments(", caps: {wallet: {}}"),
        "field 'caps.wallet': caps nothing",
    ),
    "a day above its week": (
        HEAD + payments(", caps: {day_minor: 2, week_minor: 1}"),
        "a day's 2 is above a week's 1",
    ),
    "no hours": (HEAD + payments(", hours: []"), "field 'hours': lists none"),
    "a night": (HEAD + payments(", hours: [{from: 22, to: 6}]"), "a night is two windows"),
    "hour 25": (HEAD + payments(", hours: [{from: 7, to: 25}]"), "field 'to': Expected `int` <= 24"),
    "half past": (HEAD + payments(", hours: [{from: 7:30, to: 8}]"), "'7:30' is not a plain decimal integer"),
    "a day": (HEAD + payments(", hours: [{from: 7, to: 8, days: [monday]}]"), "allowed: fri, mon, sat"),
    "a day twice": (HEAD + payments(", hours: [{from: 7, to: 8, days: [mon, mon]}]"), "'mon' is there twice"),
    "no days": (HEAD + payments(", hours: [{from: 7, to: 8, days: []}]"), "a window has no days"),
    "a proof without a site": (HEAD + payments(", proof: customer"), "needs the policy's 'customer_proof'"),
    "a proof of the bank": (
        HEAD + PROOFS + payments(", proof: customer").replace("derived", "institution"),
        "field 'proof': only a payer who is 'derived'",
    ),
    "a proof of anybody": (
        HEAD + PROOFS + payments(", proof: customer").replace("derived", "any"),
        "field 'proof': only a payer who is 'derived'",
    ),
    "customers without proof": (HEAD + PROOFS + payments(), "lets customers' keys sign without their proof"),
    "anybody without proof": (
        HEAD + PROOFS + payments().replace("derived", "any"),
        "lets customers' keys sign",
    ),
    "an allowance without proof": (
        HEAD + payments(UNPROVED % (1, "day_minor: 1", "day_minor: 1")).replace(", proof: customer", ""),
        "field 'unproved': is an allowance beside",
    ),
    "an allowance without an institution's cap": (
        HEAD + PROOFS + payments(UNPROVED % (1, "day_minor: 1", "")),
        "field 'unproved.institution': needs a 'day_minor'",
    ),
    "an allowance without a wallet's cap": (
        HEAD + PROOFS + payments(UNPROVED % (1, "week_minor: 1", "day_minor: 1")),
        "field 'unproved.wallet': needs a 'day_minor'",
    ),
    "an allowance without either": (
        HEAD
        + PROOFS
        + payments(", proof: customer, unproved: {per_payment_cap_minor: 1, wallet: {day_minor: 1}}"),
        "missing required field `institution`",
    ),
    "an allowance of large payments": (
        HEAD + PROOFS + payments(UNPROVED % (3, "day_minor: 2", "day_minor: 9")),
        "a day allows less than one payment",
    ),
    "a wallet above all": (
        HEAD + PROOFS + payments(UNPROVED % (1, "day_minor: 9", "day_minor: 2")),
        "one wallet may spend more than the whole",
    ),
    "an unknown quorum": (
        HEAD + calls(", quorum: two"),
        "transactions rule 'a', field 'quorum': there is no quorum 'two'",
    ),
    "an unknown officer": (
        HEAD + QUORUM,
        "quorum 'two', field 'officers': there is no officer 'first-officer'",
    ),
    "a quorum above its officers": (
        HEAD + officers_text() + QUORUM.replace("approvals: 2", "approvals: 3"),
        "field 'approvals': 3 are more than its officers",
    ),
    "a quorum of nobody": (HEAD + QUORUM.replace("approvals: 2", "approvals: 0"), "field 'approvals'"),
    "an officer counted twice": (
        HEAD + officers_text() + QUORUM.replace("second", "first"),
        "'first-officer' is there twice",
    ),
    "one key for two officers": (
        HEAD + officers_text().replace(public_text("second-officer"), public_text("first-officer")),
        "has the key of 'first-officer'",
    ),
    "an officer without a key": (HEAD + "officers: [{name: a}]", "officer 'a': has either a key"),
    "an officer's bad key": (HEAD + 'officers: [{name: a, key: "ed25519:AAAA"}]', "field 'key'"),
    "a passkey without a site": (
        HEAD + OF_PASSKEY % GENERATOR,
        "so the policy needs 'customer_proof'",
    ),
    "a point off the curve": (
        HEAD + PROOFS + OF_PASSKEY % ("A" * 86),
        "is no point of P-256",
    ),
    "a passkey's length": (
        HEAD
        + PROOFS
        + "officers: [{name: a, credential: {credential_id: AAAA, algorithm: -8, public_key: AAAA}}]",
        "has 3 bytes; allowed: 32",
    ),
    "a change by an unknown quorum": (
        HEAD + "changes: {policy: two}",
        "changes, field 'policy': there is no quorum 'two'",
    ),
    "a change by one officer": (
        HEAD + officers_text() + QUORUM.replace("approvals: 2", "approvals: 1") + "changes: {policy: two}",
        "needs at least 2",
    ),
    "a change by fewer than a rule": (
        HEAD
        + officers_text()
        + QUORUM.replace(
            "}]",
            f"}}, {ALL}]",
        )
        + "changes: {policy: two}\n"
        + calls(", quorum: all"),
        "needs at least 3",
    ),
    "two quorums for one thing": (
        HEAD
        + officers_text()
        + QUORUM.replace("}]", "}, {name: one, approvals: 1, officers: [third-officer], valid_s: 60}]")
        + f"transactions: [{CALL % ', quorum: one'}, {SECOND_CALL % ', quorum: two'}]",
        "rules 'a' and 'b', field 'quorum'",
    ),
    "an alias": (HEAD + "summary2: &x 1", "anchors and aliases are not allowed"),
    "a merge": (HEAD + "<<: {a: 1}", "a field's name is plain text"),
    "a number for a field": (HEAD + "1: 2", "a field's name is plain text"),
    "an object": (HEAD + "customers: !!python/object/apply:os.system ['true']", "not acceptable YAML"),
    "broken": (HEAD + "{", "not acceptable YAML"),
    "deep": ("[" * 20_000, "nested too deeply"),
    "deeper than a policy": ("[" * 22 + "]" * 22, "nested too deeply"),
    "a long number": (HEAD.replace("600", "9" * 5_000), "not acceptable YAML"),
    "too large": (HEAD + "#" * LARGEST_POLICY_BYTES, "at most 65536 bytes"),
}


@pytest.mark.parametrize(("source", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_a_file_that_is_wrong_is_refused_and_the_error_says_where(source: str, said: str) -> None:
    with pytest.raises(MalformedPolicy) as refused:
        Policy(source.encode())
    assert said in refused.value.detail


@given(st.binary(max_size=200))
def test_whatever_is_read_is_a_policy_or_malformed(source: bytes) -> None:
    with pytest.raises(MalformedPolicy):
        Policy(source)


@given(st.integers(0, len(HEAD)), st.sampled_from([b"\x00", b":", b"{", b"]", b"&", b"\xff", b"- ", b"\t"]))
def test_a_file_with_any_character_more_is_a_policy_or_malformed(at: int, more: bytes) -> None:
    source = HEAD.encode()
    try:
        Policy(source[:at] + more + source[at:])
    except MalformedPolicy:
        return


def test_a_passkey_on_the_curve_is_taken() -> None:
    credential = f"{{credential_id: AAAA, algorithm: -7, public_key: {GENERATOR}}}"
    Policy((HEAD + PROOFS + f"officers: [{{name: a, credential: {credential}}}]").encode())


def test_the_hash_is_of_the_bytes_so_a_comment_shows() -> None:
    assert Policy(HEAD.encode()).digest != Policy((HEAD + "# more\n").encode()).digest


@pytest.mark.parametrize("name", ["sandbox-bank", "sandbox-central-bank"])
def test_a_template_is_complete_with_its_officers_and_not_before(name: str) -> None:
    template = POLICIES.joinpath(f"{name}.yaml").read_bytes()
    with pytest.raises(MalformedPolicy, match="a template is completed with officers first"):
        Policy(template)
    completed = complete(template, officers())
    assert completed == complete(template, officers())
    assert completed.startswith(template.rstrip())
    assert [officer.name for officer in Policy(completed).file.officers] == list(OFFICERS)
    with pytest.raises(MalformedPolicy, match="officers already"):
        complete(completed, officers())
    with pytest.raises(MalformedPolicy, match="no officer 'third-officer'"):
        complete(template, officers(*OFFICERS[:2]))


def test_a_template_takes_officers_with_passkeys() -> None:
    template = POLICIES.joinpath("sandbox-bank.yaml").read_bytes()
    key = base64.urlsafe_b64encode(bytes(range(32))).rstrip(b"=").decode()
    passkey = Officer(OFFICERS[0], credential=Credential("AAAA", -8, key))
    loaded = Policy(complete(template, [passkey, *officers(*OFFICERS[1:])]))
    assert loaded.file.officer(OFFICERS[0]) == passkey


def test_the_bundled_policies_let_two_of_three_officers_change_them() -> None:
    for name in ("sandbox-bank", "sandbox-central-bank"):
        file = bundled(name).file
        quorum = file.quorum(file.changes.policy or "")
        assert quorum is not None
        assert (quorum.approvals, len(quorum.officers)) == (2, 3)
