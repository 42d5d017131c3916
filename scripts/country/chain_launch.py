"""Which chain a run uses, and how it starts. A data directory remembers its kind of chain."""

import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from contracts.rpc import Rpc
from scripts.chain.anvil import find_anvil
from scripts.supervision.processes import Child, ChildSpec, Supervisor
from scripts.supervision.readiness import LOOPBACK, free_port

DEFAULT_PORT = 8545
START_TIMEOUT_S = 60.0


class ChainKind(StrEnum):
    """The chains that can be started here."""

    ETH_TESTER = "eth-tester"
    ANVIL = "anvil"


class WrongChainKind(Exception):
    """The data directory was built on another kind of chain, or the asked kind is not installed."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain that serves."""

    kind: ChainKind
    rpc_url: str
    child: Child


def launch_chain(
    supervisor: Supervisor, kind: str, data_dir: Path, port: int, funded: Sequence[str]
) -> Chain:
    """Start the chain of `data_dir` and wait until it serves.

    `kind` is "auto", "eth-tester" or "anvil"; `port` is taken if it is free, and another one otherwise.
    `funded` addresses have ether at the end, whether or not they were known at genesis.
    """
    chosen = choose_kind(kind, data_dir)
    port = free_port(port)
    module = {ChainKind.ETH_TESTER: "scripts.chain.server", ChainKind.ANVIL: "scripts.chain.anvil"}[chosen]
    command = [sys.executable, "-m", module, "--data", str(data_dir / chosen.value), "--port", str(port)]
    for address in funded:
        command += ["--fund", address]
    rpc_url = f"http://{LOOPBACK}:{port}"
    child = supervisor.start(
        ChildSpec(
            name="chain",
            command=tuple(command),
            ready=lambda: _answers(rpc_url),
            is_foundation=True,
            death_signal=signal.SIGKILL,
        )
    )
    supervisor.wait_ready(child, timeout_s=START_TIMEOUT_S)
    for address in funded:
        fund(rpc_url, address)
    return Chain(chosen, rpc_url, child)


def choose_kind(kind: str, data_dir: Path) -> ChainKind:
    """The kind that the directory remembers, or else the one asked for; "auto" is anvil where installed."""
    memory = data_dir / "kind"
    remembered = ChainKind(memory.read_text().strip()) if memory.exists() else None
    if remembered is not None and kind not in ("auto", remembered):
        raise WrongChainKind(
            f"the books in {data_dir.parent} were built on {remembered}, not {kind}: "
            f"use --chain {remembered}, another --data directory, or wipe it with `make reset`"
        )
    is_installed = find_anvil() is not None
    chosen = remembered or (
        (ChainKind.ANVIL if is_installed else ChainKind.ETH_TESTER) if kind == "auto" else ChainKind(kind)
    )
    if chosen is ChainKind.ANVIL and not is_installed:
        raise WrongChainKind("anvil is not installed: run `npm ci`, or put Foundry's anvil on the PATH")
    data_dir.mkdir(parents=True, exist_ok=True)
    memory.write_text(chosen)
    return chosen


def fund(rpc_url: str, address: str, balance_wei: int = 10**24) -> None:
    """Give an address ether on a sandbox chain, if it has little."""
    if int(call_rpc(rpc_url, "eth_getBalance", address, "latest"), 16) < balance_wei // 2:
        call_rpc(rpc_url, "anvil_setBalance", address, hex(balance_wei))


def call_rpc(rpc_url: str, method: str, *params: Any) -> Any:
    """One JSON-RPC call. Raises RpcRefused, and OSError when nobody answers."""
    return Rpc(rpc_url).call(method, *params)


def _answers(rpc_url: str) -> bool:
    try:
        call_rpc(rpc_url, "eth_blockNumber")
    except OSError:
        return False
    return True
