"""A real chain, a real signer and a real database for one bank, driven step by step."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from api.chain.deployment import Deployment
from api.chain.rpc import RpcClient
from contracts.abi import encode_increase_mint_allowance, encode_set_participant, encode_set_tier
from tests.api.chain.bank import OTHER_BANK, OWN_BANK, Bank
from tests.api.chain.operator import CURRENCY_NAME, Operator, deploy_currency, deploy_notary, mine, succeed
from wallet_node.deployment import Binding, bind
from wallet_node.keystore.files import Secrets, create
from wallet_node.node import WalletNode
from wallet_node.policy.policy import Policy
from wallet_node.transport.endpoints import UnixEndpoint, listen
from wallet_node.transport.listeners import Listener
from wallet_node.transport.routes import Application
from wallet_node.transport.serving import NodeServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from tests.api.conftest import Database

POLICIES = Path(__file__).parents[2] / "policies"
ROLES = ("governor", "issuer", "pauser", "upgrader", "supervisor", "registrar")
TIERS = {
    1: (10_000_000, 2_000_000, 5_000_000),
    2: (100_000, 100_000, 1_000_000),
    9: (10**15, 10**15, 2**64 - 1),
}
ALLOWANCE_MINOR = 10**12


@dataclass(frozen=True)
class Chain:
    """The running chain with a currency on it, as it is at the start of every test."""

    url: str
    deployment: Deployment
    operators: dict[str, Operator]


@dataclass(frozen=True)
class SignerHome:
    """A signer's directory with its keys, to be copied."""

    path: Path
    passphrase_file: Path
    secrets: Secrets

    @property
    def institution(self) -> bytes:
        """The address of the bank's own key."""
        return self.secrets.named["institution"].address


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def signer_home(tmp_path_factory: pytest.TempPathFactory) -> SignerHome:
    """A bank's signer, initialised and unlocked once."""
    return make_signer_home(tmp_path_factory.mktemp("signer"), ["institution"])


def make_signer_home(directory: Path, names: list[str]) -> SignerHome:
    """A keystore with these institutional keys."""
    passphrase_file = directory / "passphrase"
    passphrase_file.touch(0o600)
    passphrase_file.write_text("a passphrase for tests only\n")
    home = directory / "home"
    home.mkdir(mode=0o700)
    secrets = create(home / "keystore", b"a passphrase for tests only", names)
    return SignerHome(home, passphrase_file, secrets)


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory, signer_home: SignerHome) -> Iterator[Chain]:
    """A chain that makes blocks only when told to, with the currency, two participants and their tiers."""
    port = _free_port()
    names = ("deployer", *ROLES, "other-bank", "customer", "authority", "system")
    operators = {name: Operator(name) for name in names}
    command = [
        sys.executable, "-m", "scripts.chain.server",
        "--data", str(tmp_path_factory.mktemp("chain")), "--port", str(port),
    ]  # fmt: skip
    for address in (signer_home.institution, *(operator.address for operator in operators.values())):
        command += ["--fund", "0x" + address.hex()]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        yield asyncio.run(_build_country(url, operators, signer_home.institution))
    finally:
        process.terminate()
        process.wait(10)


async def _build_country(url: str, operators: dict[str, Operator], institution: bytes) -> Chain:
    async with RpcClient(url) as rpc:
        await _until_it_answers(rpc)
        await rpc.call("evm_setIntervalMining", 0)
        deployment = await deploy(rpc, operators, [operators[name].address for name in ROLES])
        await prepare(rpc, deployment.contract, operators, institution)
    return Chain(url, deployment, operators)


async def deploy(
    rpc: RpcClient, operators: dict[str, Operator], roles: Sequence[bytes], *, emits_transfers: bool = True
) -> Deployment:
    """A currency of its own."""
    proxy, block = await deploy_currency(rpc, operators["deployer"], roles, emits_transfers=emits_transfers)
    notary = await deploy_notary(rpc, operators["deployer"], proxy)
    genesis = (await rpc.headers(0, 0))[0].hash
    return Deployment(await rpc.chain_id(), genesis, proxy, block, CURRENCY_NAME, notary)


async def prepare(
    rpc: RpcClient, contract: bytes, operators: dict[str, Operator], institution: bytes
) -> None:
    """Tiers, both banks and an allowance for each."""
    governor, issuer = operators["governor"], operators["issuer"]
    for tier, limits in TIERS.items():
        await governor.send(rpc, contract, encode_set_tier(tier, *limits))
    for participant, address in ((OWN_BANK, institution), (OTHER_BANK, operators["other-bank"].address)):
        await governor.send(rpc, contract, encode_set_participant(participant, address, 9, 0b110))
    await mine(rpc)
    for participant in (OWN_BANK, OTHER_BANK):
        await succeed(
            rpc,
            await issuer.send(rpc, contract, encode_increase_mint_allowance(participant, ALLOWANCE_MINOR)),
        )


async def _until_it_answers(rpc: RpcClient) -> None:
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(Exception):
                await rpc.latest()
                return
            await asyncio.sleep(0.05)


@pytest.fixture
async def rpc(chain: Chain) -> AsyncIterator[RpcClient]:
    """The chain as it was before the first test."""
    async with RpcClient(chain.url) as client:
        snapshot = await client.call("evm_snapshot")
        yield client
        await client.call("evm_revert", snapshot)


@pytest.fixture
async def signer_socket(tmp_path: Path, chain: Chain, signer_home: SignerHome) -> AsyncIterator[Path]:
    """A signer of this test's own, with the same keys and an empty journal."""
    async with running_signer(tmp_path / "signer", chain.deployment, signer_home, "no-proof") as path:
        yield path


@contextlib.asynccontextmanager
async def running_signer(
    directory: Path,
    deployment: Deployment,
    keys: SignerHome,
    policy: str | Path,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[Path]:
    """The signer behind its Unix socket, with another beside it for officers (`o.sock`).

    It runs in this process, because unlocking takes a second. `policy` is one of the tests' own, or a path.
    """
    home = directory / "home"
    shutil.copytree(keys.path, home)
    contract, notary = ("0x" + each.hex() for each in (deployment.contract, deployment.notary))
    bind(home, Binding(deployment.chain_id, contract, deployment.domain_name, notary))
    path = policy if isinstance(policy, Path) else POLICIES / f"{policy}.yaml"
    node = WalletNode(home, keys.secrets, Policy.load(path), clock)
    node.test_itself()
    endpoint = UnixEndpoint("api", directory / "s.sock")
    application = Application(node)
    endpoints = (endpoint, UnixEndpoint("officers", directory / "o.sock"))
    server = NodeServer(application, [Listener(each, listen(each), application) for each in endpoints])
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    try:
        yield endpoint.path
    finally:
        server.should_exit = True
        await server.shutdown()
        node.close()


@pytest.fixture
async def bank(chain: Chain, rpc: RpcClient, signer_socket: Path, database: Database) -> AsyncIterator[Bank]:
    """The bank under test, with its books open and its chain known."""
    async with Bank.opened(database.app_url, chain.url, rpc, chain.deployment, signer_socket) as opened:
        yield opened
