"""What has to be there before a country's containers start: keys, contract, databases, settings. Repeatable.

    python -m scripts.commands.container_setup --data /data --rpc http://chain:8545

FLORIN_DATABASE_URL names the PostgreSQL server's superuser. docker-compose.yml runs the processes themselves.
"""

import argparse
import asyncio
import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from api.database import migrate
from contracts.deploy import sandbox_deployer_key
from contracts.durable import write_durably
from contracts.manifest import manifest_path
from contracts.transactions import address_of, checksum_address
from scripts.country.chain_launch import fund
from scripts.country.data_directory import DataDirectory
from scripts.country.deploy_currency import deploy_currency
from scripts.country.directory_keys import give_directory_keys
from scripts.country.institutions import CENTRAL_BANK, INSTITUTIONS, InstitutionHome
from scripts.postgres import server as postgres
from scripts.supervision.leftovers import hold_lock

LISTEN_PORT = 8100
EVERY_ADDRESS = "0.0.0.0"  # noqa: S104  # inside a container; compose publishes it on loopback


def set_up(data: DataDirectory, rpc_url: str) -> None:
    """Make or find everything."""
    homes = [InstitutionHome(data, plan) for plan in INSTITUTIONS]
    keys = {home.plan.slug: home.make_keys() for home in homes}
    for address in [address for named in keys.values() for address in named.values()]:
        fund(rpc_url, address)
    fund(rpc_url, checksum_address(address_of(sandbox_deployer_key())))
    manifest = deploy_currency(data, rpc_url, keys, is_local=True)
    server = postgres.start(data.path / "postgres")
    for home in homes:
        owner, app_role = f"{home.database}_owner", f"{home.database}_app"
        urls = postgres.create_database(server, home.database, owner, app_role)
        asyncio.run(migrate(urls.owner_url, app_role))
        settings = home.settings(
            database_url=urls.app_url,
            port=LISTEN_PORT,
            rpc_url=rpc_url,
            manifest=manifest_path(data.manifests, manifest.genesis_hash),
            directory_url=f"http://{CENTRAL_BANK.slug}-api:{LISTEN_PORT}",
        )
        if home.plan is CENTRAL_BANK:
            give_directory_keys(urls.app_url, homes)
        listening = dataclasses.replace(settings, listen_host=EVERY_ADDRESS)
        write_durably(home.settings_file, listening.to_toml().encode(), mode=0o600)
        home.bind_node(manifest)
        print(f"{home.plan.name} is ready to start", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Set up the directory that is given."""
    parser = argparse.ArgumentParser(prog="python -m scripts.commands.container_setup")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rpc", required=True, metavar="URL")
    options = parser.parse_args(arguments)
    if postgres.EXTERNAL_URL_VARIABLE not in os.environ:
        sys.exit(f"{postgres.EXTERNAL_URL_VARIABLE} must name the PostgreSQL server")
    data = DataDirectory(options.data)
    lock_file = hold_lock(data.path / "run")
    try:
        set_up(data, options.rpc)
    finally:
        os.close(lock_file)


if __name__ == "__main__":
    main()
