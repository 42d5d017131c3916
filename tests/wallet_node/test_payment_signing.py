"""Signing payments: the bytes, the order, the nonces, the caps, and what a refusal leaves behind."""

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from node_builders import (
    CHAIN_ID,
    CONTRACT,
    DOMAIN,
    DOMAIN_NAME,
    INSTITUTION_SECRET,
    NO_PROOF,
    NOW_S,
    SEED,
    STRANGER,
    VALID_BEFORE_S,
    Home,
    batch,
    codes,
    customers,
    known_secrets,
    payment,
    sign,
)

from contracts.typed_data import payment_typed_data
from wallet_node import strict_json
from wallet_node.deployment import Binding, bind
from wallet_node.errors import AlreadyBound, JournalUnavailable, NotBound, WrongDeployment
from wallet_node.keystore.derivation import CUSTOMER_PATH, HARDENED, ExtendedKey
from wallet_node.keystore.signatures import compact, expand
from wallet_node.keystore.software_key import SoftwareKey
from wallet_node.node import WalletNode
from wallet_node.policy.policy import Policy

CAPPED = NO_PROOF.replace(b"day_minor: 500000000000", b"day_minor: 1000")
assert CAPPED != NO_PROOF


def oracle(secret: bytes, asked: dict[str, Any], nonce: int, valid_before_s: int = VALID_BEFORE_S) -> bytes:
    """r and vs by eth-account's generic EIP-712 encoder."""
    payee = bytes.fromhex(asked["payee"][2:])
    message = payment_typed_data(DOMAIN, payee, asked["amount_minor"], nonce, valid_before_s)
    signed = Account.sign_typed_data(secret, full_message=message)
    return signed.r.to_bytes(32) + (signed.s | (signed.v - 27) << 255).to_bytes(32)


def secret_of(index: int) -> bytes:
    return ExtendedKey.from_seed(SEED).descend(CUSTOMER_PATH).child(HARDENED + index).secret


def signature(result: dict[str, Any]) -> bytes:
    return bytes.fromhex(result["signature"][2:])


def bank_address() -> str:
    return "0x" + SoftwareKey(INSTITUTION_SECRET).address.hex()


def stored(home: Home) -> list[Any]:
    """Everything the store holds, to show that nothing changed."""
    connection = home.opened[-1]._store.connection
    tables = (
        "intents",
        "journal",
        "attempts",
        "signers",
        "rolling_spending",
        "derived_keys",
        "deployment",
        "domains",
    )
    return [connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables]


def id_of(asked: dict[str, Any]) -> bytes:
    return uuid.UUID(asked["payment_id"]).bytes


def test_signatures_equal_eth_accounts_also_with_leading_zeros(home: Home) -> None:
    node = home.open()
    payers = customers(node, 4)
    asked = [payment(payers[i % 4], "0x" + f"{i + 1:040x}", i + 1) for i in range(600)]
    results = sign(node, batch(*asked))
    for index, (one, result) in enumerate(zip(asked, results, strict=True)):
        assert result["nonce"] == index // 4
        assert signature(result) == oracle(secret_of(index % 4), one, result["nonce"])
    assert any(signature(result)[0] == 0 for result in results), "no r with a leading zero in this run"
    assert any(signature(result)[32] & 0x7F == 0 for result in results), (
        "no s with a leading zero in this run"
    )


def test_the_largest_values_are_signed_as_they_are(home: Home) -> None:
    node = home.open(NO_PROOF.replace(b"longest_payment_jump: 1000", b"longest_payment_jump: 4294967295"))
    asked = payment(customers(node, 1)[0], "0x" + "ff" * 20, 2**40 - 1, nonce_floor=2**32 - 2)
    result = sign(node, batch(asked))[0]
    assert result["nonce"] == 2**32 - 2
    assert signature(result) == oracle(secret_of(0), asked, 2**32 - 2)
    assert codes(sign(node, batch(payment(asked["payer"])))[0]) == ["NonceExhausted"]


def test_compact_signatures_expand_to_what_they_were() -> None:
    key = SoftwareKey(INSTITUTION_SECRET)
    for number in range(20):
        full = key.sign_digest(number.to_bytes(32))
        assert expand(compact(full)) == full


def test_answers_keep_the_order_and_a_refused_one_touches_no_other(home: Home) -> None:
    node = home.open()
    first, second = customers(node, 2)
    asked = [payment(first), payment(STRANGER), payment(second), payment(first, first), payment(first)]
    results = sign(node, batch(*asked))
    assert [result["payment_id"] for result in results] == [one["payment_id"] for one in asked]
    assert [result.get("nonce") for result in results] == [0, None, 0, None, 1]
    assert codes(results[1]) == ["UnknownPayer"]
    assert codes(results[3]) == ["SelfPayment"]


def test_a_floor_lifts_the_nonce_within_its_bound_and_a_refused_payment_takes_none(home: Home) -> None:
    node = home.open()
    payer = customers(node, 1)[0]
    asked = [
        payment(payer, nonce_floor=10),
        payment(payer, nonce_floor=3),
        payment(payer, nonce_floor=1013),
        payment(payer, nonce_floor=1012),
        payment(payer, amount_minor=0),
        payment(payer),
    ]
    results = sign(node, batch(*asked))
    assert [result.get("nonce") for result in results] == [10, 11, None, 1012, None, 1013]
    assert codes(results[2]) == ["NonceFloorTooFar"]
    assert codes(results[4]) == ["ZeroAmount"]


def test_the_same_request_again_gives_the_same_bytes_and_no_new_row(home: Home) -> None:
    node = home.open()
    payers = customers(node, 3)
    request = batch(*(payment(payers[i % 3]) for i in range(9)), payment(bank_address(), payers[0]))
    first = sign(node, request)
    before = stored(home)
    assert sign(node, request) == first
    assert sign(home.open(), request) == first
    assert stored(home) == before


def test_a_refusal_binds_its_id_for_ever_and_nothing_else(home: Home) -> None:
    node = home.open()
    payer = customers(node, 1)[0]
    asked = payment(payer)
    signed = sign(node, batch(asked))
    before = stored(home)
    refused = [
        payment(STRANGER),
        payment(payer, amount_minor=0),
        payment(payer, payer),
        payment(payer, nonce_floor=100_000),
        payment(bank_address(), STRANGER),
        payment(bank_address(), bank_address()),
    ]
    answers = sign(node, batch(*refused))
    assert node.readiness()["journal_rows"] == 1 + len(refused)
    mended = [one | {"payer": payer, "payee": STRANGER, "amount_minor": 1} for one in refused]
    for restarts in (False, True):
        again = home.open() if restarts else node
        assert sign(again, batch(*refused)) == answers
        assert sign(again, batch(*mended)) == answers
        assert again.readiness()["journal_rows"] == 1 + len(refused), "the same refusal adds no row"
    after = stored(home)
    assert after[2:] == before[2:]
    assert after[0] == sorted(
        [*before[0], *((id_of(one), row, None, None) for row, one in enumerate(refused, 2))]
    )
    assert sign(home.opened[-1], batch(asked)) == signed
    assert sign(home.opened[-1], batch(payment(payer)))[0]["nonce"] == 1


def test_what_else_is_asked_under_a_signed_id_is_written_down_once_and_binds_nothing(home: Home) -> None:
    node = home.open()
    asked = payment(customers(node, 1)[0])
    signed = sign(node, batch(asked))
    others = [asked | {"amount_minor": 101}, asked | {"attempt": 2}, asked | {"amount_minor": 102}]
    expected = [["PaymentIdReused"], ["ValidBeforeNotLater"], ["PaymentIdReused"]]
    assert list(map(codes, sign(node, batch(*others)))) == expected
    for restarts in (False, True):
        again = home.open() if restarts else node
        assert list(map(codes, sign(again, batch(*others)))) == expected
        assert again.readiness()["journal_rows"] == 3
        assert sign(again, batch(asked)) == signed
    later = batch(asked | {"attempt": 2}, valid_before_s=VALID_BEFORE_S + 1)
    assert sign(home.opened[-1], later)[0]["nonce"] == 0


def test_an_id_refused_and_asked_for_twice_in_one_request_has_one_row(home: Home) -> None:
    node = home.open()
    asked = payment(customers(node, 1)[0])
    results = sign(node, batch(asked | {"amount_minor": 0}, asked, asked))
    assert [codes(result) for result in results] == [["ZeroAmount"]] * 3
    assert node.readiness()["journal_rows"] == 1


def test_one_id_twice_in_a_request_takes_one_nonce(home: Home) -> None:
    node = home.open()
    payer = customers(node, 1)[0]
    asked = payment(payer)
    results = sign(node, batch(asked, asked, asked | {"amount_minor": 7}, payment(payer)))
    assert results[0] == results[1]
    assert codes(results[2]) == ["PaymentIdReused"]
    assert results[3]["nonce"] == 1


def test_a_later_attempt_keeps_its_nonce_and_both_attempts_repeat(home: Home) -> None:
    node = home.open()
    payer = customers(node, 1)[0]
    asked = payment(payer)
    first = sign(node, batch(asked))[0]
    sign(node, batch(payment(payer)))
    later = batch(asked | {"attempt": 2}, valid_before_s=VALID_BEFORE_S + 60)
    second = sign(node, later)[0]
    assert second["nonce"] == first["nonce"] == 0
    assert signature(second) == oracle(secret_of(0), asked, 0, VALID_BEFORE_S + 60)
    again = home.open()
    assert sign(again, later)[0] == second
    assert sign(again, batch(asked))[0] == first


def test_two_attempts_of_one_new_payment_come_in_one_request_only_if_the_second_ends_later(
    home: Home,
) -> None:
    node = home.open()
    asked = payment(customers(node, 1)[0])
    results = sign(node, batch(asked, asked | {"attempt": 2}))
    assert results[0]["nonce"] == 0
    assert codes(results[1]) == ["ValidBeforeNotLater"]


def test_an_intent_may_be_seen_first_at_a_later_attempt(home: Home) -> None:
    node = home.open()
    payer = customers(node, 1)[0]
    asked = payment(payer, attempt=3)
    assert sign(node, batch(asked))[0]["nonce"] == 0
    assert codes(sign(node, batch(asked | {"attempt": 2}))[0]) == ["AttemptOutOfOrder"]


def test_every_reason_is_given_at_once(home: Home) -> None:
    node = home.open()
    bank = bank_address()
    request = batch(payment(bank, bank, 0, nonce_floor=5000), valid_before_s=NOW_S + 31 * 86_400)
    assert codes(sign(node, request)[0]) == [
        "ZeroAmount",
        "SelfPayment",
        "ValidBeforeTooFar",
        "NoRuleAllows",
        "NonceFloorTooFar",
    ]


def test_a_signature_may_not_stay_valid_for_too_long(home: Home) -> None:
    node = home.open()
    payer = customers(node, 1)[0]
    month = NOW_S + 30 * 86_400
    asked = payment(payer)
    assert "signature" in sign(node, batch(asked, valid_before_s=month))[0]
    assert codes(sign(node, batch(payment(payer), valid_before_s=month + 1))[0]) == ["ValidBeforeTooFar"]
    assert codes(sign(node, batch(asked | {"attempt": 2}, valid_before_s=month + 1))[0]) == [
        "ValidBeforeTooFar"
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"chain_id": 1},
        {"contract": STRANGER},
        {"domain_name": "Czech koruna "},
        {"domain_name": "czech koruna"},
    ],
)
def test_another_chain_contract_or_domain_is_refused_whole(home: Home, changes: dict[str, Any]) -> None:
    node = home.open()
    with pytest.raises(WrongDeployment):
        sign(node, batch(payment(customers(node, 1)[0]), **changes))


def test_an_unbound_node_signs_nothing_and_needs_no_restart_to_be_bound(tmp_path: Path) -> None:
    path = tmp_path / "unbound"
    path.mkdir(mode=0o700)
    unbound = Home(path)
    node = unbound.open()
    payer = customers(node, 1)[0]
    with pytest.raises(NotBound):
        sign(node, batch(payment(payer)))
    assert not node.readiness()["bound"]
    unbound.bind()
    assert "signature" in sign(node, batch(payment(payer)))[0]
    unbound.close()


def test_a_home_once_bound_refuses_a_changed_binding(home: Home) -> None:
    home.open()
    with pytest.raises(AlreadyBound):
        bind(home.path, Binding(1, CONTRACT, "Czech koruna"))
    (home.path / "binding.json").unlink()
    bind(home.path, Binding(1, CONTRACT, "Czech koruna"))
    with pytest.raises(AlreadyBound):
        home.open()


@pytest.mark.parametrize("notary", [None, STRANGER])
def test_a_home_once_bound_to_a_notary_refuses_another_and_none(home: Home, notary: str | None) -> None:
    home.open()
    (home.path / "binding.json").unlink()
    bind(home.path, Binding(CHAIN_ID, CONTRACT, DOMAIN_NAME, notary))
    with pytest.raises(AlreadyBound):
        home.open()


def test_a_later_attempt_is_judged_by_the_policy_of_today(home: Home) -> None:
    node = home.open()
    payer = customers(node, 1)[0]
    asked = payment(payer)
    first = sign(node, batch(asked))[0]
    stricter = home.open()
    stricter.policy = Policy(NO_PROOF.replace(b"payee: any", b"payee: derived", 1))  # as a change does
    later = batch(asked | {"attempt": 2}, valid_before_s=VALID_BEFORE_S + 1)
    assert codes(sign(stricter, later)[0]) == ["NoRuleAllows"]
    # What was signed already is not unsigned by refusing to repeat it.
    assert sign(stricter, batch(asked))[0] == first


def fund(node: WalletNode, payee: str, *amounts: int) -> list[str]:
    results = sign(node, batch(*(payment(bank_address(), payee, amount) for amount in amounts)))
    return ["signed" if "signature" in result else codes(result)[0] for result in results]


def test_a_daily_cap_counts_within_a_request_and_across_requests(home: Home) -> None:
    node = home.open(CAPPED)
    payee = customers(node, 1)[0]
    assert fund(node, payee, 600, 500, 300) == ["signed", "DailyCapExceeded", "signed"]
    assert fund(node, payee, 101, 100, 1) == ["DailyCapExceeded", "signed", "DailyCapExceeded"]


def test_a_daily_cap_survives_a_restart(home: Home) -> None:
    payee = customers(home.open(CAPPED), 1)[0]
    assert fund(home.opened[-1], payee, 600) == ["signed"]
    assert fund(home.open(CAPPED), payee, 401, 400) == ["DailyCapExceeded", "signed"]


def test_repeating_and_later_attempts_do_not_use_a_cap_again(home: Home) -> None:
    node = home.open(CAPPED)
    payee = customers(node, 1)[0]
    asked = payment(bank_address(), payee, 1000)
    first = sign(node, batch(asked))
    assert sign(node, batch(asked)) == first
    assert "signature" in sign(node, batch(asked | {"attempt": 2}, valid_before_s=VALID_BEFORE_S + 1))[0]


def test_a_daily_cap_lets_go_of_what_is_a_day_past_but_not_when_the_clock_is_set_back(home: Home) -> None:
    node = home.open(CAPPED)
    payee = customers(node, 1)[0]
    assert fund(node, payee, 1000) == ["signed"]
    home.clock.now_s += 86_400
    assert fund(node, payee, 1) == ["DailyCapExceeded"]
    home.clock.now_s += 3_600
    assert fund(node, payee, 1000, 1) == ["signed", "DailyCapExceeded"]
    home.clock.now_s -= 3 * 86_400
    assert fund(node, payee, 1) == ["DailyCapExceeded"]
    assert fund(home.open(CAPPED), payee, 1) == ["DailyCapExceeded"]


def test_funding_a_customer_derived_in_an_earlier_run_is_allowed(home: Home) -> None:
    payees = customers(home.open(), 3)
    assert fund(home.open(), payees[2], 5) == ["signed"]


def test_when_the_journal_cannot_be_written_nothing_is_signed_and_nothing_is_remembered(home: Home) -> None:
    node = home.open(CAPPED)
    payer = customers(node, 1)[0]
    request = batch(payment(payer), payment(bank_address(), payer, 1000))
    node._store.connection.execute("PRAGMA query_only = ON")
    with pytest.raises(JournalUnavailable):
        sign(node, request)
    node._store.connection.execute("PRAGMA query_only = OFF")
    results = sign(node, request)
    assert [result["nonce"] for result in results] == [0, 0]
    assert node.readiness()["journal_rows"] == 2


def test_a_request_of_a_thousand_is_taken_and_one_more_is_not(home: Home) -> None:
    node = home.open()
    payer = customers(node, 1)[0]
    results = sign(node, batch(*(payment(payer) for _ in range(1000))))
    assert [result["nonce"] for result in results] == list(range(1000))
    from wallet_node.errors import MalformedRequest
    from wallet_node.intents.requests import PaymentBatch

    body = json.dumps(batch(*(payment(payer) for _ in range(1001)))).encode()
    with pytest.raises(MalformedRequest):
        strict_json.decode(body, PaymentBatch)


def test_an_id_that_a_transaction_has_cannot_be_a_payments(home: Home) -> None:
    from node_builders import sign_one, transaction

    node = home.open()
    shared = str(uuid.uuid4())
    sign_one(node, transaction("0x" + "a0712d68" + "00" * 32, transaction_id=shared))
    result = sign(node, batch(payment(customers(node, 1)[0], payment_id=shared)))[0]
    assert codes(result) == ["PaymentIdReused"]


def test_known_keys_are_the_ones_that_the_oracle_uses() -> None:
    assert known_secrets().named["institution"].address == SoftwareKey(INSTITUTION_SECRET).address
