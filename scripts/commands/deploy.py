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

from contracts.transactions import checksum_address
from scripts.commands.errors import EXPECTED_ERRORS, print_error
from scripts.country.chain_launch import LOCAL_KINDS, genesis_of
from scripts.country.data_directory import DataDirectory, check_chain
from scripts.country.deploy_currency import deploy_currency
from scripts.country.institutions import INSTITUTIONS, InstitutionHome
from scripts.supervision.leftovers import hold_lock
from scripts.terminal.output import output_console


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; exit status 1 when the chain or the accounts are not fit."""
    parser = argparse.ArgumentParser(prog="florin deploy", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--rpc", required=True, type=_address, metavar="URL", help="the chain's JSON-RPC address"
    )
    parser.add_argument(
        "--data", type=Path, default=Path(".florin"), help="where the keys and the manifest live"
    )
    options = parser.parse_args(arguments)
    data, output = DataDirectory(options.data), output_console()
    try:
        lock = hold_lock(data.path / "run")
        try:
            record = check_chain(data, data.read_record(), options.rpc, genesis_of(options.rpc))
            data.write_record(record)
            keys = {plan.slug: InstitutionHome(data, plan).make_keys() for plan in INSTITUTIONS}
            manifest = deploy_currency(data, options.rpc, keys, is_local=record.chain in LOCAL_KINDS)
        finally:
            os.close(lock)
    except KeyboardInterrupt:
        return 130
    except EXPECTED_ERRORS as error:
        print_error(Console(stderr=True), error)
        return 1
    output.print(
        f"{manifest.currency.name} is at {checksum_address(manifest.proxy)}, ", end="", highlight=False
    )
    output.print(f"chain id {manifest.chain_id}, block {manifest.block_number}.", highlight=False)
    output.print(f"The notary is at {checksum_address(manifest.notary)}.", highlight=False)
    return 0


def _address(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{text!r} is no address that starts with http:// or https://")
    return text


if __name__ == "__main__":
    sys.exit(main())
