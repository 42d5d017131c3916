"""The HTTP interface, as a caller meets it; uvicorn's part is played by the test (ASGI)."""

import json
from typing import Any

import pytest
from http_calls import call
from node_builders import NO_QUORUM, Home, batch, customers, payment, transaction

from wallet_node.journal.verification import verify
from wallet_node.transport.limits import body_bytes
from wallet_node.transport.routes import Application

MINT = "0xa0712d68" + "00" * 32


GOOD = batch(payment("0x" + "01" * 20))


def with_payment(**changes: Any) -> bytes:
    return json.dumps(GOOD | {"payments": [GOOD["payments"][0] | changes]}).encode()


def with_text(field: str, text: str) -> bytes:
    """The good request with one number written in another way."""
    whole = json.dumps(GOOD)
    before = f'"{field}": {GOOD.get(field, GOOD["payments"][0].get(field))}'
    assert whole.count(before) == 1
    return whole.replace(before, f'"{field}": {text}').encode()


MALFORMED: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{",
    "an array": b"[]",
    "null": b"null",
    "a number": b"1",
    "two documents": json.dumps(GOOD).encode() * 2,
    "trailing text": json.dumps(GOOD).encode() + b"x",
    "a byte order mark": b"\xef\xbb\xbf" + json.dumps(GOOD).encode(),
    "invalid UTF-8": json.dumps(GOOD).encode().replace(b"Czech", b"\xff\xfe"),
    "UTF-16": json.dumps(GOOD).encode("utf-16"),
    "deep nesting": b"[" * 200_000,
    "deep nesting in a field": json.dumps(GOOD).encode().replace(b"100,", b"[" * 100_000 + b",", 1),
    "an unknown field": json.dumps(GOOD | {"extra": 1}).encode(),
    "an unknown field in a payment": with_payment(extra=1),
    "a missing field": json.dumps({key: GOOD[key] for key in GOOD if key != "chain_id"}).encode(),
    "a repeated key": json.dumps(GOOD).encode().replace(b'{"chain_id"', b'{"chain_id": 1, "chain_id"', 1),
    "a repeated key in a payment": with_payment().replace(b'"attempt"', b'"amount_minor": 1, "attempt"', 1),
    "no payments": json.dumps(GOOD | {"payments": []}).encode(),
    "payments as an object": json.dumps(GOOD | {"payments": {}}).encode(),
    "an amount as a fraction": with_text("amount_minor", "100.0"),
    "an amount with an exponent": with_text("amount_minor", "1e2"),
    "an amount with a capital exponent": with_text("amount_minor", "1E2"),
    "an amount of minus zero": with_text("amount_minor", "-0"),
    "an amount with a leading zero": with_text("amount_minor", "0100"),
    "an amount with a sign": with_text("amount_minor", "+100"),
    "an amount as text": with_text("amount_minor", '"100"'),
    "an amount as true": with_text("amount_minor", "true"),
    "an amount as null": with_text("amount_minor", "null"),
    "an amount as NaN": with_text("amount_minor", "NaN"),
    "an amount as Infinity": with_text("amount_minor", "Infinity"),
    "an amount below zero": with_text("amount_minor", "-1"),
    "an amount of more than five bytes": with_text("amount_minor", str(2**40)),
    "an amount of five thousand digits": with_text("amount_minor", "9" * 5000),
    "an attempt of zero": with_text("attempt", "0"),
    "a floor of more than four bytes": with_text("nonce_floor", str(2**32)),
    "a floor below zero": with_text("nonce_floor", "-1"),
    "a validity of zero": with_text("valid_before_s", "0"),
    "a validity beyond reason": with_text("valid_before_s", str(2**64)),
    "a chain id beyond reason": with_text("chain_id", str(2**64)),
    "a short address": with_payment(payee="0x" + "01" * 19),
    "a long address": with_payment(payee="0x" + "01" * 21),
    "an address without prefix": with_payment(payee="01" * 20),
    "an address with a capital prefix": with_payment(payee="0X" + "01" * 20),
    "an address that is not hex": with_payment(payee="0x" + "zz" * 20),
    "an address and a newline": with_payment(payee="0x" + "01" * 20 + "\n"),
    "an address in wide digits": with_payment(payee="0x" + "０１" * 20),
    "a list as an address": with_payment(payer=["0x" + "01" * 20]),
    "an id in capitals": with_payment(payment_id=GOOD["payments"][0]["payment_id"].upper()),
    "an id without hyphens": with_payment(payment_id="0" * 32),
    "an id in braces": with_payment(payment_id="{" + GOOD["payments"][0]["payment_id"] + "}"),
    "an id and a newline": with_payment(payment_id=GOOD["payments"][0]["payment_id"] + "\n"),
    "an empty domain name": json.dumps(GOOD | {"domain_name": ""}).encode(),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_payments_request_is_refused_whole_and_nothing_is_journaled(
    home: Home, body: bytes
) -> None:
    node = home.open()
    status, content_type, problem = await call(node, "POST", "/v1/payments:sign", body)
    assert (status, content_type) == (400, "application/problem+json")
    assert problem["code"] == problem["title"] == "MalformedRequest"
    assert problem["detail"].isascii()
    assert node.readiness()["journal_rows"] == 0


async def test_a_lone_surrogate_cannot_break_the_answer(home: Home) -> None:
    node = home.open()
    body = json.dumps(GOOD | {"domain_name": "X"}).replace('"X"', '"\\ud800"').encode()
    status, _, problem = await call(node, "POST", "/v1/payments:sign", body)
    assert (status, problem["code"]) in {(403, "WrongDeployment"), (400, "MalformedRequest")}


@pytest.mark.parametrize(
    "changes",
    [
        {"transaction_id": "1"},
        {"key": "Institution"},
        {"key": "institution\n"},
        {"key": "../seed"},
        {"to": None},
        {"to": ""},
        {"value": -1},
        {"value": 2**63},
        {"value": "0"},
        {"data": ""},
        {"data": "0x1"},
        {"data": "0xzz"},
        {"data": "a0712d68"},
        {"gas": 20_999},
        {"gas": True},
        {"max_fee_per_gas": 2**63},
        {"max_priority_fee_per_gas": -1},
        {"nonce_floor": 2**63},
        {"access_list": []},
        {"nonce": 1},
    ],
    ids=str,
)
async def test_a_malformed_transaction_is_refused(home: Home, changes: dict[str, Any]) -> None:
    node = home.open()
    body = json.dumps(transaction(MINT) | changes).encode()
    status, _, problem = await call(node, "POST", "/v1/transactions:sign", body)
    assert (status, problem["code"]) == (400, "MalformedRequest")


@pytest.mark.parametrize(
    "body",
    [{}, {"indices": []}, {"indices": [-1]}, {"indices": [2**31]}, {"indices": [True]}, {"indices": ["1"]}],
)
async def test_a_malformed_derivation_is_refused(home: Home, body: dict[str, Any]) -> None:
    status, _, problem = await call(home.open(), "POST", "/v1/keys:derive", json.dumps(body).encode())
    assert (status, problem["code"]) == (400, "MalformedRequest")


async def test_a_body_may_come_in_parts_and_may_not_be_too_large(home: Home) -> None:
    node = home.open()
    payer = customers(node, 1)[0]
    body = json.dumps(batch(payment(payer))).encode()
    status, _, answer = await call(node, "POST", "/v1/payments:sign", body[:50], body[50:51], body[51:])
    assert (status, answer["results"][0]["nonce"]) == (200, 0)
    part = b" " * (body_bytes("sign-payments") // 2 + 1)
    status, _, problem = await call(node, "POST", "/v1/payments:sign", part, part)
    assert (status, problem["code"]) == (413, "BodyTooLarge")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 405, "MethodNotAllowed"),
        ("POST", "/v1/digests:sign", 404, "UnknownPath"),
        ("POST", "/v1/payments:sign/", 404, "UnknownPath"),
        ("GET", "/v1/payments:sign", 405, "MethodNotAllowed"),
        ("POST", "/v1/keys", 405, "MethodNotAllowed"),
        ("DELETE", "/v1/keys", 405, "MethodNotAllowed"),
    ],
)
async def test_other_paths_and_methods_do_nothing(
    home: Home, method: str, path: str, status: int, code: str
) -> None:
    found, _, problem = await call(home.open(), method, path, json.dumps(GOOD).encode())
    assert (found, problem["code"]) == (status, code)


async def test_a_refused_transaction_says_every_reason(home: Home) -> None:
    body = json.dumps(transaction(MINT, value=1, max_priority_fee_per_gas=10**12)).encode()
    status, content_type, problem = await call(home.open(), "POST", "/v1/transactions:sign", body)
    assert (status, content_type) == (403, "application/problem+json")
    assert problem["code"] == "ValueNotAllowed"
    assert [reason["code"] for reason in problem["reasons"]] == ["ValueNotAllowed", "PriorityFeeTooHigh"]


async def test_keys_readiness_and_metrics_say_what_the_node_is(home: Home) -> None:
    node = home.open()
    served = Application(node)
    payer = customers(node, 2)[0]
    await call(
        served, "POST", "/v1/payments:sign", json.dumps(batch(payment(payer), payment(payer, payer))).encode()
    )
    _, _, keys = await call(served, "GET", "/v1/keys")
    assert keys["derived"] == 2
    assert keys["policy"] == {"name": "no-proof", "hash": "0x" + node.policy.digest.hex()}
    assert keys["keys"] == {"institution": "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"}
    status, _, ready = await call(served, "GET", "/readyz")
    assert (status, ready["ready"], ready["keys"], ready["bound"]) == (200, True, 1, True)
    assert (await call(served, "GET", "/healthz"))[0] == 200
    _, content_type, metrics = await call(served, "GET", "/metrics")
    assert content_type.startswith("text/plain")
    assert 'florin_wallet_node_signatures_total{kind="payment"} 1.0\n' in metrics
    assert 'florin_wallet_node_refusals_total{code="SelfPayment"} 1.0\n' in metrics
    await call(served, "POST", "/v1/payments:sign", json.dumps(batch(payment(payer), chain_id=1)).encode())
    await call(served, "POST", "/v1/transactions:sign", json.dumps(transaction(MINT, value=1)).encode())
    await call(served, "POST", "/v1/transactions:sign", b"{")
    _, _, metrics = await call(served, "GET", "/metrics")
    for code in ("WrongDeployment", "ValueNotAllowed", "MalformedRequest"):
        assert f'florin_wallet_node_refusals_total{{code="{code}"}} 1.0\n' in metrics


async def test_the_journals_root_is_told_to_whoever_asks(home: Home) -> None:
    node = home.open()
    assert (await call(node, "GET", "/v1/journal"))[2] == {
        "size": 0,
        "root": "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    }
    payers = customers(node, 2)
    await call(node, "POST", "/v1/payments:sign", json.dumps(batch(*map(payment, payers))).encode())
    _, _, told = await call(node, "GET", "/v1/journal")
    verified = verify(node._store)
    assert told == {"size": 2, "root": "0x" + verified.root.hex()}
    assert verified.rows == 2
    assert (await call(home.open(), "GET", "/v1/journal"))[2] == told


async def test_a_node_that_did_not_pass_its_self_test_is_not_ready(home: Home) -> None:
    node = home.open()
    node.is_sound = False
    assert (await call(node, "GET", "/readyz"))[0] == 503
    assert (await call(node, "GET", "/healthz"))[0] == 200


async def test_a_central_bank_derives_no_customer_key(home: Home) -> None:
    node = home.open(NO_QUORUM, names=("governor",))
    status, _, problem = await call(node, "POST", "/v1/keys:derive", b'{"indices": [0]}')
    assert (status, problem["code"]) == (403, "NoRuleAllows")
    assert node.keys()["derived"] == 0
