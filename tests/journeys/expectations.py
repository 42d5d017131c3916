"""What the oracle foretold, asked for over HTTP."""

from __future__ import annotations

from collections.abc import Container
from decimal import Decimal
from pathlib import Path

from scripts.orders.api_client import ApiClient, Json
from scripts.orders.approvals import mandate_id
from scripts.orders.run_book import BILLER_TIER, Offices, biller_reference
from tests.journeys.country_process import major
from tests.journeys.oracle import Fate


async def orders_of(offices: Offices, book: Path, orders: Container[str]) -> dict[str, Json]:
    """The bank's answer to each of these orders, asked for by sending them again."""
    lines = []
    for row in (book / "order.csv").read_text().splitlines()[1:]:
        order, account, bank_to, account_to, amount, _ = (cell.strip('"') for cell in row.split(";"))
        if order not in orders:
            continue
        payee = {"biller_reference": biller_reference((bank_to, account_to))}
        lines.append(
            {"reference": f"order-{order}", "payer_wallet_reference": f"wallet-{account}", "payee": payee,
             "amount_minor": int(Decimal(amount) * 100), "currency": "CZK",
             "mandate_id": str(mandate_id(int(order)))}
        )  # fmt: skip
    answers = await offices.paying_bank.bulk("/v1/payments:bulk", lines)
    return {answer["reference"].removeprefix("order-"): answer for answer in answers}


async def expect_balances(offices: Offices, fate: Fate, opening: Decimal) -> None:
    """Every customer's deposit, and every biller's deposit and wallet, to the minor unit."""
    accounts = await offices.paying_bank.bulk("/v1/accounts:bulk", [
        {"reference": f"account-{account}", "customer_reference": f"client-{fate.owners[account]}",
         "currency": "CZK", "opening_deposit_minor": int(opening * 100)}
        for account in fate.deposits
    ])  # fmt: skip
    for expected, found in zip(fate.deposits.values(), accounts, strict=True):
        assert (major(found["posted_minor"]), major(found["available_minor"])) == (str(expected),) * 2
    billers = await offices.billing_bank.bulk("/v1/accounts:bulk", [
        {"reference": biller_reference(payee), "customer_reference": biller_reference(payee),
         "currency": "CZK", "opening_deposit_minor": 0}
        for payee in fate.biller_deposits
    ])  # fmt: skip
    found = {
        payee: major(each["posted_minor"]) for payee, each in zip(fate.biller_deposits, billers, strict=True)
    }
    assert found == {payee: f"{amount:.2f}" for payee, amount in fate.biller_deposits.items()}
    wallets = await _wallets_of(offices.billing_bank)
    held = {wallet["reference"]: major(wallet["balance_minor"]) for wallet in wallets}
    assert held == {biller_reference(p): f"{amount:.2f}" for p, amount in fate.biller_wallets.items()}
    assert {wallet["tier"] for wallet in wallets} == {BILLER_TIER}


async def _wallets_of(bank: ApiClient) -> list[Json]:
    wallets: list[Json] = []
    query: dict[str, str | int] = {"limit": 1000}
    while True:
        page = await bank.get("/v1/wallets", **query)
        wallets += page["wallets"]
        if page["next_after"] is None:
            return wallets
        query["after"] = page["next_after"]
