"""`florin up` with input that it cannot use: said in a sentence with its code, before anything is imported.

florin up
├── with a malformed row: names file and line, and records no book
├── with a directory that is no book: names the missing file
├── with a chain that does not answer: names it, and starts nothing
├── with an amount, or a chain, that is none: shows the usage
└── verify-books and rebuild-projection without a country: say to run `florin up` first
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from scripts.commands import rebuild_projection, up, verify_books
from scripts.country.data_directory import DataDirectory
from scripts.orders.sample_book import SampleSize, write_sample_book
from tests.journeys.country_process import florin


def test_a_malformed_row_is_named_and_nothing_is_imported(tmp_path: Path) -> None:
    book = tmp_path / "book"
    write_sample_book(book, SampleSize(3, 2))
    with (book / "order.csv").open("a", newline="") as file:
        file.write('99;1;"YZ";"1";-5.00;" "\r\n')
    refused = florin("up", "--once", "--data", tmp_path / "data", "--book", book)
    assert refused.status == 1
    assert "MalformedBookRow: order.csv line 4" in refused.errors
    assert "--skip-bad-rows" in refused.errors
    assert DataDirectory(tmp_path / "data").read_record().book_fingerprint == ""


def test_a_chain_that_does_not_answer_is_named_before_anything_is_started(tmp_path: Path) -> None:
    refused = florin("up", "--once", "--data", tmp_path / "data", "--chain", "http://127.0.0.1:9")
    assert refused.status == 1
    assert "ChainUnreachable: nothing answers at http://127.0.0.1:9" in refused.errors
    assert not (tmp_path / "data" / "postgres").exists()


def test_a_directory_without_a_book_is_refused(tmp_path: Path) -> None:
    refused = florin("up", "--once", "--data", tmp_path / "data", "--book", tmp_path)
    assert refused.status == 1
    assert "BookFileMissing" in refused.errors
    assert "district.csv" in refused.errors


@pytest.mark.parametrize(
    "arguments", [("--opening-balance", "5e3"), ("--opening-balance", "-1"), ("--chain", "ethereum")]
)
def test_an_argument_that_makes_no_sense_shows_the_usage(
    arguments: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as leaving:
        up.main(["--data", str(tmp_path / "data"), *arguments])
    assert leaving.value.code == 2
    assert arguments[0] in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", [verify_books, rebuild_projection])
def test_a_command_on_books_that_do_not_exist_says_what_to_do(
    command: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--data", str(tmp_path / "data")]) == 1
    said = capsys.readouterr().err
    assert "NoCountry" in said
    assert "florin up" in said
