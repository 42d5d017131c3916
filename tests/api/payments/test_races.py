"""Two processes of one bank over one database.

Two payments that together exceed the money: one is accepted, one is refused
The same key to both processes at once: one payment, the same answer
Many payments at once, alone and in bulk: never more than the money, and holds sum up to what was accepted
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.api.offices import OPENING_MINOR, BankOffice, open_office, payment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def twin(bank: BankOffice) -> AsyncIterator[BankOffice]:
    """Another process of the same bank; its key speaks for the same caller."""
    async with open_office(bank.database) as office:
        yield office


async def test_two_payments_that_exceed_the_money_are_not_both_accepted(
    bank: BankOffice, twin: BankOffice
) -> None:
    for attempt in range(10):
        customer = attempt + 20
        await bank.add_customer(customer, opening_minor=1_000)
        body = payment(600, payer_wallet_reference=f"w-{customer}")
        answers = await asyncio.gather(bank.post("/v1/payments", body), twin.post("/v1/payments", body))
        assert sorted(answer.status_code for answer in answers) == [202, 422]
        assert (await bank.held())[f"deposit:a-{customer}"] == 600


async def test_one_key_at_two_processes_is_one_payment(bank: BankOffice, twin: BankOffice) -> None:
    for attempt in range(10):
        for amount in (10, OPENING_MINOR * 2):  # one that is accepted and one that is refused
            key = f"k-{attempt}-{amount}"
            answers = await asyncio.gather(
                *(
                    office.post("/v1/payments", payment(amount), key=key)
                    for office in (bank, twin, bank, twin)
                )
            )
            assert len({(answer.status_code, answer.content) for answer in answers}) == 1
    assert await bank.institution.pool.fetchval("SELECT count(*) FROM payments") == 20
    assert (await bank.held())["deposit:a-1"] == 100


async def test_many_payments_at_once_never_exceed_the_money(bank: BankOffice, twin: BankOffice) -> None:
    await bank.add_customer(2)
    for wallet in ("w-1", "w-2"):
        await bank.chain.fund(bank.chart, wallet, 100_000)
    singles = [
        office.post("/v1/payments", payment(40_000, payer_wallet_reference=wallet))
        for office in (bank, twin)
        for wallet in ("w-1", "w-2")
        for _ in range(5)
    ]
    bulks = [
        office.bulk(
            "/v1/payments:bulk",
            [
                payment(30_000, payer_wallet_reference=wallet) | {"reference": f"{name}-{wallet}-{number}"}
                for number in range(5)
                for wallet in order
            ],
        )
        for name, office, order in (("x", bank, ("w-1", "w-2")), ("y", twin, ("w-2", "w-1")))
    ]
    answers = await asyncio.gather(*singles, *bulks)
    accepted = sum(40_000 for answer in answers[: len(singles)] if answer.status_code == 202)  # type: ignore[union-attr]
    accepted += sum(
        30_000
        for lines in answers[len(singles) :]
        for each in lines
        if each["state"] == "accepted"  # type: ignore[union-attr, index]
    )
    held = await bank.held()
    wallets, deposits = held["wallet:w-1"] + held["wallet:w-2"], held["deposit:a-1"] + held["deposit:a-2"]
    assert wallets + deposits == accepted
    assert deposits == held["inventory"]
    assert 2 * OPENING_MINOR - 2 * 40_000 < accepted <= 2 * OPENING_MINOR
