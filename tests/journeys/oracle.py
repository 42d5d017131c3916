"""What must become of a book's orders, calculated without any of Florin's own code.

The rules of the sample country, in the words of its terms: an account opens with a deposit; its wallet starts
empty; an order takes first what the wallet has and then the deposit; within one day an account may spend so
much, in one payment so much, and its wallet may never hold more than so much, not even between funding and
paying. Orders are decided in the file's order. A biller may hold so much; what it gets beyond is deposited at
its bank.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path


@dataclass(frozen=True)
class Terms:
    """Limits in major units."""

    opening_balance: Decimal
    holding_limit: Decimal = Decimal("30000.00")
    per_payment_limit: Decimal = Decimal("15000.00")
    daily_limit: Decimal = Decimal("25000.00")
    biller_holding_limit: Decimal = Decimal("1000.00")


@dataclass
class Fate:
    """What must have happened at the end; amounts in major units."""

    refusals: dict[str, list[str]] = field(default_factory=dict)
    """Each order, by its number: the codes of all reasons against it, or none when it is paid."""
    owners: dict[str, str] = field(default_factory=dict)
    """Each account's client, by their numbers."""
    deposits: dict[str, Decimal] = field(default_factory=dict)
    biller_wallets: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    biller_deposits: dict[tuple[str, str], Decimal] = field(default_factory=dict)

    @property
    def paid(self) -> int:
        """How many orders are paid."""
        return sum(1 for codes in self.refusals.values() if not codes)

    def counts(self) -> dict[str, int]:
        """Refused orders by the first reason."""
        counts: dict[str, int] = {}
        for codes in self.refusals.values():
            if codes:
                counts[codes[0]] = counts.get(codes[0], 0) + 1
        return counts


def foretell(book: Path, terms: Terms) -> Fate:
    """Reads the book's own files and decides every order."""
    fate = Fate()
    spent: dict[str, Decimal] = {}
    for row in _rows(book / "disp.csv"):
        if row["type"] == "OWNER":
            fate.owners[row["account_id"]] = row["client_id"]
            fate.deposits[row["account_id"]] = terms.opening_balance
            spent[row["account_id"]] = Decimal(0)
    for row in _rows(book / "order.csv"):
        account, payee = row["account_id"], (row["bank_to"], row["account_to"])
        amount = Decimal(row["amount"])
        fate.biller_wallets.setdefault(payee, Decimal(0))
        fate.biller_deposits.setdefault(payee, Decimal(0))
        codes = []
        if amount > terms.per_payment_limit:
            codes.append("PerPaymentLimitExceeded")
        if spent[account] + amount > terms.daily_limit:
            codes.append("DailyLimitExceeded")
        if amount > fate.deposits[account]:
            codes.append("InsufficientFunds")
        elif amount > terms.holding_limit:
            codes.append("HoldingLimitExceeded")
        fate.refusals[row["order_id"]] = codes
        if codes:
            continue
        fate.deposits[account] -= amount
        spent[account] += amount
        kept = min(amount, terms.biller_holding_limit - fate.biller_wallets[payee])
        fate.biller_wallets[payee] += kept
        fate.biller_deposits[payee] += amount - kept
    return fate


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="latin-1", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))
