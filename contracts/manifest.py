"""Where the contracts are on one chain: a file that a deployment leaves and everybody else reads."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from contracts.creations import CONTRACTS, CurrencyTerms, Roles
from contracts.durable import write_durably
from contracts.transactions import checksum_address

MANIFEST_FORMAT = 2


class DeploymentError(Exception):
    """The token is not deployed, and the message says what to do."""

    code = "DeploymentError"


class OutdatedDeployment(DeploymentError):
    """This chain has a deployment by an earlier version, which lacks contracts that this one needs."""

    code = "OutdatedDeployment"

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is of a deployment by an earlier version of Florin, without {', '.join(CONTRACTS)} in "
            f"one plan: deploy anew with another data directory on a new chain (`make reset` in the sandbox)"
        )


@dataclass(frozen=True)
class Manifest:
    """Where the contracts are on one chain, by name. ``block_number`` is where the token's history starts."""

    chain_id: int
    genesis_hash: bytes
    contracts: Mapping[str, bytes]
    block_number: int
    currency: CurrencyTerms
    roles: Roles
    artifact_hash: bytes

    @property
    def proxy(self) -> bytes:
        """The token: the address that everybody calls."""
        return self.contracts["proxy"]

    @property
    def implementation(self) -> bytes:
        """The token's code at the start."""
        return self.contracts["implementation"]

    @property
    def notary(self) -> bytes:
        """The commitments to audit logs."""
        return self.contracts["notary"]

    @property
    def settlement(self) -> bytes:
        """Settlement between participants."""
        return self.contracts["settlement"]

    @staticmethod
    def load(path: Path) -> "Manifest":
        """Read a manifest. Raises FileNotFoundError, OutdatedDeployment, or ValueError if it is not one."""
        raw = json.loads(path.read_text(encoding="utf-8"))
        require_current(path, raw)
        try:
            return Manifest(
                chain_id=raw["chain_id"],
                genesis_hash=parse_hex(raw["genesis_hash"]),
                contracts={name: parse_hex(address) for name, address in raw["contracts"].items()},
                block_number=raw["block_number"],
                currency=CurrencyTerms(**raw["currency"]),
                roles=_roles(raw["roles"]),
                artifact_hash=parse_hex(raw["artifact_hash"]),
            )
        except (KeyError, TypeError, AttributeError) as malformed:
            raise ValueError(f"{path} is not a deployment manifest: {malformed}") from malformed

    def save(self, path: Path) -> None:
        """Write the manifest, all or nothing."""
        content = json.dumps(
            {
                "format": MANIFEST_FORMAT,
                "chain_id": self.chain_id,
                "genesis_hash": "0x" + self.genesis_hash.hex(),
                "contracts": addresses_as_json(self.contracts),
                "block_number": self.block_number,
                "currency": asdict(self.currency),
                "roles": addresses_as_json(asdict(self.roles)),
                "artifact_hash": "0x" + self.artifact_hash.hex(),
            },
            indent=2,
        )
        write_durably(path, content.encode())


def manifest_path(manifest_dir: Path, genesis_hash: bytes) -> Path:
    """Return where the manifest of a chain is kept."""
    return manifest_dir / f"{genesis_hash.hex()}.json"


def require_current(path: Path, raw: Any) -> None:
    """Raise OutdatedDeployment for a plan or manifest of a version that deployed other contracts."""
    if not isinstance(raw, dict):
        raise ValueError(f"{path} is neither a deployment's plan nor its manifest")  # noqa: TRY004
    known = raw.get("contracts")
    is_of_one = "proxy" in raw or isinstance(known, dict)
    if is_of_one and (known is None or list(known) != list(CONTRACTS)):
        raise OutdatedDeployment(path)


def parse_hex(text: str) -> bytes:
    """Return the bytes of hexadecimal digits, with or without 0x."""
    return bytes.fromhex(text.removeprefix("0x"))


def _roles(raw: Mapping[str, str]) -> Roles:
    return Roles(**{name: parse_hex(address) for name, address in raw.items()})


def addresses_as_json(addresses: Mapping[str, bytes]) -> dict[str, str]:
    """Return named addresses as EIP-55 writes them."""
    return {name: checksum_address(address) for name, address in addresses.items()}
