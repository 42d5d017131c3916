"""POST /v1/payments, its preflight, fundings and redemptions.

A payment
├── accepted
│   ├── from the wallet: one hold, one intent
│   └── with a shortfall: holds on wallet, deposit and inventory; a funding in front of the payment
├── refused by a rule: 422 with every reason, remembered, without hold or intent
├── from an unknown wallet, in an unknown currency: refused, and nothing is recorded
├── that cannot be read, or is not said to be JSON: a typed error, and the state is byte-identical
├── repeated with its key: the same answer, accepted or refused, and nothing happens
├── with a known key and another body: 422
└── to the bank's own address: a redemption
Preflight: the same verdict, and the state is byte-identical
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from api.addresses import address_text
from contracts.accounts import AccountFlag
from tests.api.offices import BILLER, OPENING_MINOR, BankOffice, payment
from tests.fakes.final_chain import BILLER_TIER, OTHER_BANK, OTHER_INSTITUTION, OWN_INSTITUTION, TODAY

if TYPE_CHECKING:
    import httpx

STRANGER = bytes.fromhex("d5" * 20)


def problem_of(response: httpx.Response, status: int = 422) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    return body


def codes_of(response: httpx.Response) -> list[str]:
    return [reason["code"] for reason in problem_of(response)["reasons"]]


async def test_a_shortfall_is_held_and_funded_in_front_of_its_payment(bank: BankOffice) -> None:
    await bank.chain.fund(bank.chart, "w-1", 300)
    response = await bank.post("/v1/payments", payment(1_000))
    assert response.status_code == 202
    accepted = response.json()
    assert accepted == {
        "payment_id": accepted["payment_id"], "state": "accepted",
        "from_wallet_minor": 300, "from_deposit_minor": 700,
    }  # fmt: skip
    assert await bank.held() == {"wallet:w-1": 300, "deposit:a-1": 700, "inventory": 700}
    rows = await bank.institution.pool.fetch("SELECT * FROM outbox_payments ORDER BY seq")
    assert [(row["kind"], row["payer"], row["payee"], row["amount_minor"]) for row in rows] == [
        ("funding", OWN_INSTITUTION, await bank.address_of("w-1"), 700),
        ("payment", await bank.address_of("w-1"), BILLER, 1_000),
    ]
    assert str(rows[1]["payment_id"]) == accepted["payment_id"]
    assert rows[0]["serves_payment_id"] == rows[1]["payment_id"]
    holds = await bank.institution.pool.fetch(
        "SELECT business_id, amount_minor FROM ledger_holds ORDER BY amount_minor"
    )
    assert [(row["business_id"], row["amount_minor"]) for row in holds] == [
        (rows[1]["payment_id"], 300), (rows[0]["payment_id"], 700), (rows[0]["payment_id"], 700),
    ]  # fmt: skip


async def test_a_wallet_that_has_enough_is_not_funded(bank: BankOffice) -> None:
    await bank.chain.fund(bank.chart, "w-1", 1_000)
    assert (await bank.post("/v1/payments", payment(1_000))).status_code == 202
    assert await bank.held() == {"wallet:w-1": 1_000}
    assert await bank.intents() == [("payment", 1_000)]


async def test_an_empty_wallet_is_funded_whole(bank: BankOffice) -> None:
    assert (await bank.post("/v1/payments", payment(1_000))).status_code == 202
    assert await bank.held() == {"deposit:a-1": 1_000, "inventory": 1_000}
    assert await bank.intents() == [("funding", 1_000), ("payment", 1_000)]


async def test_payments_use_the_money_up_to_the_last_unit(bank: BankOffice) -> None:
    for amount in (OPENING_MINOR - 1, 1):
        assert (await bank.post("/v1/payments", payment(amount))).status_code == 202
    assert codes_of(await bank.post("/v1/payments", payment(1))) == ["InsufficientFunds"]


async def test_a_payee_can_be_a_wallet_here_or_any_registered_address(bank: BankOffice) -> None:
    await bank.add_customer(2)
    own = await bank.address_of("w-2")
    for payee in (
        {"wallet_reference": "w-2"},
        {"address": address_text(own)},
        {"address": address_text(BILLER)},
    ):
        assert (await bank.post("/v1/payments", payment(payee=payee))).status_code == 202
    rows = await bank.institution.pool.fetch(
        """SELECT p.payee, w.reference FROM payments p LEFT JOIN wallets w ON w.id = p.payee_wallet_id
            ORDER BY p.created_at"""
    )
    assert [tuple(row) for row in rows] == [(own, "w-2"), (own, "w-2"), (BILLER, None)]


async def test_a_payer_can_be_named_by_id(bank: BankOffice) -> None:
    wallet_id = (await bank.get("/v1/wallets", limit=1000)).json()["wallets"]
    named = next(wallet["wallet_id"] for wallet in wallet_id if wallet["reference"] == "w-1")
    body = payment(payer_wallet_reference=None, payer_wallet_id=named)
    assert (await bank.post("/v1/payments", body)).status_code == 202


REFUSALS: dict[str, dict[str, Any]] = {
    "UnknownPayee": {"payee": {"biller_reference": "nobody"}},
    "PayeeNotRegistered": {"payee": {"address": address_text(STRANGER)}},
    "SelfPayment": {"payee": {"wallet_reference": "w-1"}},
    "PerPaymentLimitExceeded": {"amount_minor": 1_500_001},
    "InsufficientFunds": {"amount_minor": OPENING_MINOR + 1},
}


@pytest.mark.parametrize("code", REFUSALS)
async def test_a_refusal_is_remembered_and_moves_nothing(bank: BankOffice, code: str) -> None:
    before = await bank.state(without=["payments"])
    response = await bank.post("/v1/payments", payment(**REFUSALS[code]), key="k-1")
    problem = problem_of(response)
    assert problem["code"] == code
    assert problem["state"] == "refused"
    assert code in [reason["code"] for reason in problem["reasons"]]
    assert await bank.state(without=["payments"]) == before
    shown = (await bank.get(f"/v1/payments/{problem['payment_id']}")).json()
    assert (shown["state"], shown["reasons"]) == ("refused", problem["reasons"])


async def forbid_payer_frozen(bank: BankOffice) -> None:
    await bank.chain.flag(await bank.address_of("w-1"), AccountFlag.FROZEN)


async def forbid_payer_closed(bank: BankOffice) -> None:
    await bank.chain.flag(await bank.address_of("w-1"), AccountFlag.CLOSED)


async def forbid_payee_frozen(bank: BankOffice) -> None:
    await bank.chain.flag(BILLER, AccountFlag.FROZEN)


async def forbid_payee_closed(bank: BankOffice) -> None:
    await bank.chain.flag(BILLER, AccountFlag.CLOSED)


async def pause(bank: BankOffice) -> None:
    await bank.institution.pool.execute("UPDATE chain_currency SET is_paused = true")


async def freeze(bank: BankOffice) -> None:
    await bank.institution.pool.execute(
        "INSERT INTO chain_freezes (flow, reason) VALUES ('settle', 'a break')"
    )


async def forget_payer(bank: BankOffice) -> None:
    await bank.institution.pool.execute(
        "DELETE FROM chain_accounts WHERE address = $1", await bank.address_of("w-1")
    )


async def fill_biller(bank: BankOffice) -> None:
    await bank.institution.pool.execute("UPDATE chain_accounts SET flags = 1 WHERE address = $1", BILLER)
    await bank.chain.change(BILLER, balance_minor=99_001)


async def fill_biller_of_a_frozen_bank(bank: BankOffice) -> None:
    await bank.chain.change(BILLER, balance_minor=99_001)
    await bank.chain.flag(OTHER_INSTITUTION, AccountFlag.FROZEN)


async def spend_today(bank: BankOffice) -> None:
    await bank.chain.change(await bank.address_of("w-1"), spent_minor=2_499_001, spent_day=TODAY)


async def use_inventory_up(bank: BankOffice) -> None:
    await bank.post("/v1/returns", {"amount_minor": bank_inventory(await bank.state()) - 999})


async def hold_under_an_order(bank: BankOffice) -> None:
    """Orders hold one minor unit more than the wallet has."""
    payer = await bank.address_of("w-1")
    held = await bank.institution.pool.fetchval(
        "SELECT balance_minor + 1 FROM chain_accounts WHERE address = $1", payer
    )
    await bank.chain.flag(payer, AccountFlag.HAS_HOLD)
    await bank.institution.pool.execute(
        "INSERT INTO chain_order_holds (address, order_id, held_minor) VALUES ($1, $2, $3)",
        payer,
        b"\x0d" * 32,
        held,
    )


async def hold_the_inventory_under_an_order(bank: BankOffice) -> None:
    await bank.chain.flag(OWN_INSTITUTION, AccountFlag.HAS_HOLD)
    await bank.institution.pool.execute(
        "INSERT INTO chain_order_holds (address, order_id, held_minor) VALUES ($1, $2, 2::numeric ^ 90)",
        OWN_INSTITUTION,
        b"\x0d" * 32,
    )


async def suspend(bank: BankOffice) -> None:
    await bank.chain.flag(OWN_INSTITUTION, AccountFlag.SUSPENDED)


async def move_payer_away(bank: BankOffice) -> None:
    await bank.chain.change(await bank.address_of("w-1"), participant=OTHER_BANK)


async def take_the_payers_address(bank: BankOffice) -> None:
    await move_payer_away(bank)
    await bank.institution.pool.execute("UPDATE outbox_registrations SET registered_block = NULL")


async def make_the_payers_address_the_systems(bank: BankOffice) -> None:
    await bank.chain.change(await bank.address_of("w-1"), participant=0)
    await bank.institution.pool.execute("UPDATE outbox_registrations SET registered_block = NULL")


async def make_payee_the_systems(bank: BankOffice) -> None:
    await bank.chain.flag(BILLER, AccountFlag.SYSTEM)


def bank_inventory(state: dict[str, list[tuple[Any, ...]]]) -> int:
    """The largest posted balance is the inventory's (its counterpart's deposit is as large)."""
    return max(row[1] for row in state["ledger_balances"])


@pytest.mark.parametrize(
    ("forbid", "code"),
    [
        (forbid_payer_frozen, "PayerFrozen"),
        (forbid_payer_closed, "PayerClosed"),
        (forbid_payee_frozen, "PayeeFrozen"),
        (forbid_payee_closed, "PayeeClosed"),
        (pause, "CurrencyPaused"),
        (suspend, "ParticipantSuspended"),
        (move_payer_away, "PayerNotOfParticipant"),
        (take_the_payers_address, "AddressOfAnotherParticipant"),
        (make_the_payers_address_the_systems, "AddressOfAnotherParticipant"),
        (make_payee_the_systems, "PayeeIsSystem"),
        (hold_under_an_order, "FundsHeld"),
        (hold_the_inventory_under_an_order, "InsufficientInventory"),
        (freeze, "FlowFrozen"),
        (forget_payer, "PayerNotRegistered"),
        (fill_biller, "HoldingLimitExceeded"),
        (fill_biller_of_a_frozen_bank, "HoldingLimitExceeded"),
        (spend_today, "DailyLimitExceeded"),
        (use_inventory_up, "InsufficientInventory"),
    ],
)
async def test_what_the_chain_says_forbids_a_payment(bank: BankOffice, forbid: Any, code: str) -> None:
    preflight = (await bank.post("/v1/payments/preflight", payment(1_000))).json()
    assert preflight["would_be_accepted"]
    await forbid(bank)
    before = await bank.state(without=["payments"])
    assert codes_of(await bank.post("/v1/payments", payment(1_000))) == [code]
    preflight = (await bank.post("/v1/payments/preflight", payment(1_000))).json()
    assert [reason["code"] for reason in preflight["reasons"]] == [code]
    assert await bank.state(without=["payments"]) == before


async def test_nothing_is_paid_to_a_wallet_whose_address_is_taken(bank: BankOffice) -> None:
    wallet = {"reference": "w-2", "customer_reference": "c-1", "account_reference": "a-1", "tier": 1}
    assert (await bank.post("/v1/wallets", wallet)).status_code == 202
    await bank.chain.register_requested_wallets(OTHER_BANK)
    address = address_text(await bank.address_of("w-2"))
    biller = {"reference": "b-2", "name": "The same address", "address": address}
    await bank.bulk("/v1/billers:bulk", [biller])
    before = await bank.state(without=["payments"])
    for payee in ({"wallet_reference": "w-2"}, {"address": address}, {"biller_reference": "b-2"}):
        refused = await bank.post("/v1/payments", payment(payee=payee))
        assert codes_of(refused) == ["AddressOfAnotherParticipant"], payee
    funding = {"wallet_reference": "w-2", "amount_minor": 100}
    assert codes_of(await bank.post("/v1/fundings", funding)) == ["AddressOfAnotherParticipant"]
    assert await bank.state(without=["payments"]) == before


async def test_a_wallet_that_moved_away_can_still_be_paid(bank: BankOffice) -> None:
    await bank.add_customer(2)
    await bank.chain.change(await bank.address_of("w-2"), participant=OTHER_BANK)
    paid = await bank.post("/v1/payments", payment(payee={"wallet_reference": "w-2"}))
    assert paid.status_code == 202


async def test_yesterdays_spending_does_not_count(bank: BankOffice) -> None:
    address = await bank.address_of("w-1")
    await bank.chain.change(address, spent_minor=2_500_000, spent_day=TODAY - 1)
    assert (await bank.post("/v1/payments", payment(1_000))).status_code == 202


async def test_a_filling_payee_counts_what_is_on_its_way_to_it(bank: BankOffice) -> None:
    await bank.chain.register(STRANGER, OTHER_BANK, BILLER_TIER, AccountFlag(0))
    to_stranger = {"payee": {"address": address_text(STRANGER)}}
    assert (await bank.post("/v1/payments", payment(60_000, **to_stranger))).status_code == 202
    assert (await bank.post("/v1/payments", payment(40_000, **to_stranger))).status_code == 202
    assert codes_of(await bank.post("/v1/payments", payment(1, **to_stranger))) == ["HoldingLimitExceeded"]


async def test_the_day_counts_payments_on_their_way(bank: BankOffice) -> None:
    await bank.add_customer(2, opening_minor=4_000_000)
    body = {"payer_wallet_reference": "w-2"}
    assert (await bank.post("/v1/payments", payment(1_500_000, **body))).status_code == 202
    assert (await bank.post("/v1/payments", payment(1_000_000, **body))).status_code == 202
    assert codes_of(await bank.post("/v1/payments", payment(1, **body))) == ["DailyLimitExceeded"]


MALFORMED: list[tuple[str, Any, str]] = [
    ("an unknown field", payment() | {"amout_minor": 1}, "UnknownField"),
    ("an unknown field inside", payment(payee={"biller_reference": "b-1", "x": 1}), "UnknownField"),
    ("a zero amount", payment(0), "AmountNotPositive"),
    ("a negative amount", payment(-1), "AmountNotPositive"),
    ("a fraction", payment(1.5), "AmountNotInteger"),
    ("a whole float", payment(1.0), "AmountNotInteger"),
    ("a text amount", payment("1000"), "AmountNotInteger"),
    ("a boolean amount", payment(True), "AmountNotInteger"),
    ("no amount", payment(None), "MalformedRequest"),
    ("more than a record can carry", payment(2**40), "AmountTooLarge"),
    ("more than a machine word", payment(2**256), "AmountTooLarge"),
    ("an unknown currency", payment(currency="XXX"), "UnknownCurrency"),
    ("another bank's currency", payment(currency="EUR"), "UnknownCurrency"),
    ("no payer", payment(payer_wallet_reference=None), "MalformedRequest"),
    ("an unknown wallet", payment(payer_wallet_reference="w-404"), "UnknownWallet"),
    ("two payees", payment(payee={"biller_reference": "b-1", "wallet_reference": "w-9"}), "MalformedRequest"),
    ("no payee", payment(payee={}), "MalformedRequest"),
    ("a short address", payment(payee={"address": "0x12"}), "MalformedRequest"),
    (
        "a wrong checksum",
        payment(payee={"address": "0xC1c1c1c1C1C1C1c1c1C1C1C1c1C1C1C1c1c1C1C1"}),
        "MalformedRequest",
    ),
    ("the zero address", payment(payee={"address": "0x" + "00" * 20}), "MalformedRequest"),
    ("a NUL in a reference", payment(payer_wallet_reference="w-1\x00"), "MalformedRequest"),
    ("a NUL in a note", payment(note="\x00"), "MalformedRequest"),
    ("a long note", payment(note="n" * 141), "MalformedRequest"),
    ("a list", [payment()], "MalformedRequest"),
    ("nothing", None, "MalformedRequest"),
]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_body_that_is_not_said_to_be_json_is_refused(bank: BankOffice, content_type: str) -> None:
    before = await bank.state()
    headers = {"Idempotency-Key": "k"} | ({"Content-Type": content_type} if content_type else {})
    answer = await bank.client.post("/v1/payments", content=json.dumps(payment()), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "UnsupportedMediaType")
    assert await bank.state() == before


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
async def test_json_is_utf_8(bank: BankOffice, encoding: str) -> None:
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    content = json.dumps(payment()).encode(encoding)
    answer = await bank.client.post("/v1/payments", content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "MalformedRequest")


async def test_what_cannot_be_read_changes_nothing(bank: BankOffice) -> None:
    before = await bank.state()
    answers = {name: await bank.post("/v1/payments", body) for name, body, _ in MALFORMED}
    assert {name: answer.json()["code"] for name, answer in answers.items()} == {
        name: code for name, _, code in MALFORMED
    }
    assert {answer.status_code for answer in answers.values()} <= {400, 404, 422}
    assert await bank.state() == before


async def test_what_is_no_json_changes_nothing(bank: BankOffice) -> None:
    before = await bank.state()
    headers = {"Content-Type": "application/json", "Idempotency-Key": "k-1"}
    for text in ("", "{", '{"amount_minor": NaN, "x', '{"note": "\\ud800"}', "[" * 5_000, "1e2", "\x00"):
        response = await bank.client.post("/v1/payments", content=text, headers=headers)
        assert problem_of(response, 400)["code"] == "MalformedRequest", text
    assert await bank.state() == before


async def test_a_payment_without_key_is_refused(bank: BankOffice) -> None:
    response = await bank.client.post("/v1/payments", json=payment())
    assert problem_of(response, 400)["code"] == "IdempotencyKeyRequired"


async def test_the_same_key_gets_the_same_answer_and_pays_once(bank: BankOffice) -> None:
    first = await bank.post("/v1/payments", payment(1_000), key="k-1")
    before = await bank.state()
    again = await bank.post("/v1/payments", payment(1_000), key="k-1")
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert await bank.state() == before


async def test_a_refusal_stays_a_refusal_under_its_key(bank: BankOffice) -> None:
    await freeze(bank)
    first = await bank.post("/v1/payments", payment(1_000), key="k-1")
    await bank.institution.pool.execute("DELETE FROM chain_freezes")
    again = await bank.post("/v1/payments", payment(1_000), key="k-1")
    assert (again.status_code, again.content) == (first.status_code, first.content) == (422, first.content)
    assert (await bank.post("/v1/payments", payment(1_000), key="k-2")).status_code == 202


@pytest.mark.parametrize(
    "other",
    [payment(1_001), payment(note="x"), payment(payee={"address": address_text(BILLER)})],
    ids=["amount", "note", "payee"],
)
async def test_a_known_key_with_another_body_is_refused(bank: BankOffice, other: Any) -> None:
    await bank.post("/v1/payments", payment(1_000), key="k-1")
    before = await bank.state()
    assert problem_of(await bank.post("/v1/payments", other, key="k-1"))["code"] == "IdempotencyKeyReused"
    assert await bank.state() == before


async def test_preflight_tells_the_parts_and_changes_nothing(bank: BankOffice) -> None:
    await bank.chain.fund(bank.chart, "w-1", 300)
    before = await bank.state()
    answer = (await bank.client.post("/v1/payments/preflight", json=payment(1_000))).json()
    assert answer == {
        "requirement": "nothing",
        "to_approve": None,
        "payee": None,
        "would_be_accepted": True,
        "reasons": [],
        "from_wallet_minor": 300,
        "from_deposit_minor": 700,
    }
    assert await bank.state() == before


async def test_a_funding_holds_deposit_and_inventory(bank: BankOffice) -> None:
    response = await bank.post("/v1/fundings", {"wallet_reference": "w-1", "amount_minor": 5_000})
    assert response.status_code == 202
    assert await bank.held() == {"deposit:a-1": 5_000, "inventory": 5_000}
    row = await bank.institution.pool.fetchrow("SELECT * FROM outbox_payments")
    assert (row["kind"], row["serves_payment_id"], str(row["payment_id"])) == (
        "funding", None, response.json()["payment_id"],
    )  # fmt: skip


async def test_fundings_stay_within_the_wallets_holding_limit(bank: BankOffice) -> None:
    await bank.add_customer(2, opening_minor=4_000_000)
    body = {"wallet_reference": "w-2"}
    assert (await bank.post("/v1/fundings", body | {"amount_minor": 2_000_000})).status_code == 202
    assert (await bank.post("/v1/fundings", body | {"amount_minor": 1_000_000})).status_code == 202
    assert codes_of(await bank.post("/v1/fundings", body | {"amount_minor": 1})) == ["HoldingLimitExceeded"]
    # and a payment's shortfall counts what those fundings will bring
    refused = await bank.post("/v1/payments", payment(1, payer_wallet_reference="w-2"))
    assert codes_of(refused) == ["HoldingLimitExceeded"]


async def test_a_redemption_takes_the_wallet_alone(bank: BankOffice) -> None:
    await bank.chain.fund(bank.chart, "w-1", 800)
    body = {"wallet_reference": "w-1", "amount_minor": 800}
    assert (await bank.post("/v1/redemptions", body)).status_code == 202
    assert await bank.held() == {"wallet:w-1": 800}
    row = await bank.institution.pool.fetchrow("SELECT kind, payee FROM outbox_payments")
    assert tuple(row) == ("redemption", OWN_INSTITUTION)
    assert codes_of(await bank.post("/v1/redemptions", body)) == ["InsufficientFunds"]


async def test_a_payment_to_the_banks_own_address_is_a_redemption(bank: BankOffice) -> None:
    await bank.chain.fund(bank.chart, "w-1", 800)
    body = payment(801, payee={"address": address_text(OWN_INSTITUTION)})
    assert codes_of(await bank.post("/v1/payments", body)) == ["InsufficientFunds"]
    assert (await bank.post("/v1/payments", body | {"amount_minor": 800})).status_code == 202
    assert await bank.intents() == [("redemption", 800)]


async def test_a_wallet_without_account_can_neither_be_funded_nor_redeemed(bank: BankOffice) -> None:
    await bank.add_customer(2, is_linked=False)
    body = {"wallet_reference": "w-2", "amount_minor": 1}
    for path in ("/v1/fundings", "/v1/redemptions"):
        assert codes_of(await bank.post(path, body)) == ["NoLinkedAccount"]
    assert codes_of(await bank.post("/v1/payments", payment(1, payer_wallet_reference="w-2"))) == [
        "InsufficientFunds"
    ]


@pytest.mark.parametrize("path", ["/v1/fundings", "/v1/redemptions"])
async def test_transfers_read_their_bodies_strictly(bank: BankOffice, path: str) -> None:
    before = await bank.state()
    for body, code in (
        ({"wallet_reference": "w-1", "amount_minor": 0}, "AmountNotPositive"),
        ({"wallet_reference": "w-1", "amount_minor": 1, "to": "me"}, "UnknownField"),
        ({"amount_minor": 1}, "MalformedRequest"),
        ({"wallet_reference": "w-404", "amount_minor": 1}, "UnknownWallet"),
    ):
        response = await bank.post(path, body)
        assert response.json()["code"] == code
    assert await bank.state() == before


async def test_a_field_that_stands_twice_is_refused_and_changes_nothing(bank: BankOffice) -> None:
    before = await bank.state()
    body = json.dumps(payment(1))[:-1] + ', "amount_minor": 2}'
    headers = {"content-type": "application/json", "idempotency-key": "twice"}
    refused = await bank.client.post("/v1/payments", content=body, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (400, "DuplicateField")
    assert refused.json()["field"] == "amount_minor"
    assert await bank.state() == before
