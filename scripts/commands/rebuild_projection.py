"""`florin rebuild-projection`: drops what was derived from the chain, derives it again, and compares.

    florin rebuild-projection [--data DIR]

Each institution's projection is rebuilt in one transaction, which is kept only if the result is identical to
what was there. A difference means that the projection was wrong: with --keep the rebuilt one is kept.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import asyncpg
from rich.console import Console

from api.chain.rebuilding import PROJECTION_TABLES, rebuild
from api.chain.rpc import RpcClient
from api.settings import Settings
from scripts.books.reading import connected
from scripts.commands.errors import EXPECTED_ERRORS, print_error
from scripts.country.data_directory import DataDirectory
from scripts.country.reach import reach_books
from scripts.terminal.output import output_console
from scripts.terminal.progress import Steps

ROWS_SHOWN = 10


async def rebuild_and_compare(settings: Settings, steps: Steps, *, keep: bool) -> dict[str, list[str]]:
    """Rebuilds one institution's projection; the rows that differ, by table. `keep` keeps it even then."""
    async with (
        connected(settings.database_url) as connection,
        RpcClient(settings.rpc_url, timeout_s=120) as rpc,
    ):
        transaction = connection.transaction()
        await transaction.start()
        before = await _contents(connection)
        with steps.step(f"{settings.institution_name}", 100) as advance:
            shown = 0

            def progress(done: int, total: int) -> None:
                nonlocal shown
                percent = done * 100 // max(total, 1)
                advance(percent - shown)
                shown = percent

            await rebuild(connection, rpc, progress)
        after = await _contents(connection)
        differences = {
            table: [f"- {row}" for row in before[table] - after[table]]
            + [f"+ {row}" for row in after[table] - before[table]]
            for table in PROJECTION_TABLES
            if before[table] != after[table]
        }
        await (transaction.rollback() if differences and not keep else transaction.commit())
    return differences


async def _contents(connection: asyncpg.Connection[asyncpg.Record]) -> dict[str, set[str]]:
    """Every row of every table of the projection, as text."""
    return {
        table: {row[0] for row in await connection.fetch(f"SELECT t::text FROM {table} AS t")}  # noqa: S608
        for table in PROJECTION_TABLES
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; exit status 1 if any projection was not what the chain says."""
    parser = argparse.ArgumentParser(
        prog="florin rebuild-projection", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--data", type=Path, default=Path(".florin"), help="where the country lives")
    parser.add_argument("--keep", action="store_true", help="keep the rebuilt projection where it differs")
    options = parser.parse_args(arguments)
    console, output, is_identical = Console(stderr=True), output_console(), True
    try:
        with Steps(console) as steps, reach_books(DataDirectory(options.data), steps) as institutions:
            for settings in institutions:
                differences = asyncio.run(rebuild_and_compare(settings, steps, keep=options.keep))
                is_identical = is_identical and not differences
                _print_outcome(output, settings, differences)
    except KeyboardInterrupt:
        return 130
    except EXPECTED_ERRORS as error:
        print_error(console, error)
        return 1
    return 0 if is_identical else 1


def _print_outcome(output: Console, settings: Settings, differences: dict[str, list[str]]) -> None:
    if not differences:
        output.print(f"{settings.institution_name}: rebuilt, identical.", style="green", highlight=False)
    for table, rows in differences.items():
        output.print(
            f"{settings.institution_name}: {table} differs in {len(rows)} rows",
            style="bold red",
            highlight=False,
        )
        for row in rows[:ROWS_SHOWN]:
            output.print(f"  {row}", markup=False, highlight=False)


if __name__ == "__main__":
    sys.exit(main())
