"""`florin deploy`: puts the currency's contract on a chain, once; again, it only says where it is.

    florin deploy --rpc URL [--data DIR]

The central bank's keys, made in the data directory, hold the roles. The deployer keeps none.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from contracts.deploy import DeploymentError, read_genesis_hash
from contracts.transactions import checksum_address
from scripts.country.data_directory import DataDirectory, DataDirectoryError, check_chain
from scripts.country.deploy_currency import deploy_currency
from scripts.country.institutions import INSTITUTIONS, InstitutionHome, NodeFailed
from scripts.supervision.leftovers import AlreadyRunning, hold_lock


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; exit status 1 when the chain or the accounts are not fit."""
    parser = argparse.ArgumentParser(prog="florin deploy", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rpc", required=True, metavar="URL", help="the chain's JSON-RPC address")
    parser.add_argument(
        "--data", type=Path, default=Path(".florin"), help="where the keys and the manifest live"
    )
    options = parser.parse_args(arguments)
    data, console = DataDirectory(options.data), Console()
    errors = (DeploymentError, AlreadyRunning, DataDirectoryError, NodeFailed, OSError)
    try:
        lock = hold_lock(data.path / "run")
        try:
            genesis_hash = "0x" + read_genesis_hash(options.rpc).hex()
            data.write_record(check_chain(data, data.read_record(), options.rpc, genesis_hash))
            keys = {plan.slug: InstitutionHome(data, plan).make_keys() for plan in INSTITUTIONS}
            manifest = deploy_currency(data, options.rpc, keys, is_local=False)
        finally:
            os.close(lock)
    except errors as error:
        console.print(
            f"{getattr(error, 'code', type(error).__name__)}: {error}", style="red", highlight=False
        )
        return 1
    console.print(
        f"{manifest.currency.name} is at {checksum_address(manifest.proxy)}, ", end="", highlight=False
    )
    console.print(f"chain id {manifest.chain_id}, block {manifest.block_number}.", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
