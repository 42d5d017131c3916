"""The currency's contract on a chain: deployed once, by an account that keeps no role."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from contracts.creations import CurrencyTerms, Roles
from contracts.deploy import deploy, read_genesis_hash, require_funded, sandbox_deployer_key
from contracts.durable import write_durably
from contracts.manifest import Manifest, manifest_path, parse_hex
from contracts.transactions import address_of
from scripts.country.data_directory import DataDirectory
from scripts.country.institutions import CENTRAL_BANK, CURRENCY, CURRENCY_EXPONENT

CURRENCY_NAME = "Florin Koruna"
NEEDED_WEI = 10**17

Keys = Mapping[str, Mapping[str, str]]


def deploy_currency(data: DataDirectory, rpc_url: str, keys: Keys, *, is_local: bool) -> Manifest:
    """Deploys the currency, or finds it. `keys` are the institutions' addresses by slug and name.

    A local chain gives ether to everybody who needs it. On any other, every account that sends transactions
    must have some before anything is sent: raises Unfunded, which names them all.
    """
    named = {name: parse_hex(address) for name, address in keys[CENTRAL_BANK.slug].items()}
    # The sample's central bank supervises participants, registers orders and operates the settlement with
    # the key that governs.
    governor = named["governor"]
    roles = Roles(**named, supervisor=governor, registrar=governor, operator=governor)
    terms = CurrencyTerms(CURRENCY_NAME, CURRENCY, CURRENCY_EXPONENT)
    deployer_key = sandbox_deployer_key() if is_local else _own_deployer_key(data)
    if not is_local and not manifest_path(data.manifests, read_genesis_hash(rpc_url)).exists():
        senders = [parse_hex(address) for named in keys.values() for address in named.values()]
        require_funded(rpc_url, [address_of(deployer_key), *senders], NEEDED_WEI)
    return deploy(rpc_url, roles, terms, deployer_key, data.manifests)


def _own_deployer_key(data: DataDirectory) -> bytes:
    """A throwaway key for a chain where others could use the sandbox's, which everybody knows."""
    path = data.path / "deployer-key"
    if not path.exists():
        write_durably(path, secrets.token_hex(32).encode(), mode=0o600)
    return bytes.fromhex(path.read_text())
