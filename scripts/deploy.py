"""`florin deploy`: puts the currency's contract on a chain, once; again, it only says where it is.

    florin deploy --rpc URL [--data DIR]

The central bank's keys, made in the data directory, hold the roles. The deployer keeps none.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from contracts.deploy import (
    CurrencyTerms,
    DeploymentError,
    Manifest,
    Roles,
    deploy,
    manifest_path,
    read_genesis_hash,
    require_funded,
    sandbox_deployer_key,
)
from contracts.transactions import address_of, checksum_address
from scripts.data_directory import DataDirectory, DataDirectoryError, check_chain, write_durably
from scripts.institutions import (
    CENTRAL_BANK,
    CURRENCY,
    CURRENCY_EXPONENT,
    INSTITUTIONS,
    InstitutionHome,
    NodeFailed,
)
from scripts.leftovers import AlreadyRunning, hold_lock

CURRENCY_NAME = "Florin Koruna"
NEEDED_WEI = 10**17

Keys = Mapping[str, Mapping[str, str]]


def deploy_currency(data: DataDirectory, rpc_url: str, keys: Keys, *, is_local: bool) -> Manifest:
    """Deploys the currency, or finds it. `keys` are the institutions' addresses by slug and name.

    A local chain gives ether to everybody who needs it. On any other, every account that sends transactions
    must have some before anything is sent: raises Unfunded, which names them all.
    """
    roles = Roles(**{name: _bytes(address) for name, address in keys[CENTRAL_BANK.slug].items()})
    terms = CurrencyTerms(CURRENCY_NAME, CURRENCY, CURRENCY_EXPONENT)
    deployer_key = sandbox_deployer_key() if is_local else _own_deployer_key(data)
    if not is_local and not manifest_path(data.manifests, read_genesis_hash(rpc_url)).exists():
        senders = [_bytes(address) for named in keys.values() for address in named.values()]
        require_funded(rpc_url, [address_of(deployer_key), *senders], NEEDED_WEI)
    return deploy(rpc_url, roles, terms, deployer_key, data.manifests)


def _own_deployer_key(data: DataDirectory) -> bytes:
    """A throwaway key for a chain where others could use the sandbox's, which everybody knows."""
    path = data.path / "deployer-key"
    if not path.exists():
        write_durably(path, secrets.token_hex(32).encode(), mode=0o600)
    return bytes.fromhex(path.read_text())


def _bytes(address: str) -> bytes:
    return bytes.fromhex(address[2:])


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
