"""The oracle and the bank's own rules, held against each other over many random books.

The journeys compare them through the whole country, with few books; here only the rules are asked, with terms
under which every limit refuses something.
"""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

from api.payments.rules import Case, ChainAccount, Conditions, Funds, Tier, decide
from contracts.accounts import AccountFlag
from scripts.orders.book import read_book
from tests.journeys.oracle import Terms, foretell

BOOKS = 60
CUSTOMERS = AccountFlag.REGISTERED | AccountFlag.LINKED
BANK = ChainAccount(
    b"\xbb" * 20, AccountFlag.REGISTERED | AccountFlag.INSTITUTION, Tier(10**15, 10**15, 10**15), 0, 0
)


def write_random_book(directory: Path, chance: random.Random) -> None:
    accounts = range(1, chance.randint(2, 8))
    directory.mkdir()
    files = {
        "district.csv": ["A1;A2", '1;"Praha"'],
        "client.csv": ["client_id;birth_number;district_id"] + [f'{n};"700101";1' for n in accounts],
        "account.csv": ["account_id;district_id"] + [f"{n};1" for n in accounts],
        "disp.csv": ["disp_id;client_id;account_id;type"] + [f'{n};{n};{n};"OWNER"' for n in accounts],
        "order.csv": ["order_id;account_id;bank_to;account_to;amount;k_symbol"]
        + [
            f'{order};{chance.choice(accounts)};"AB";"{chance.randint(1, 5)}";{amount / 100:.2f};" "'
            for order in range(30)
            if (amount := chance.randint(1, 900_000))
        ],
    }
    for name, lines in files.items():
        (directory / name).write_text("\n".join(lines) + "\n")


def minor(amount: Decimal) -> int:
    return int(amount * 100)


def decided_by_the_rules(directory: Path, terms: Terms) -> dict[str, list[str]]:
    """Each order's reasons, when every accepted one is settled before the next is decided."""
    tier = Tier(minor(terms.holding_limit), minor(terms.per_payment_limit), minor(terms.daily_limit))
    biller_tier = Tier(*[minor(terms.biller_holding_limit)] * 3)
    book = read_book(directory)
    deposits = dict.fromkeys((account.account_id for account in book.accounts), minor(terms.opening_balance))
    spent, held = dict.fromkeys(deposits, 0), dict.fromkeys(book.payees(), 0)
    found = {}
    for order in book.orders:
        decision = decide(
            Case(
                kind="payment",
                amount_minor=order.amount_minor,
                conditions=Conditions(is_paused=False, frozen_flow_reason=None),
                payer=ChainAccount(b"\x01" * 20, CUSTOMERS, tier, 0, spent[order.account_id]),
                payee=ChainAccount(b"\x02" * 20, CUSTOMERS, biller_tier, held[order.payee], 0),
                payee_bank=BANK,
                funds=Funds(0, deposits[order.account_id], 10**12),
            )
        )
        found[str(order.order_id)] = [reason.code for reason in decision.reasons]
        if decision.is_accepted:
            assert decision.from_deposit_minor == order.amount_minor
            deposits[order.account_id] -= order.amount_minor
            spent[order.account_id] += order.amount_minor
            room = biller_tier.holding_limit_minor - held[order.payee]
            held[order.payee] += min(room, order.amount_minor)
    return found


def test_the_banks_rules_decide_every_order_as_the_oracle_does(tmp_path: Path) -> None:
    seen = set()
    for seed in range(BOOKS):
        chance = random.Random(seed)
        write_random_book(tmp_path / str(seed), chance)
        terms = Terms(
            opening_balance=Decimal(chance.randint(0, 2_000_000)) / 100,
            holding_limit=Decimal(chance.randint(600_000, 900_000)) / 100,
            per_payment_limit=Decimal(chance.randint(500_000, 800_000)) / 100,
            daily_limit=Decimal(chance.randint(500_000, 2_000_000)) / 100,
        )
        fate = foretell(tmp_path / str(seed), terms)
        assert decided_by_the_rules(tmp_path / str(seed), terms) == fate.refusals, f"seed {seed}"
        seen |= {code for codes in fate.refusals.values() for code in codes}
    assert seen == {
        "PerPaymentLimitExceeded", "DailyLimitExceeded", "InsufficientFunds", "HoldingLimitExceeded",
    }  # fmt: skip
