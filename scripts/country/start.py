"""A small country on this machine: a chain, a central bank and two banks, started in order and watched.

Keys come first (the chain gives the institutions their gas money), then the chain, the contract, and each
institution's node, worker and API. What is on disk decides what is made anew: starting twice changes nothing.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import asyncpg

from api.database import migrate
from api.identity.access import known_scopes
from api.identity.keys import create_key, revoke_keys
from api.settings import Settings
from contracts.deploy import sandbox_deployer_key
from contracts.durable import write_durably
from contracts.manifest import Manifest, manifest_path
from contracts.transactions import address_of, checksum_address
from scripts.country.chain_launch import (
    DEFAULT_PORT,
    LOCAL_KINDS,
    ChainKind,
    default_kind,
    genesis_of,
    launch_chain,
    require_installed,
)
from scripts.country.data_directory import (
    AnotherChain,
    DataDirectory,
    check_chain,
)
from scripts.country.deploy_currency import deploy_currency
from scripts.country.directory_keys import give_directory_keys
from scripts.country.institutions import (
    CENTRAL_BANK,
    INSTITUTIONS,
    InstitutionHome,
)
from scripts.postgres import server as postgres
from scripts.postgres.cluster import Cluster
from scripts.supervision.ports import PortClaims
from scripts.supervision.processes import Service, Supervisor
from scripts.supervision.readiness import LOOPBACK
from scripts.terminal.progress import Steps

READY_S = 120.0
CALLER = "florin-up"


@dataclass(frozen=True, slots=True)
class Country:
    """A started country: where everything answers. Mappings are by institution."""

    chain: str
    rpc_url: str
    manifest: Manifest
    settings: Mapping[str, Settings]
    api_keys: Mapping[str, str]
    key_addresses: Mapping[str, Mapping[str, str]]

    def url(self, slug: str) -> str:
        """The address of an institution's pages and API."""
        return f"http://{self.settings[slug].listen_host}:{self.settings[slug].listen_port}"


def choose_chain(data: DataDirectory, asked: str) -> str:
    """The kind of chain to start, or the URL to use: the one that the books know, or else the one asked for.

    Two URLs may name the same chain: its genesis, compared once it answers, tells. Raises AnotherChain where
    the books know another kind, and ChainNotInstalled.
    """
    known = data.read_record().chain
    if known and asked not in ("auto", known) and (asked in LOCAL_KINDS or known in LOCAL_KINDS):
        raise AnotherChain(data.path, known, asked)
    chain = known or str(default_kind()) if asked == "auto" else asked
    if chain in LOCAL_KINDS:
        require_installed(ChainKind(chain))
    return chain


class CountryStart:
    """The start of the country of one data directory; its processes belong to `supervisor`."""

    def __init__(self, data: DataDirectory, supervisor: Supervisor, steps: Steps) -> None:
        self._data = data
        self._supervisor = supervisor
        self._steps = steps
        self._ports = PortClaims()
        self._homes = {plan.slug: InstitutionHome(data, plan) for plan in INSTITUTIONS}

    def run(self, chain: str) -> Country:
        """Starts everything and waits until it serves. `chain` is auto, eth-tester, anvil or an RPC URL.

        Raises AnotherChain, ChainNotInstalled, ChainUnreachable, Unfunded and what the rooms below raise.
        """
        # ports are held while the country runs: a child that is restarted finds its own again
        self._supervisor.watch(Service("ports and sockets", lambda: True, lambda: None, self._let_go))
        chain = choose_chain(self._data, chain)
        if chain not in LOCAL_KINDS:
            genesis_of(chain)  # nothing is worth starting without it
        for home in self._homes.values():
            home.write_policy()
        with ThreadPoolExecutor(len(INSTITUTIONS) + 1) as threads:
            databases = threads.submit(self._start_databases)
            with self._steps.step("Keys", len(INSTITUTIONS)) as advance:
                makings = {slug: threads.submit(home.make_keys) for slug, home in self._homes.items()}
                keys = {}
                for slug, making in makings.items():
                    keys[slug] = making.result()
                    advance(1)
            with self._steps.step("Chain"):
                rpc_url = self._start_chain(chain, keys)
            with self._steps.step("Contract"):
                manifest = deploy_currency(self._data, rpc_url, keys, is_local=chain in LOCAL_KINDS)
            with self._steps.step("Databases"):
                urls = databases.result()
            settings = self._write_settings(urls, rpc_url, manifest)
            bindings = [threads.submit(home.bind_node, manifest) for home in self._homes.values()]
            api_keys = dict(zip(urls, threads.map(self._api_key, settings.values()), strict=True))
            for binding in bindings:
                binding.result()
        self._start_services(settings.values())
        return Country(chain, rpc_url, manifest, settings, api_keys, keys)

    def start_databases(self) -> dict[str, str]:
        """PostgreSQL alone, with a migrated database for each institution; the application's URLs."""
        with self._steps.step("Databases"):
            return self._start_databases()

    def start_chain(self, chain: str) -> str:
        """The chain alone, which must be there already; its RPC URL."""
        with self._steps.step("Chain"):
            return self._start_chain(chain, {})

    def _let_go(self) -> None:
        """What is left to do when every process has ended."""
        self._ports.release()
        for home in self._homes.values():
            home.clear_socket()

    def _start_databases(self) -> dict[str, str]:
        server = self._start_postgres()
        suffix = f"_{self._suffix()}" if server.is_external else ""
        app_urls = {}
        for slug, home in self._homes.items():
            name = f"{home.database}{suffix}"
            urls = postgres.create_database(server, name, f"{name}_owner", f"{name}_app")
            asyncio.run(migrate(urls.owner_url, f"{name}_app"))
            app_urls[slug] = urls.app_url
        return app_urls

    def _suffix(self) -> str:
        """What tells this country's databases from another's on a server that somebody else runs."""
        path = self._data.path / "database-suffix"
        if not path.exists():
            write_durably(path, secrets.token_hex(4).encode())
        return path.read_text()

    def _start_postgres(self) -> postgres.Server:
        directory = self._data.path / "postgres"
        try:
            server = postgres.start(directory)
        except BaseException:
            # a start that was cut short may have left a server that nobody watches yet
            if (directory / "cluster").exists() and postgres.EXTERNAL_URL_VARIABLE not in os.environ:
                Cluster(directory).stop()
            raise
        self._supervisor.watch(Service("postgres", server.is_alive, server.revive, server.stop))
        return server

    def _start_chain(self, chain: str, keys: Mapping[str, Mapping[str, str]]) -> str:
        """Starts or finds the chain; its RPC URL. Raises AnotherChain, ChainUnreachable."""
        if chain in LOCAL_KINDS:
            funded = [address for named in keys.values() for address in named.values()]
            funded.append(checksum_address(address_of(sandbox_deployer_key())))
            port = self._claim_port("chain", "the chain", DEFAULT_PORT)
            launched = launch_chain(
                self._supervisor, ChainKind(chain), self._data.path / "chain", port, funded
            )
            rpc_url = launched.rpc_url
        else:
            rpc_url = chain
        genesis_hash = genesis_of(rpc_url)
        self._data.write_record(check_chain(self._data, self._data.read_record(), chain, genesis_hash))
        return rpc_url

    def _claim_port(self, name: str, who: str, preferred: int) -> int:
        """The port of the last start, the preferred one, or, where that is taken, a free one, aloud."""
        record = self._data.read_record()
        wished = record.ports.get(name, preferred)
        port = self._ports.claim(wished)
        if port != wished:
            self._steps.say(f"Port {wished} is taken: {who} serves on {port} instead.")
        if record.ports.get(name) != port:
            record.ports[name] = port
            self._data.write_record(record)
        return port

    def _write_settings(
        self, urls: Mapping[str, str], rpc_url: str, manifest: Manifest
    ) -> dict[str, Settings]:
        """Each institution's settings, the central bank's first, and what the banks call it with."""
        settings = {}
        directory_url = ""
        for slug, home in self._homes.items():
            port = self._claim_port(slug, home.plan.name, home.plan.port)
            path = manifest_path(self._data.manifests, manifest.genesis_hash)
            if home.plan is CENTRAL_BANK:
                directory_url = f"http://{LOOPBACK}:{port}"
            settings[slug] = home.settings(
                database_url=urls[slug],
                port=port,
                rpc_url=rpc_url,
                manifest=path,
                directory_url=directory_url,
            )
        give_directory_keys(urls[CENTRAL_BANK.slug], self._homes.values())
        return settings

    def _api_key(self, settings: Settings) -> str:
        """The key of the `florin` command at one institution; made once, kept in a private file."""
        path = self._homes[settings.institution].api_key_file
        if path.exists():
            return path.read_text()

        async def make() -> str:
            connection = await asyncpg.connect(settings.database_url)
            try:
                async with connection.transaction():
                    await revoke_keys(connection, CALLER)
                    return await create_key(connection, CALLER, known_scopes(settings.kind), settings.kind)
            finally:
                await connection.close()

        key = asyncio.run(make())
        write_durably(path, key.encode(), mode=0o600)
        return key

    def _start_services(self, settings: Iterable[Settings]) -> None:
        with self._steps.step("Institutions", 3 * len(INSTITUTIONS)) as advance:
            children = []
            for each in settings:
                home = self._homes[each.institution]
                specs = (home.node_spec(), home.worker_spec(), home.api_spec(each.listen_port))
                children += [self._supervisor.start(spec) for spec in specs]
            for child in children:
                self._supervisor.wait_ready(child, timeout_s=READY_S)
                advance(1)
