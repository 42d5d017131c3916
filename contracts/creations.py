"""What a deployment is made of: its contracts in order, who holds each role, and the currency's terms."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from eth_hash.auto import keccak

from contracts import notary, settlement, trades
from contracts.abi import (
    administration_creation_code,
    encode_initialize,
    implementation_creation_code,
    load_artifact,
    proxy_creation_code,
)

DEFAULT_UPGRADE_DELAY_S = 48 * 3600


@dataclass(frozen=True)
class Roles:
    """Who holds each role at the start. Addresses of 20 bytes."""

    governor: bytes
    issuer: bytes
    pauser: bytes
    upgrader: bytes
    supervisor: bytes
    registrar: bytes
    operator: bytes
    """The settlement's."""


@dataclass(frozen=True)
class CurrencyTerms:
    """What only an upgrade can change about the currency. ``decimals`` is its ISO 4217 exponent."""

    name: str
    symbol: str
    decimals: int
    upgrade_delay_s: int = DEFAULT_UPGRADE_DELAY_S
    emits_transfers: bool = True
    """False: one event tells of a whole batch (IPayments.settle)."""


@dataclass(frozen=True)
class Creation:
    """One contract of a deployment: its name in plan and manifest, and how its creation code is made.

    ``code`` gets the addresses of all contracts of the deployment by name, also of those that come later.
    """

    name: str
    gas: int
    code: Callable[[Mapping[str, bytes], Roles, CurrencyTerms], bytes]


def _proxy_code(addresses: Mapping[str, bytes], roles: Roles, currency: CurrencyTerms) -> bytes:
    initialisation = encode_initialize(
        currency.name,
        currency.symbol,
        currency.decimals,
        (roles.governor, roles.issuer, roles.pauser, roles.upgrader, roles.supervisor, roles.registrar),
        currency.upgrade_delay_s,
    )
    return proxy_creation_code(addresses["implementation"], initialisation)


def _implementation_code(addresses: Mapping[str, bytes], _roles: Roles, currency: CurrencyTerms) -> bytes:
    return implementation_creation_code(
        addresses["administration"], currency.name, emits_transfers=currency.emits_transfers
    )


def _settlement_code(addresses: Mapping[str, bytes], roles: Roles, _currency: CurrencyTerms) -> bytes:
    return settlement.settlement_creation_code(addresses["proxy"], roles.operator)


# Everything that is deployed, in the order of the deployer's nonces: what a constructor calls comes first.
# Another contract is one more entry here, and nothing else but a property of Manifest where it is asked for
# by name.
CREATIONS = (
    Creation("administration", 6_500_000, lambda *_: administration_creation_code()),
    Creation("implementation", 6_000_000, _implementation_code),
    Creation("proxy", 1_000_000, _proxy_code),
    Creation("notary", 1_500_000, lambda addresses, *_: notary.creation_code(addresses["proxy"])),
    Creation("settlement", 4_000_000, _settlement_code),
    Creation("trades", 2_000_000, lambda *_: trades.trades_creation_code()),
)
CONTRACTS = tuple(creation.name for creation in CREATIONS)


def artifact_hash() -> bytes:
    """Return the hash of the code that this build deploys."""
    names = (
        "Administration",
        "DigitalCurrency",
        "DigitalCurrencyWithBatchEvents",
        "ERC1967Proxy",
        "Notary",
        "Settlement",
        "Trades",
    )
    return keccak(b"".join(bytes.fromhex(load_artifact(name)["bytecode"][2:]) for name in names))
