"""Reading a book.

a book in the PKDD'99 form
├── that is well formed: every client, account and order is read, amounts exactly, in the files' order
├── with a malformed row
│   ├── is refused, naming the file and the line
│   └── is read with skip_bad_rows, listing the row and every row that depends on it
├── with a malformed header, or without a file: is refused even with skip_bad_rows
├── in UTF-8 (with or without its mark) or Latin-1: is read
└── that is the real one: has the published facts
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from api.money import format_amount
from scripts.orders.book import (
    BookFileMissing,
    MalformedBookRow,
    SkippedRow,
    read_book,
)

DISTRICT = 'A1;A2\r\n1;"Praha"\r\n2;"Písek"\r\n'
CLIENT = '"client_id";"birth_number";"district_id"\r\n7;"706213";1\r\n8;"450204";2\r\n9;"450204";2\r\n'
ACCOUNT = '"account_id";"district_id";"frequency";"date"\r\n70;1;"M";930101\r\n80;2;"M";930101\r\n'
DISP = (
    '"disp_id";"client_id";"account_id";"type"\r\n1;7;70;"OWNER"\r\n2;8;80;"OWNER"\r\n3;9;80;"DISPONENT"\r\n'
)
ORDER = (
    '"order_id";"account_id";"bank_to";"account_to";"amount";"k_symbol"\r\n'
    '1;70;"YZ";"87144583";2452.00;"SIPO"\r\n2;80;"ST";"89597016";3372.70;" "\r\n'
    '3;70;"YZ";"87144583";1;"UVER"\r\n'
)


@pytest.fixture
def book(tmp_path: Path) -> Path:
    for name, text in (
        ("district", DISTRICT),
        ("client", CLIENT),
        ("account", ACCOUNT),
        ("disp", DISP),
        ("order", ORDER),
    ):
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8", newline="")
    return tmp_path


def append(book: Path, file: str, row: str) -> int:
    """Adds a row and returns its line."""
    path = book / file
    path.write_text(path.read_text("utf-8") + row + "\r\n", encoding="utf-8", newline="")
    return path.read_text("utf-8").count("\n")


def test_every_client_account_and_order_is_read_in_the_files_order(book: Path) -> None:
    read = read_book(book)
    assert [client.client_id for client in read.clients] == [7, 8, 9]
    assert [client.district for client in read.clients] == ["Praha", "Písek", "Písek"]
    assert [(account.account_id, account.owner_id) for account in read.accounts] == [(70, 7), (80, 8)]
    assert [(o.order_id, o.account_id, o.payee, o.amount_minor) for o in read.orders] == [
        (1, 70, ("YZ", "87144583"), 245_200),
        (2, 80, ("ST", "89597016"), 337_270),
        (3, 70, ("YZ", "87144583"), 100),
    ]
    assert read.payees() == {("YZ", "87144583"): "SIPO", ("ST", "89597016"): ""}
    assert read.skipped == ()


def test_the_same_client_always_has_the_same_name_and_women_have_womens_names(book: Path) -> None:
    first, again = read_book(book), read_book(book)
    assert [client.name for client in first.clients] == [client.name for client in again.clients]
    woman, man, _ = first.clients
    assert woman.name[-1] in "áí"
    assert not man.name.endswith("ová")


def test_the_fingerprint_changes_with_any_byte_of_the_five_files(book: Path) -> None:
    before = read_book(book).fingerprint
    assert read_book(book).fingerprint == before
    append(book, "order.csv", '4;70;"YZ";"87144583";1.00;" "')
    assert read_book(book).fingerprint != before


MALFORMED = [
    ("order.csv", '9;70;"YZ";"1";12.345;" "', "2 decimal digits"),
    ("order.csv", '9;70;"YZ";"1";-5.00;" "', "not an amount"),
    ("order.csv", '9;70;"YZ";"1";1e3;" "', "not an amount"),
    ("order.csv", '9;70;"YZ";"1";1,50;" "', "not an amount"),
    ("order.csv", '9;70;"YZ";"1";٣.00;" "', "not an amount"),
    ("order.csv", '9;70;"YZ";"1";;" "', "not an amount"),
    ("order.csv", '9;70;"YZ";"1";0.00;" "', "not between 0.01"),
    ("order.csv", '9;70;"YZ";"1";10995116277.76;" "', "not between 0.01"),
    ("order.csv", '9;70;"YZ";"1";5.00', "5 fields where the header has 6"),
    ("order.csv", '9;70;"YZ;"1";5.00;" "', "expected after"),
    ("order.csv", '9;70;"YZ";"1";5.00;"unfinished', "unexpected end of data"),
    ("order.csv", '9;71;"YZ";"1";5.00;" "', "there is no account 71"),
    ("order.csv", '3;70;"YZ";"1";5.00;" "', "order_id 3 appears twice"),
    ("order.csv", 'nine;70;"YZ";"1";5.00;" "', "order_id is 'nine', not a whole number"),
    ("order.csv", '9;70;"";"1";5.00;" "', "not a bank's code"),
    ("order.csv", '9;70;"YZ";"DE89";5.00;" "', "not an account's number"),
    ("client.csv", '10;"7062";1', "not six digits"),
    ("client.csv", '10;"706213";99', "there is no district 99"),
    ("account.csv", '90;99;"POPLATEK";930101', "there is no district 99"),
    ("account.csv", '90;1;"POPLATEK";930101', "account 90 has no owner"),
    ("disp.csv", '4;9;70;"OWNER"', "account 70 already has an owner"),
    ("disp.csv", '4;9;70;"THIEF"', "not OWNER or DISPONENT"),
    ("disp.csv", '4;11;70;"DISPONENT"', "there is no client 11"),
    ("disp.csv", '4;9;71;"DISPONENT"', "there is no account 71"),
]


@pytest.mark.parametrize(("file", "row", "reason"), MALFORMED)
def test_a_malformed_row_is_refused_by_file_and_line(book: Path, file: str, row: str, reason: str) -> None:
    line = append(book, file, row)
    with pytest.raises(MalformedBookRow) as refusal:
        read_book(book)
    assert (refusal.value.file, refusal.value.line, refusal.value.code) == (file, line, "MalformedBookRow")
    assert reason in refusal.value.reason
    assert f"{file} line {line}" in str(refusal.value)


@pytest.mark.parametrize(("file", "row", "reason"), MALFORMED)
def test_the_rest_of_a_book_is_read_when_bad_rows_are_skipped(
    book: Path, file: str, row: str, reason: str
) -> None:
    untouched = read_book(book)
    line = append(book, file, row)
    read = read_book(book, skip_bad_rows=True)
    assert (read.clients, read.accounts, read.orders) == (
        untouched.clients,
        untouched.accounts,
        untouched.orders,
    )
    assert [(skipped.file, skipped.line) for skipped in read.skipped] == [(file, line)]
    assert reason in read.skipped[0].reason


def test_rows_that_depend_on_a_skipped_row_are_skipped_with_that_reason(book: Path) -> None:
    (book / "client.csv").write_text(CLIENT.replace("450204", "45", 1), encoding="utf-8", newline="")
    read = read_book(book, skip_bad_rows=True)
    assert read.skipped == (
        SkippedRow("client.csv", 3, "birth_number is '45', not six digits"),
        SkippedRow("disp.csv", 3, "its client 8 was skipped (client.csv line 3)"),
        SkippedRow("account.csv", 3, "account 80 has no owner in disp.csv"),
        SkippedRow("order.csv", 3, "its account 80 was skipped (account.csv line 3)"),
    )
    assert [account.account_id for account in read.accounts] == [70]
    assert [order.order_id for order in read.orders] == [1, 3]


@pytest.mark.parametrize(
    "header", ["", "order_id;account_id", '"order_id";"account_id";"bank_to";"x";"amount";"k"']
)
def test_a_malformed_header_is_refused_even_when_bad_rows_are_skipped(book: Path, header: str) -> None:
    (book / "order.csv").write_text(header + "\r\n", encoding="utf-8", newline="")
    with pytest.raises(MalformedBookRow, match=r"order\.csv line 1: the header lacks"):
        read_book(book, skip_bad_rows=True)


@pytest.mark.parametrize("file", ["district", "client", "account", "disp", "order"])
def test_a_directory_without_one_of_the_files_is_refused(book: Path, file: str) -> None:
    (book / f"{file}.csv").unlink()
    with pytest.raises(BookFileMissing, match=rf"{file}\.csv is missing"):
        read_book(book, skip_bad_rows=True)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_a_book_is_read_in_utf_8_and_in_latin_1(book: Path, encoding: str) -> None:
    (book / "district.csv").write_text(DISTRICT, encoding=encoding, newline="")
    assert read_book(book).clients[1].district == "Písek"


def test_a_book_with_bare_line_feeds_and_empty_lines_is_read(book: Path) -> None:
    (book / "order.csv").write_text(ORDER.replace("\r\n", "\n\n"), encoding="utf-8", newline="")
    assert len(read_book(book).orders) == 3


def test_the_real_book_has_its_published_facts() -> None:
    directory = os.environ.get("FLORIN_TEST_BOOK")
    if not directory:
        pytest.skip("FLORIN_TEST_BOOK names no directory with the PKDD'99 book")
    read = read_book(Path(directory))
    facts = read.facts()
    assert (len(read.clients), len(read.accounts), read.skipped) == (5_369, 4_500, ())
    assert (facts.paying_accounts, facts.payees, facts.orders) == (3_758, 6_446, 6_471)
    assert format_amount(facts.total_minor, 2) == "21,228,993.60"
    assert format_amount(facts.largest_order_minor, 2) == "14,882.00"
    assert format_amount(facts.largest_account_total_minor, 2) == "22,704.30"
