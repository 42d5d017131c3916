"""The book of a country: generated or given, copied into the data directory, and the same ever after."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from api.money import format_amount
from scripts.country.data_directory import AnotherBook, DataDirectory
from scripts.country.institutions import CURRENCY_EXPONENT
from scripts.orders.book import FILES, Book, read_book
from scripts.orders.sample_book import write_sample_book
from scripts.terminal.progress import Steps

AMPLE_OPENING_BALANCE_MINOR = 2_500_000
SKIPPED_ROWS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class ImportedBook:
    """What runs through the country. `source` says where the book came from."""

    book: Book
    source: str
    opening_balance_minor: int


def take_book(
    data: DataDirectory,
    directory: Path | None,
    opening_balance_minor: int | None,
    *,
    skip_bad_rows: bool,
    steps: Steps,
) -> ImportedBook:
    """The book to run: the given one, the one that the country knows already, or a sample.

    Raises BookError for one that cannot be read, and AnotherBook where it, or the opening balance, is not the
    one that the country was built from.
    """
    record = data.read_record()
    own = data.path / "book"
    skip_bad_rows = skip_bad_rows or record.is_skipping_bad_rows
    with steps.step("Book"):
        if directory is None and not record.book_fingerprint:
            write_sample_book(own)
        book = read_book(directory or own, skip_bad_rows=skip_bad_rows)
    source = str(directory.resolve()) if directory else record.book_source or "generated sample"
    if record.book_fingerprint:
        if book.fingerprint != record.book_fingerprint:
            raise AnotherBook(data.path, f"the book of {record.book_source}, and {source} is another")
        known_minor = record.opening_balance_minor
        if opening_balance_minor not in (None, known_minor):
            known = format_amount(known_minor, CURRENCY_EXPONENT)
            raise AnotherBook(data.path, f"accounts that were opened with {known} each")
        opening_balance_minor = known_minor
    elif directory is not None:
        own.mkdir(exist_ok=True)
        for file in FILES:
            shutil.copyfile(directory / file, own / file)
    if opening_balance_minor is None:
        opening_balance_minor = AMPLE_OPENING_BALANCE_MINOR
    record.book_source, record.book_fingerprint = source, book.fingerprint
    record.opening_balance_minor, record.is_skipping_bad_rows = opening_balance_minor, skip_bad_rows
    data.write_record(record)
    _say_what_was_skipped(book, steps)
    return ImportedBook(book, source, opening_balance_minor)


def _say_what_was_skipped(book: Book, steps: Steps) -> None:
    for row in book.skipped[:SKIPPED_ROWS_SHOWN]:
        steps.say(f"Skipped {row.file} line {row.line}: {row.reason}")
    if len(book.skipped) > SKIPPED_ROWS_SHOWN:
        steps.say(f"... and {len(book.skipped) - SKIPPED_ROWS_SHOWN} more rows.")
