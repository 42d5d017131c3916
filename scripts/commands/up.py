"""`florin up`: starts a small country, runs a book through it, checks the books, and stays up.

    florin up [--book DIR] [--opening-balance AMOUNT] [--chain auto|eth-tester|anvil|URL] [--data DIR]
              [--once] [--json] [--skip-bad-rows]

Ctrl-C stops everything that it started. The same command again goes on from the same state.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import sys
import time
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import msgspec
from rich.console import Console

from api.errors import FlorinError
from api.money import parse_amount
from api.settings import Settings
from scripts.books.verify import verify, wait_until_level
from scripts.commands.errors import EXPECTED_ERRORS, print_error
from scripts.commands.summary import Summary, print_summary
from scripts.commands.verify_books import print_verdict
from scripts.country.chain_launch import LOCAL_KINDS
from scripts.country.data_directory import DataDirectory
from scripts.country.institutions import (
    BILLING_BANK,
    CENTRAL_BANK,
    CURRENCY_EXPONENT,
    PAYING_BANK,
    signer_journals,
)
from scripts.country.quorum import officers_at_work
from scripts.country.start import Country, CountryStart
from scripts.orders import run_book
from scripts.orders.api_client import ApiClient
from scripts.orders.approvals import Consent
from scripts.orders.imported_book import ImportedBook, take_book
from scripts.orders.run_book import Offices, Run, RunOutcome
from scripts.supervision.processes import Supervisor
from scripts.terminal.output import output_console
from scripts.terminal.patience import patiently
from scripts.terminal.progress import Steps

WATCH_S = 0.5
NODE_TIMEOUT = aiohttp.ClientTimeout(total=10)
IMPORTED = "orders sent"

Result = TypeVar("Result")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command. Exit status 0 only if nothing differs and every order is accounted for."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    began_at = time.monotonic()
    data = DataDirectory(options.data)
    try:
        with Supervisor(data.path) as supervisor:
            with Steps(console) as steps:
                summary = _run(options, data, supervisor, steps, began_at)
            _report(summary, is_json=options.json)
            if not options.once:
                console.print(summary.last_words, style=None if summary.is_good else "bold red")
                _stay(supervisor)
    except KeyboardInterrupt:
        console.print("Stopped everything that this command had started.")
        return 130
    except EXPECTED_ERRORS as error:
        print_error(console, error)
        return 1
    return 0 if summary.is_good else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="florin up", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--book", type=Path, help="a directory with a book in the PKDD'99 form; else a sample"
    )
    parser.add_argument(
        "--opening-balance", type=_amount, metavar="AMOUNT", help="of each account (default 25000.00)"
    )
    parser.add_argument("--chain", type=_chain, default="auto", help="auto, eth-tester, anvil, or an RPC URL")
    parser.add_argument("--data", type=Path, default=Path(".florin"), help="where the country lives")
    parser.add_argument("--once", action="store_true", help="exit after the table")
    parser.add_argument("--json", action="store_true", help="print the summary as one last line of JSON")
    parser.add_argument("--skip-bad-rows", action="store_true", help="import the rest of a malformed book")
    return parser


def _chain(text: str) -> str:
    kinds = ("auto", *LOCAL_KINDS)
    if text not in kinds and not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(kinds)}, nor a URL")
    return text


def _amount(text: str) -> int:
    try:
        amount_minor = parse_amount(text, CURRENCY_EXPONENT)
    except FlorinError as error:
        raise argparse.ArgumentTypeError(error.sentence) from error
    if amount_minor < 0:
        raise argparse.ArgumentTypeError("an account does not open below zero")
    return amount_minor


def _run(
    options: argparse.Namespace, data: DataDirectory, supervisor: Supervisor, steps: Steps, began_at: float
) -> Summary:
    imported = take_book(
        data, options.book, options.opening_balance, skip_bad_rows=options.skip_bad_rows, steps=steps
    )
    country = CountryStart(data, supervisor, steps).run(options.chain)
    policies = asyncio.run(_watched(supervisor, policies_in_force(country.settings)))
    outcome = asyncio.run(_watched(supervisor, _run_book(country, data, imported, steps)))
    settings = list(country.settings.values())
    asyncio.run(_watched(supervisor, wait_until_level(settings, steps)))
    verdict = asyncio.run(_watched(supervisor, verify(settings, steps, signer_journals(data))))
    return Summary(country, imported, outcome, verdict, policies, time.monotonic() - began_at)


def _report(summary: Summary, *, is_json: bool) -> None:
    """Prints the table, every check where one failed, and the line of JSON."""
    output = output_console()
    if not summary.verdict.holds:
        print_verdict(output, summary.verdict, CURRENCY_EXPONENT)
    print_summary(output, summary)
    if is_json:
        sys.stdout.write(msgspec.json.encode(summary.as_json()).decode() + "\n")
    sys.stdout.flush()


async def _run_book(
    country: Country, data: DataDirectory, imported: ImportedBook, steps: Steps
) -> RunOutcome:
    """Imports the book and runs its orders, or only waits for their end where that was done before."""
    async with AsyncExitStack() as stack:
        offices = Offices(*[
            await stack.enter_async_context(ApiClient(country.url(plan.slug), country.api_keys[plan.slug]))
            for plan in (CENTRAL_BANK, PAYING_BANK, BILLING_BANK)
        ])  # fmt: skip
        record = data.read_record()
        if not record.mandates_from_s:
            record.mandates_from_s = int(time.time())
            data.write_record(record)
        run = Run(
            imported.book,
            imported.opening_balance_minor,
            Consent.at(PAYING_BANK, country, data),
            mandates_from_s=record.mandates_from_s,
        )
        if IMPORTED not in record.done:

            async def level() -> None:
                await wait_until_level(list(country.settings.values()), steps)

            async with officers_at_work(data):
                await run_book.import_and_send(offices, run, country, level, steps)
            record.done.append(IMPORTED)
            data.write_record(record)
        return await run_book.wait_for_orders(offices, run, steps)


async def _watched(supervisor: Supervisor, work: Coroutine[Any, Any, Result]) -> Result:
    """Runs `work`, and gives it up when a process is beyond help."""

    async def watch() -> None:
        while True:
            supervisor.check()
            await asyncio.sleep(WATCH_S)

    working, watching = asyncio.ensure_future(work), asyncio.ensure_future(watch())
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if watching.done():
            watching.result()
        return await working
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def policies_in_force(settings: Mapping[str, Settings]) -> dict[str, str]:
    """The policy in force at each institution's node. Raises Unanswered."""

    async def ask(socket: Path) -> str:
        connector = aiohttp.UnixConnector(path=str(socket))
        async with (
            aiohttp.ClientSession(connector=connector, timeout=NODE_TIMEOUT) as session,
            session.get("http://node/v1/keys", raise_for_status=True) as answer,
        ):
            return str((await answer.json())["policy"]["name"])

    return {
        slug: await patiently(
            f"the wallet node of {slug}",
            (aiohttp.ClientError, OSError),
            functools.partial(ask, each.signer_socket),
        )
        for slug, each in settings.items()
    }


def _stay(supervisor: Supervisor) -> None:
    """Until Ctrl-C."""
    try:
        while True:
            supervisor.check()
            time.sleep(WATCH_S)
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    sys.exit(main())
