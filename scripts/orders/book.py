"""A bank's book in the form of the PKDD'99 Discovery Challenge: clients, accounts and standing orders.

The form is five semicolon-separated files with a header line: district, client, account, disp (who may
dispose of which account) and order. A row that breaks the form is refused by file and line; with
`skip_bad_rows` the rest is read, and every skipped row is listed with its reason, as are the rows that depend
on it.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

from api.money import MalformedAmount, parse_amount
from scripts.orders.names import person_name

LARGEST_AMOUNT_MINOR = 2**40 - 1
"""What the five bytes of a payment record can carry."""

FILES = ("district.csv", "client.csv", "account.csv", "disp.csv", "order.csv")

_INTEGER = re.compile(r"[0-9]{1,12}", re.ASCII)
_BANK_CODE = re.compile(r"[A-Z0-9]{1,11}", re.ASCII)
_ACCOUNT_NUMBER = re.compile(r"[0-9]{1,34}", re.ASCII)
_BIRTH_NUMBER = re.compile(r"[0-9]{6}", re.ASCII)
_AMOUNT = re.compile(r"[0-9]{1,15}(?:\.[0-9]+)?", re.ASCII)
_EXPONENT = 2


class BookError(Exception):
    """A book that cannot be imported as it is. `code` is stable."""

    code = "UnreadableBook"


class BookFileMissing(BookError):
    """The directory lacks one of the five files."""

    code = "BookFileMissing"

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f"{path} is missing; a book is a directory with {', '.join(FILES)}")


class MalformedBookRow(BookError):
    """A row (or, as line 1, a header) that breaks the form."""

    code = "MalformedBookRow"

    def __init__(self, file: str, line: int, reason: str) -> None:
        self.file, self.line, self.reason = file, line, reason
        super().__init__(
            f"{file} line {line}: {reason}. Correct the row, or import the rest with --skip-bad-rows"
        )


@dataclass(frozen=True, slots=True)
class Client:
    """A person. The form has no names, so `name` is made from the client's number."""

    client_id: int
    name: str
    district: str
    line: int


@dataclass(frozen=True, slots=True)
class Account:
    """A deposit account and the client who owns it."""

    account_id: int
    owner_id: int
    line: int


@dataclass(frozen=True, slots=True)
class Order:
    """A standing order: `amount_minor` from an account to an account at another bank."""

    order_id: int
    account_id: int
    bank_to: str
    account_to: str
    amount_minor: int
    purpose: str
    line: int

    @property
    def payee(self) -> tuple[str, str]:
        """Who is paid: the bank's code and the account's number there."""
        return self.bank_to, self.account_to


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """A row that was left out, and why."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class BookFacts:
    """The figures by which a book is known."""

    paying_accounts: int
    payees: int
    orders: int
    total_minor: int
    largest_order_minor: int
    largest_account_total_minor: int


@dataclass(frozen=True, slots=True)
class Book:
    """A whole book, in the order of its files. `fingerprint` is the SHA-256 of the five files."""

    clients: tuple[Client, ...]
    accounts: tuple[Account, ...]
    orders: tuple[Order, ...]
    skipped: tuple[SkippedRow, ...]
    fingerprint: str

    def payees(self) -> dict[tuple[str, str], str]:
        """Each distinct payee in order of appearance, with the purpose of its first order."""
        payees: dict[tuple[str, str], str] = {}
        for order in self.orders:
            payees.setdefault(order.payee, order.purpose)
        return payees

    def facts(self) -> BookFacts:
        """Counts and totals; amounts in minor units."""
        by_account: defaultdict[int, int] = defaultdict(int)
        for order in self.orders:
            by_account[order.account_id] += order.amount_minor
        return BookFacts(
            paying_accounts=len(by_account),
            payees=len(self.payees()),
            orders=len(self.orders),
            total_minor=sum(by_account.values()),
            largest_order_minor=max((order.amount_minor for order in self.orders), default=0),
            largest_account_total_minor=max(by_account.values(), default=0),
        )


class _BadRowError(ValueError):
    """A row's own reason, before file and line are known."""


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    fields: Mapping[str, str]

    def text(self, column: str) -> str:
        return self.fields[column].strip()

    def matching(self, column: str, pattern: re.Pattern[str], meaning: str) -> str:
        value = self.text(column)
        if pattern.fullmatch(value) is None:
            raise _BadRowError(f"{column} is {value!r}, not {meaning}")
        return value

    def number(self, column: str) -> int:
        return int(self.matching(column, _INTEGER, "a whole number"))

    def amount_minor(self, column: str) -> int:
        text = self.matching(column, _AMOUNT, "an amount such as 2452.00")
        try:
            amount_minor = parse_amount(text, _EXPONENT)
        except MalformedAmount as malformed:
            raise _BadRowError(f"{column}: {malformed.sentence}") from malformed
        if not 0 < amount_minor <= LARGEST_AMOUNT_MINOR:
            raise _BadRowError(f"{column} is {text}, not between 0.01 and the most that a payment carries")
        return amount_minor


T = TypeVar("T")


class _Intake:
    """One reading of a directory: the rows kept so far, and the rows skipped with their reasons."""

    def __init__(self, directory: Path, *, skip_bad_rows: bool) -> None:
        self.directory = directory
        self.skip_bad_rows = skip_bad_rows
        self.skipped: list[SkippedRow] = []
        self.skipped_lines: dict[tuple[str, int], int] = {}
        self.digest = hashlib.sha256()

    def table(
        self, file: str, key: str, columns: tuple[str, ...], parse: Callable[[_Row], T]
    ) -> dict[int, T]:
        kept: dict[int, T] = {}
        for row in self._rows(file, (key, *columns)):
            identifier: int | None = None
            try:
                identifier = row.number(key)
                if identifier in kept:
                    raise _BadRowError(f"{key} {identifier} appears twice")  # noqa: TRY301
                kept[identifier] = parse(row)
            except _BadRowError as bad:
                self.skip(file, row.line, str(bad), None if identifier in kept else identifier)
        return kept

    def skip(self, file: str, line: int, reason: str, identifier: int | None = None) -> None:
        if not self.skip_bad_rows:
            raise MalformedBookRow(file, line, reason)
        self.skipped.append(SkippedRow(file, line, reason))
        if identifier is not None:
            self.skipped_lines[(file, identifier)] = line

    def missing(self, noun: str, identifier: int) -> NoReturn:
        """Refuses a row that refers to a row of `<noun>.csv` that is not there."""
        line = self.skipped_lines.get((f"{noun}.csv", identifier))
        if line is None:
            raise _BadRowError(f"there is no {noun} {identifier}")
        raise _BadRowError(f"its {noun} {identifier} was skipped ({noun}.csv line {line})")

    def _rows(self, file: str, columns: tuple[str, ...]) -> Iterator[_Row]:
        path = self.directory / file
        if not path.is_file():
            raise BookFileMissing(path)
        content = path.read_bytes()
        self.digest.update(f"{file}:{len(content)}:".encode() + content)
        lines = [text.rstrip("\r") for text in _decoded(content).split("\n")]
        header = [name.strip() for name in lines[0].replace('"', "").split(";")]
        absent = [column for column in columns if header.count(column) != 1]
        if absent:
            raise MalformedBookRow(file, 1, f"the header lacks {', '.join(absent)}")
        for line, text in enumerate(lines[1:], start=2):
            if not text.strip():
                continue
            try:
                fields = _split(text)
                if len(fields) != len(header):
                    raise _BadRowError(f"{len(fields)} fields where the header has {len(header)}")  # noqa: TRY301
            except (csv.Error, _BadRowError) as bad:
                self.skip(file, line, str(bad))
                continue
            yield _Row(line, dict(zip(header, fields, strict=True)))


def read_book(directory: Path, *, skip_bad_rows: bool = False) -> Book:
    """Reads the book in `directory`.

    Raises BookFileMissing, or MalformedBookRow at the first bad row unless `skip_bad_rows`; a bad header is
    never skipped.
    """
    intake = _Intake(directory, skip_bad_rows=skip_bad_rows)
    districts = intake.table("district.csv", "A1", ("A2",), lambda row: row.text("A2"))
    clients = intake.table(
        "client.csv",
        "client_id",
        ("birth_number", "district_id"),
        lambda row: _client(intake, districts, row),
    )
    accounts = intake.table(
        "account.csv", "account_id", ("district_id",), lambda row: _account_line(intake, districts, row)
    )
    owners = _owners(intake, clients, accounts)
    for account_id, line in accounts.items():
        if account_id not in owners:
            intake.skip("account.csv", line, f"account {account_id} has no owner in disp.csv", account_id)
    owned = tuple(
        Account(account_id, owners[account_id], line)
        for account_id, line in accounts.items()
        if account_id in owners
    )
    orders = intake.table(
        "order.csv",
        "order_id",
        ("account_id", "bank_to", "account_to", "amount", "k_symbol"),
        lambda row: _order(intake, owners, row),
    )
    return Book(
        clients=tuple(clients.values()),
        accounts=owned,
        orders=tuple(orders.values()),
        skipped=tuple(intake.skipped),
        fingerprint=intake.digest.hexdigest(),
    )


def _client(intake: _Intake, districts: Mapping[int, str], row: _Row) -> Client:
    client_id, district_id = row.number("client_id"), row.number("district_id")
    birth_number = row.matching("birth_number", _BIRTH_NUMBER, "six digits")
    if district_id not in districts:
        intake.missing("district", district_id)
    # The form adds 50 to the month of birth of women.
    is_woman = int(birth_number[2:4]) > 50
    return Client(client_id, person_name(client_id, is_woman=is_woman), districts[district_id], row.line)


def _account_line(intake: _Intake, districts: Mapping[int, str], row: _Row) -> int:
    district_id = row.number("district_id")
    if district_id not in districts:
        intake.missing("district", district_id)
    return row.line


def _owners(intake: _Intake, clients: Mapping[int, Client], accounts: Mapping[int, int]) -> dict[int, int]:
    """The owning client of each account; the form's other disposition, DISPONENT, gives no wallet."""
    owners: dict[int, int] = {}

    def parse(row: _Row) -> None:
        client_id, account_id = row.number("client_id"), row.number("account_id")
        disposition = row.text("type")
        if disposition not in {"OWNER", "DISPONENT"}:
            raise _BadRowError(f"type is {disposition!r}, not OWNER or DISPONENT")
        if client_id not in clients:
            intake.missing("client", client_id)
        if account_id not in accounts:
            intake.missing("account", account_id)
        if disposition == "OWNER":
            if account_id in owners:
                raise _BadRowError(f"account {account_id} already has an owner")
            owners[account_id] = client_id

    intake.table("disp.csv", "disp_id", ("client_id", "account_id", "type"), parse)
    return owners


def _order(intake: _Intake, owners: Mapping[int, int], row: _Row) -> Order:
    account_id = row.number("account_id")
    if account_id not in owners:
        intake.missing("account", account_id)
    return Order(
        order_id=row.number("order_id"),
        account_id=account_id,
        bank_to=row.matching("bank_to", _BANK_CODE, "a bank's code"),
        account_to=row.matching("account_to", _ACCOUNT_NUMBER, "an account's number"),
        amount_minor=row.amount_minor("amount"),
        purpose=row.text("k_symbol"),
        line=row.line,
    )


def _split(text: str) -> list[str]:
    """The fields of one line. The form has no line breaks inside quotes, so a line is always a row."""
    return next(csv.reader([text], delimiter=";", strict=True), [])


def _decoded(content: bytes) -> str:
    """UTF-8 where it is that, else Latin-1, which older copies of the book use."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")
