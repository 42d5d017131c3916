"""The one deployment that a home serves: chain id, contracts and EIP-712 domain name.

`python -m wallet_node.main bind` writes `binding.json` once. At first use the node copies it into its
store, where nothing can change it; a file that says something else later is refused. So a stolen caller
cannot have payments signed for another chain or contract.
"""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec

from contracts.typed_data import PaymentDomain
from wallet_node import strict_json
from wallet_node.errors import AlreadyBound, MalformedRequest, NotBound, WrongDeployment
from wallet_node.fields import Address, ChainId, DomainName, address_bytes
from wallet_node.keystore.disk import sync_directory
from wallet_node.policy.policy import OTHER
from wallet_node.store import Store

_FILE = "binding.json"
CURRENCY, NOTARY = "currency", "notary"


class Binding(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """binding.json. `contract` is the currency; a node that is bound to no notary anchors nothing."""

    chain_id: ChainId
    contract: Address
    domain_name: DomainName
    notary: Address | None = None


@dataclass(frozen=True)
class Deployment:
    """Where this node's signatures are good."""

    chain_id: int
    contract: bytes
    domain_name: str
    notary: bytes = b""

    @cached_property
    def domain(self) -> PaymentDomain:
        """EIP-712's domain of everything that is signed for the currency."""
        return PaymentDomain(self.domain_name, self.chain_id, self.contract)

    def target(self, address: bytes) -> str:
        """What a policy calls the contract at an address: `currency`, `notary`, or `other`."""
        return {self.contract: CURRENCY, self.notary: NOTARY}.get(address, OTHER)


def bind(home: Path, binding: Binding) -> None:
    """Write `binding.json`, or find that it says the same already. Raises AlreadyBound."""
    path = home / _FILE
    temporary = home / f".{_FILE}.{os.getpid()}"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.encode(binding) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)  # fails when the file exists, whoever came first
    except FileExistsError:
        if _deployment(strict_json.decode(path.read_bytes(), Binding)) != _deployment(binding):
            raise AlreadyBound("this home is bound to another deployment; use a new home") from None
    finally:
        temporary.unlink()
        sync_directory(home)


class BoundDeployment:
    """Reads the binding when it is first needed, since a node may start before its contract is deployed."""

    def __init__(self, home: Path, store: Store) -> None:
        self._path = home / _FILE
        self._store = store
        self._deployment: Deployment | None = None
        if self._path.exists():
            self._read()

    @property
    def is_bound(self) -> bool:
        return self._deployment is not None or self._path.exists()

    def require(self) -> Deployment:
        """The deployment. Raises NotBound or AlreadyBound."""
        if self._deployment is None:
            return self._read()
        return self._deployment

    def require_same(self, chain_id: int, contract: bytes, domain_name: str) -> Deployment:
        """The deployment, when the request names exactly that. Raises WrongDeployment."""
        bound = self.require()
        if (chain_id, contract, domain_name) != (bound.chain_id, bound.contract, bound.domain_name):
            raise WrongDeployment(
                f"this node signs for chain {bound.chain_id}, contract 0x{bound.contract.hex()},"
                f" domain {bound.domain_name!r} only"
            )
        return bound

    def _read(self) -> Deployment:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            raise NotBound("no deployment is bound; run `python -m wallet_node.main bind`") from None
        try:
            deployment = _deployment(strict_json.decode(content, Binding))
        except MalformedRequest as error:
            raise AlreadyBound(f"binding.json cannot be read: {error.detail}") from None
        row = (deployment.chain_id, deployment.contract, deployment.domain_name)
        beside = {NOTARY: deployment.notary} if deployment.notary else {}
        with self._store.transaction() as connection:
            connection.execute("INSERT INTO deployment VALUES (1, ?, ?, ?) ON CONFLICT DO NOTHING", row)
            for named in beside.items():
                connection.execute("INSERT INTO bound_contracts VALUES (?, ?) ON CONFLICT DO NOTHING", named)
            stored = connection.execute("SELECT chain_id, contract, domain_name FROM deployment").fetchone()
            named_before = dict(connection.execute("SELECT name, address FROM bound_contracts").fetchall())
        if (stored, named_before) != (row, beside):
            raise AlreadyBound(
                "binding.json names another deployment than this home has served; use a new home"
            )
        self._deployment = deployment
        return deployment


def _deployment(binding: Binding) -> Deployment:
    notary = b"" if binding.notary is None else address_bytes(binding.notary)
    return Deployment(binding.chain_id, address_bytes(binding.contract), binding.domain_name, notary)
