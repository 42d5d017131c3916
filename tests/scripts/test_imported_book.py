"""A country's book stays the one that it was built from.

a country
├── without a book: gets the generated one, or the given one, as a copy of its own
└── with one
    ├── and the same one given, or none: goes on with it, also when the original is gone
    ├── and another one given: AnotherBook
    └── and another opening balance given: AnotherBook
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from rich.console import Console

from scripts.country.data_directory import AnotherBook, DataDirectory, UnknownFormat
from scripts.orders.imported_book import AMPLE_OPENING_BALANCE_MINOR, ImportedBook, take_book
from scripts.orders.sample_book import SampleSize, write_sample_book
from scripts.terminal.progress import Steps


@pytest.fixture
def data(tmp_path: Path) -> DataDirectory:
    (tmp_path / "data").mkdir()
    return DataDirectory(tmp_path / "data")


@pytest.fixture
def given(tmp_path: Path) -> Path:
    write_sample_book(tmp_path / "given", SampleSize(5, 4))
    return tmp_path / "given"


def take(
    data: DataDirectory, book: Path | None = None, opening_minor: int | None = None, *, skip: bool = False
) -> ImportedBook:
    return take_book(data, book, opening_minor, skip_bad_rows=skip, steps=Steps(Console(quiet=True)))


def test_without_a_book_a_sample_is_generated_and_accounts_open_amply(data: DataDirectory) -> None:
    taken = take(data)
    assert len(taken.book.orders) == 500
    assert taken.opening_balance_minor == AMPLE_OPENING_BALANCE_MINOR
    assert take(data).book == taken.book


def test_a_given_book_is_copied_and_goes_on_when_the_original_is_gone(
    data: DataDirectory, given: Path
) -> None:
    taken = take(data, given, 5_000)
    assert (len(taken.book.orders), taken.opening_balance_minor) == (4, 5_000)
    assert take(data, given, 5_000) == taken
    shutil.rmtree(given)
    again = take(data)
    assert (again.book, again.opening_balance_minor) == (taken.book, 5_000)


def test_another_book_is_refused_and_nothing_changes(
    data: DataDirectory, given: Path, tmp_path: Path
) -> None:
    taken = take(data, given)
    write_sample_book(tmp_path / "other", SampleSize(5, 4), seed=2)
    with pytest.raises(AnotherBook, match="make reset"):
        take(data, tmp_path / "other")
    assert take(data).book == taken.book


def test_another_opening_balance_is_refused(data: DataDirectory, given: Path) -> None:
    take(data, given, 5_000)
    with pytest.raises(AnotherBook, match=r"50\.00"):
        take(data, given, 5_001)


def test_rows_left_out_at_the_import_stay_out_without_saying_so_again(
    data: DataDirectory, given: Path
) -> None:
    with (given / "order.csv").open("a", newline="") as file:
        file.write("nonsense\r\n")
    taken = take(data, given, skip=True)
    assert len(taken.book.skipped) == 1
    assert take(data).book == taken.book


def test_a_record_of_another_version_is_not_guessed_at(data: DataDirectory) -> None:
    data.country_file.write_text('{"format": 99}')
    with pytest.raises(UnknownFormat):
        take(data)
    data.country_file.write_text("{")
    with pytest.raises(UnknownFormat):
        take(data)
