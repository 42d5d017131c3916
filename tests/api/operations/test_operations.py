"""Health, readiness, metrics, reconciliation and the description of the interface.

Ready: database, chain, signer and indexer said so lately, and the indexer is close behind the head
├── one of them says no, said so long ago, or nothing: not ready, and it is named
└── the database does not answer: not ready
Reconciliation: the newest comparison; before the first one nothing is claimed
Metrics: what the books and this process know, by route and never by path; what is anchored, since when
The description: every route of the table, its scope, and problems as errors
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import jsonschema
import pytest

from api.identity.access import access_by_route
from tests.api.offices import BankOffice, Office, payment

COMPONENTS = ("chain", "signer", "indexer", "relay", "reconciliation")


async def report(bank: BankOffice, **changed: Any) -> None:
    for component in COMPONENTS:
        is_ok, age_s = changed.get(component, (True, 0))
        await bank.institution.pool.execute(
            """INSERT INTO chain_health VALUES ($1, $2, 'so it is', now() - $3 * interval '1 second')
               ON CONFLICT (component) DO UPDATE SET is_ok = excluded.is_ok, seen_at = excluded.seen_at""",
            component,
            is_ok,
            age_s,
        )


async def test_ready_when_everything_is_good(bank: BankOffice) -> None:
    await report(bank)
    response = await bank.get("/readyz")
    assert (response.status_code, response.json()["is_ready"]) == (200, True)


@pytest.mark.parametrize("component", ["chain", "signer", "indexer"])
@pytest.mark.parametrize("said", [(False, 0), (True, 120)], ids=["says no", "said so long ago"])
async def test_not_ready_without_a_part(bank: BankOffice, component: str, said: tuple[bool, int]) -> None:
    await report(bank, **{component: said})
    response = await bank.get("/readyz")
    checks = response.json()["checks"]
    assert response.status_code == 503
    assert [name for name, check in checks.items() if not check["is_ok"]] == [component]


async def test_not_ready_while_the_indexer_is_far_behind(bank: BankOffice) -> None:
    await report(bank)
    await bank.institution.pool.execute("UPDATE chain_cursor SET head_number = final_number + 1000")
    response = await bank.get("/readyz")
    assert response.status_code == 503
    assert not response.json()["checks"]["indexer_lag"]["is_ok"]


async def test_not_ready_before_the_first_report(bank: BankOffice) -> None:
    assert (await bank.get("/readyz")).status_code == 503
    assert (await bank.get("/healthz")).status_code == 200


async def test_not_ready_without_database(bank: BankOffice) -> None:
    await asyncio.wait_for(bank.institution.pool.close(), 5)
    response = await bank.get("/readyz")
    assert (response.status_code, response.json()["checks"]["database"]["is_ok"]) == (503, False)
    assert (await bank.get("/healthz")).status_code == 200


async def test_nothing_is_claimed_before_the_first_comparison(bank: BankOffice) -> None:
    answer = (await bank.get("/v1/reconciliation")).json()
    assert (answer["is_reconciled"], answer["block_number"]) == (False, None)


async def test_reconciliation_tells_the_newest_comparison_and_what_is_stopped(bank: BankOffice) -> None:
    pool = bank.institution.pool
    check = '[{"name": "inventory", "books_minor": 5, "chain_minor": 4, "difference_minor": 1}]'
    await pool.execute(
        "INSERT INTO chain_reconciliations (block_number, difference_minor, checks) VALUES (8, 0, '[]')"
    )
    await pool.execute(
        "INSERT INTO chain_reconciliations (block_number, difference_minor, checks) VALUES (9, 1, $1)", check
    )
    await pool.execute("INSERT INTO chain_freezes (flow, reason) VALUES ('settle', 'a break')")
    answer = (await bank.get("/v1/reconciliation")).json()
    assert (answer["is_reconciled"], answer["difference_minor"], answer["block_number"]) == (False, 1, 9)
    assert answer["checks"][0]["name"] == "inventory"
    assert [(each["flow"], each["reason"]) for each in answer["freezes"]] == [("settle", "a break")]


async def test_accounts_that_differ_without_an_amount_are_a_break(bank: BankOffice) -> None:
    account = "0x" + "11" * 20
    await bank.institution.pool.execute(
        """INSERT INTO chain_reconciliations (block_number, difference_minor, checks, mismatched)
           VALUES (9, 0, '[]', $1)""",
        [account],
    )
    answer = (await bank.get("/v1/reconciliation")).json()
    assert (answer["is_reconciled"], answer["difference_minor"]) == (False, 0)
    assert answer["mismatched_accounts"] == [account]


async def test_metrics_tell_payments_queue_lag_and_difference(bank: BankOffice) -> None:
    await bank.post("/v1/payments", payment(1_000))
    await bank.post("/v1/payments", payment(payee={"biller_reference": "nobody"}))
    await bank.get("/v1/payments/made-up-by-a-caller")
    text = (await bank.get("/metrics")).text
    for line in (
        'florin_payments{kind="payment",state="queued"} 1.0',
        'florin_payments{kind="payment",state="refused"} 1.0',
        'florin_queue_length{queue="payments"} 2.0',
        "florin_indexer_lag_blocks 5.0",
        "florin_reconciliation_difference_minor 0.0",
        'florin_http_requests_total{method="POST",route="/v1/payments",status="202"} 1.0',
    ):
        assert line in text.splitlines(), text
    assert "made-up" not in text


async def test_metrics_tell_how_much_of_each_log_is_anchored_and_since_when(bank: BankOffice) -> None:
    assert "florin_anchored_size{" not in (await bank.get("/metrics")).text
    pool = bank.institution.pool
    for size, state in ((5, "final"), (7, "final"), (9, "signed"), (11, "reverted")):
        transaction_id = uuid.uuid4()
        await pool.execute(
            """INSERT INTO chain_transactions (id, key_name, kind, data, gas, state)
               VALUES ($1, 'institution', 'anchor', '', 0, $2)""",
            transaction_id,
            state,
        )
        await pool.execute(
            "INSERT INTO chain_anchors (log, size, root, transaction_id) VALUES ('signer', $1, $2, $3)",
            size,
            bytes([1] * 32),
            transaction_id,
        )
    lines = (await bank.get("/metrics")).text.splitlines()
    assert 'florin_anchored_size{log="signer"} 7.0' in lines
    (age,) = [line for line in lines if line.startswith('florin_anchor_age_seconds{log="signer"} ')]
    assert 0 <= float(age.split()[1]) < 60
    assert not any('log="ledger"' in line for line in lines)


async def test_the_description_of_a_bank_has_every_route_with_its_scope(bank: BankOffice) -> None:
    await require_described(bank)


async def test_the_description_of_a_central_bank_has_every_route_with_its_scope(central_bank: Office) -> None:
    await require_described(central_bank)


async def require_described(office: Office) -> None:
    described = (await office.get("/openapi.json")).json()
    operations = {
        (method.upper(), path): operation
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    }
    kind = office.institution.settings.kind
    listed = {route: access for route, access in access_by_route(kind).items() if not access.is_page}
    listed.pop(("GET", "/openapi.json"))
    assert operations.keys() == listed.keys()
    for route, operation in operations.items():
        assert operation.get("x-scope", "") == listed[route].scope
        assert ("security" in operation) == (listed[route].who != "anyone")
        assert operation["responses"]["default"]["content"].keys() == {"application/problem+json"}
    assert "HTTPValidationError" not in described["components"]["schemas"]


async def test_the_description_is_closed_to_unknown_fields(bank: BankOffice) -> None:
    described = (await bank.get("/openapi.json")).json()
    schema = {"$ref": "#/components/schemas/PaymentBody", "components": described["components"]}
    jsonschema.validate(payment(), schema)
    for wrong in (payment(0), payment(1.5), payment("1"), payment() | {"x": 1}, payment(note=7)):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)
