"""A small made-up book of the same form as a real one, for everybody who has none."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

LARGEST_ORDER_MINOR = 1_488_200
LARGEST_ACCOUNT_TOTAL_MINOR = 2_270_430

_BANK_CODES = ("AB", "CD", "EF", "GH", "IJ", "KL", "MN", "OP", "QR", "ST", "UV", "WX", "YZ")
_PURPOSES = ("SIPO", "SIPO", "SIPO", "SIPO", "SIPO", " ", " ", "UVER", "POJISTNE", "LEASING")
_DISTRICTS = (
    "Hl.m. Praha",
    "Benesov",
    "Kladno",
    "Plzen - mesto",
    "Liberec",
    "Brno - mesto",
    "Zlin",
    "Ostrava - mesto",
)


@dataclass(frozen=True, slots=True)
class SampleSize:
    """How large the book is. A fifth of the customers only dispose of another's account, as in life."""

    customers: int = 300
    orders: int = 500


def write_sample_book(directory: Path, size: SampleSize = SampleSize(), seed: int = 1999) -> None:
    """Writes the five files; the same size and seed give the same bytes."""
    generator = random.Random(seed)  # noqa: S311 - a sample, not a secret
    accounts = max(1, size.customers * 4 // 5)
    district_count = len(_DISTRICTS)
    directory.mkdir(parents=True, exist_ok=True)
    district_header = tuple(f"A{column}" for column in range(1, 17))
    _write(
        directory / "district.csv",
        district_header,
        ((number, name, "Czechia", *([0] * 13)) for number, name in enumerate(_DISTRICTS, start=1)),
        has_quoted_header=False,
    )
    _write(
        directory / "client.csv",
        ("client_id", "birth_number", "district_id"),
        (
            (client, _birth_number(generator), generator.randint(1, district_count))
            for client in range(1, size.customers + 1)
        ),
    )
    _write(
        directory / "account.csv",
        ("account_id", "district_id", "frequency", "date"),
        (
            (
                account,
                generator.randint(1, district_count),
                "POPLATEK MESICNE",
                930000 + generator.randint(101, 128),
            )
            for account in range(1, accounts + 1)
        ),
    )
    _write(
        directory / "disp.csv",
        ("disp_id", "client_id", "account_id", "type"),
        (
            (client, client, client, "OWNER")
            if client <= accounts
            else (client, client, generator.randint(1, accounts), "DISPONENT")
            for client in range(1, size.customers + 1)
        ),
    )
    _write(
        directory / "order.csv",
        ("order_id", "account_id", "bank_to", "account_to", "amount", "k_symbol"),
        _orders(generator, accounts, size.orders),
    )


def _orders(generator: random.Random, accounts: int, count: int) -> Iterable[Sequence[object]]:
    """Orders of mostly small amounts; one is the largest allowed, and a payee in ten is paid again."""
    spent_minor = dict.fromkeys(range(1, accounts + 1), 0)
    payees: list[tuple[str, str]] = []
    rows: list[Sequence[object]] = []
    for number in range(count):
        amount_minor = LARGEST_ORDER_MINOR if number == 0 else _amount_minor(generator)
        able = [a for a, spent in spent_minor.items() if spent + amount_minor <= LARGEST_ACCOUNT_TOTAL_MINOR]
        if not able:
            raise ValueError(f"{count} orders are too many for {accounts} accounts")
        account = generator.choice(able)
        spent_minor[account] += amount_minor
        if payees and generator.randrange(10) == 0:
            payee = generator.choice(payees)
        else:
            payee = (generator.choice(_BANK_CODES), str(generator.randint(10_000, 99_999_999)))
            payees.append(payee)
        major, minor = divmod(amount_minor, 100)
        rows.append((account, *payee, f"{major}.{minor:02d}", generator.choice(_PURPOSES)))
    rows.sort(key=lambda row: int(str(row[0])))
    return ((29_401 + number, *row) for number, row in enumerate(rows))


def _amount_minor(generator: random.Random) -> int:
    ceiling_minor = generator.choice((50_000, 150_000, 400_000, 800_000, 1_400_000))
    amount_minor = generator.randint(100, ceiling_minor)
    return amount_minor - amount_minor % generator.choice((1, 10, 100))


def _birth_number(generator: random.Random) -> str:
    month = generator.randint(1, 12) + generator.choice((0, 50))
    return f"{generator.randint(20, 79):02d}{month:02d}{generator.randint(1, 28):02d}"


def _write(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[object]], *, has_quoted_header: bool = True
) -> None:
    """The form's own quoting: texts in quotes, numbers (and amounts) bare."""
    with path.open("w", encoding="utf-8", newline="") as file:
        names = csv.writer(
            file, delimiter=";", quoting=csv.QUOTE_ALL if has_quoted_header else csv.QUOTE_MINIMAL
        )
        names.writerow(header)
        amount_column = header.index("amount") if "amount" in header else -1
        for row in rows:
            cells = (
                str(cell) if isinstance(cell, int) or column == amount_column else f'"{cell}"'
                for column, cell in enumerate(row)
            )
            file.write(";".join(cells) + "\r\n")
