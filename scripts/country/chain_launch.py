"""The kinds of chain that can be started here, and how one starts. The country's record says which it is."""

import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from http.client import HTTPException
from pathlib import Path
from typing import Any

from contracts.deploy import read_genesis_hash
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


LOCAL_KINDS = tuple(str(kind) for kind in ChainKind)


class ChainNotInstalled(Exception):
    """The asked kind of chain needs a program that is not there."""

    code = "ChainNotInstalled"


class ChainUnreachable(Exception):
    """No node answers at the chain's address."""

    code = "ChainUnreachable"

    def __init__(self, rpc_url: str, failure: Exception) -> None:
        super().__init__(f"nothing answers at {rpc_url} ({failure}): start the chain there, or name another")


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain that serves."""

    kind: ChainKind
    rpc_url: str
    child: Child


def launch_chain(
    supervisor: Supervisor, kind: ChainKind, data_dir: Path, port: int, funded: Sequence[str]
) -> Chain:
    """Start the chain of that kind in `data_dir` and wait until it serves.

    `port` is taken if it is free, and another one otherwise. `funded` addresses have ether at the end,
    whether or not they were known at genesis. Raises ChainNotInstalled.
    """
    require_installed(kind)
    port = free_port(port)
    module = {ChainKind.ETH_TESTER: "scripts.chain.server", ChainKind.ANVIL: "scripts.chain.anvil"}[kind]
    command = [sys.executable, "-m", module, "--data", str(data_dir / kind.value), "--port", str(port)]
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
    return Chain(kind, rpc_url, child)


def default_kind() -> ChainKind:
    """anvil where it is installed, which is faster; else the one that always is."""
    return ChainKind.ETH_TESTER if find_anvil() is None else ChainKind.ANVIL


def require_installed(kind: ChainKind) -> None:
    """Raises ChainNotInstalled."""
    if kind is ChainKind.ANVIL and find_anvil() is None:
        raise ChainNotInstalled("anvil is not there: run `npm ci`, or put Foundry's anvil on the PATH")


def genesis_of(rpc_url: str) -> str:
    """The hash of the first block of the chain that answers there. Raises ChainUnreachable, RpcRefused."""
    try:
        return "0x" + read_genesis_hash(rpc_url).hex()
    except (OSError, ValueError, HTTPException) as failure:
        raise ChainUnreachable(rpc_url, failure) from failure


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
