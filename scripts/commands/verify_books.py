"""`florin verify-books`: replays journal and chain from their beginning and prints every difference.

florin verify-books [--data DIR]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from api.money import format_amount
from scripts.books.verify import Verdict, verify
from scripts.commands.errors import EXPECTED_ERRORS, print_error
from scripts.country.data_directory import DataDirectory
from scripts.country.institutions import signer_journals
from scripts.country.reach import reach_books
from scripts.terminal.output import output_console
from scripts.terminal.progress import Steps


def print_verdict(console: Console, verdict: Verdict, exponent: int) -> None:
    """Prints every check, and every finding."""
    table = Table(title=f"Books and chain at block {verdict.block_number}", title_justify="left")
    table.add_column("institution")
    table.add_column("check")
    for heading in ("books", "chain", "difference"):
        table.add_column(heading, justify="right")
    for check in verdict.checks:
        amounts = (check.books_minor, check.chain_minor, check.difference_minor)
        table.add_row(
            check.institution,
            check.name,
            *(format_amount(amount, exponent) for amount in amounts),
            style="bold red" if check.difference_minor else None,
        )
    console.print(table)
    for finding in verdict.findings:
        console.print(
            f"{finding.where}: {finding.check}: {finding.subject}: expected {finding.expected}, "
            f"found {finding.found}",
            style="bold red",
            highlight=False,
        )
    console.print(f"{verdict.anchors} anchors recomputed.", highlight=False)
    if verdict.holds:
        console.print("No difference.", style="green")
    else:
        wrong = sum(1 for check in verdict.checks if check.difference_minor) + len(verdict.findings)
        console.print(f"{wrong} differences.", style="bold red")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; exit status 1 on any difference."""
    parser = argparse.ArgumentParser(
        prog="florin verify-books",
        description="Replay journal and chain from block 0; print every difference.",
    )
    parser.add_argument("--data", type=Path, default=Path(".florin"), help="where the country lives")
    options = parser.parse_args(arguments)
    console, data = Console(stderr=True), DataDirectory(options.data)
    try:
        with Steps(console) as steps, reach_books(data, steps) as settings:
            verdict = asyncio.run(verify(settings, steps, signer_journals(data)))
    except KeyboardInterrupt:
        return 130
    except EXPECTED_ERRORS as error:
        print_error(console, error)
        return 1
    print_verdict(output_console(), verdict, settings[0].currency_exponent)
    return 0 if verdict.holds else 1


if __name__ == "__main__":
    sys.exit(main())
