"""Deploy the contracts once per chain, and find them again.

A deployment is one transaction for each of CREATIONS, in their order, of a deployer that keeps no role. All
are signed and written to a plan before the first is sent. After a crash the same bytes are sent again, so the
addresses (deployer and nonce) stay the same; a chain that already has them is left as it is. Chains are told
apart by the hash of their genesis block: every development chain of one kind has the same chain id.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eth_hash.auto import keccak

from contracts.creations import CONTRACTS, CREATIONS, CurrencyTerms, Roles, artifact_hash
from contracts.durable import write_durably
from contracts.manifest import (
    DeploymentError,
    Manifest,
    addresses_as_json,
    manifest_path,
    parse_hex,
    require_current,
)
from contracts.rpc import Rpc, RpcRefused
from contracts.transactions import Transaction, address_of, checksum_address, contract_address

# The chain's base fee may grow threefold between signing and inclusion.
FEE_HEADROOM = 3
DEFAULT_PRIORITY_FEE_WEI = 1_000_000_000
RECEIPT_TIMEOUT_S = 120
POLL_INTERVAL_S = 0.1
# A receipt can lag behind the nonce that its transaction used.
LAGGING_RECEIPT_S = 5


class Unfunded(DeploymentError):
    """Accounts lack the ether that their transactions need."""

    code = "Unfunded"

    def __init__(self, addresses: Sequence[bytes], balances_wei: Sequence[int], needed_wei: int) -> None:
        listed = ", ".join(
            f"{checksum_address(address)} has {balance}"
            for address, balance in zip(addresses, balances_wei, strict=True)
        )
        super().__init__(
            f"send at least {needed_wei} wei to each of these accounts, then try again: {listed}"
        )
        self.addresses = list(addresses)
        self.balances_wei = list(balances_wei)
        self.needed_wei = needed_wei


class DifferentDeployment(DeploymentError):
    """This chain already has a deployment on other terms."""

    code = "DifferentDeployment"


class DeploymentFailed(DeploymentError):
    """A deployment's transaction was not included in time; it can be tried again."""

    code = "DeploymentFailed"


class DeploymentReverted(DeploymentError):
    """A deployment's transaction reverted: these terms or roles cannot be deployed."""

    code = "DeploymentReverted"


def sandbox_deployer_key() -> bytes:
    """Return the deployer's key of sandbox chains. Everybody knows it: it is worth nothing."""
    return keccak(b"florin sandbox deployer")


def require_funded(rpc_url: str, addresses: Sequence[bytes], needed_wei: int) -> None:
    """Raise Unfunded naming every account with less than ``needed_wei``."""
    rpc = Rpc(rpc_url)
    balances = [rpc.quantity("eth_getBalance", "0x" + address.hex(), "latest") for address in addresses]
    poor = [pair for pair in zip(addresses, balances, strict=True) if pair[1] < needed_wei]
    if poor:
        raise Unfunded([address for address, _ in poor], [balance for _, balance in poor], needed_wei)


def read_genesis_hash(rpc_url: str) -> bytes:
    """Return what a chain is told apart by."""
    return _genesis_hash(Rpc(rpc_url))


def _genesis_hash(rpc: Rpc) -> bytes:
    return parse_hex(rpc.call("eth_getBlockByNumber", "0x0", False)["hash"])


def deploy(
    rpc_url: str, roles: Roles, currency: CurrencyTerms, deployer_key: bytes, manifest_dir: Path
) -> Manifest:
    """Deploy to the chain at ``rpc_url``, or return the deployment that it already has.

    The manifest is kept in ``manifest_dir`` under the chain's genesis hash. Raises Unfunded,
    DifferentDeployment, OutdatedDeployment, DeploymentFailed, DeploymentReverted, and RpcRefused or OSError
    for what the node says.
    """
    rpc = Rpc(rpc_url)
    genesis_hash = _genesis_hash(rpc)
    path = manifest_path(manifest_dir, genesis_hash)
    plan_path = path.with_suffix(".plan")
    terms = {"currency": asdict(currency), "roles": addresses_as_json(asdict(roles))}
    plan = _load_plan(plan_path, terms)
    if path.is_file() and plan is not None:
        manifest = Manifest.load(path)
        if rpc.call("eth_getCode", "0x" + manifest.proxy.hex(), "latest") not in ("0x", "0x0", ""):
            return manifest
    if plan is None or _is_dead(rpc, plan):
        plan = _plan(rpc, terms, roles, currency, deployer_key)
        write_durably(plan_path, json.dumps(plan, indent=2).encode())

    try:
        receipts = _send(rpc, plan["transactions"])
    except DeploymentReverted:
        plan_path.unlink()
        raise
    manifest = Manifest(
        chain_id=plan["chain_id"],
        genesis_hash=genesis_hash,
        contracts={name: parse_hex(address) for name, address in plan["contracts"].items()},
        block_number=int(receipts[CONTRACTS.index("proxy")]["blockNumber"], 16),
        currency=currency,
        roles=roles,
        artifact_hash=parse_hex(plan["artifact_hash"]),
    )
    manifest.save(path)
    return manifest


def _load_plan(path: Path, terms: Mapping[str, Any]) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    plan: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    require_current(path, plan)
    different = [key for key, value in terms.items() if plan[key] != value]
    if different:
        raise DifferentDeployment(
            f"this chain has a deployment with another {' and another '.join(different)}: keep those terms, "
            f"or use another chain or data directory"
        )
    return plan


def _plan(
    rpc: Rpc, terms: Mapping[str, Any], roles: Roles, currency: CurrencyTerms, deployer_key: bytes
) -> dict[str, Any]:
    """Sign every creation at the deployer's next nonces. Raises Unfunded."""
    deployer = address_of(deployer_key)
    chain_id = rpc.quantity("eth_chainId")
    nonce = rpc.quantity("eth_getTransactionCount", "0x" + deployer.hex(), "latest")
    max_fee, priority_fee = _fees(rpc)
    needed_wei = sum(creation.gas for creation in CREATIONS) * max_fee
    balance_wei = rpc.quantity("eth_getBalance", "0x" + deployer.hex(), "latest")
    if balance_wei < needed_wei:
        raise Unfunded([deployer], [balance_wei], needed_wei)

    addresses = {name: contract_address(deployer, nonce + place) for place, name in enumerate(CONTRACTS)}
    transactions = [
        Transaction(
            chain_id=chain_id,
            nonce=nonce + place,
            max_priority_fee_per_gas=priority_fee,
            max_fee_per_gas=max_fee,
            gas=creation.gas,
            to=b"",
            value=0,
            data=creation.code(addresses, roles, currency),
        )
        for place, creation in enumerate(CREATIONS)
    ]
    return {
        **terms,
        "chain_id": chain_id,
        "deployer": checksum_address(deployer),
        "contracts": addresses_as_json(addresses),
        "artifact_hash": "0x" + artifact_hash().hex(),
        "transactions": [_sign(deployer_key, each) for each in transactions],
    }


def _fees(rpc: Rpc) -> tuple[int, int]:
    """Return the highest fee to offer and the priority fee in it, in wei per gas."""
    base_fee = int(rpc.call("eth_getBlockByNumber", "latest", False).get("baseFeePerGas") or "0x0", 16)
    try:
        priority_fee = rpc.quantity("eth_maxPriorityFeePerGas")
    except RpcRefused:
        priority_fee = DEFAULT_PRIORITY_FEE_WEI
    return FEE_HEADROOM * base_fee + priority_fee, priority_fee


def _sign(key: bytes, creation: Transaction) -> dict[str, Any]:
    raw = creation.sign(key)
    return {"nonce": creation.nonce, "hash": "0x" + keccak(raw).hex(), "raw": "0x" + raw.hex()}


def _is_dead(rpc: Rpc, plan: Mapping[str, Any]) -> bool:
    """True if another transaction of the deployer took one of the plan's nonces."""
    used = rpc.quantity("eth_getTransactionCount", plan["deployer"], "latest")
    for transaction in plan["transactions"]:
        if transaction["nonce"] < used and _wait_for_receipt(rpc, transaction, LAGGING_RECEIPT_S) is None:
            return True
    return False


def _send(rpc: Rpc, transactions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Send what is not yet included and return all receipts, in order.

    Raises DeploymentFailed and DeploymentReverted.
    """
    refusals = {
        transaction["hash"]: _broadcast(rpc, transaction)
        for transaction in transactions
        if _receipt(rpc, transaction) is None
    }
    receipts = []
    for transaction in transactions:
        refusal = refusals.get(transaction["hash"])
        timeout_s = RECEIPT_TIMEOUT_S if refusal is None else LAGGING_RECEIPT_S
        receipt = _wait_for_receipt(rpc, transaction, timeout_s)
        if receipt is None:
            reason = refusal or f"not included within {timeout_s} s"
            raise DeploymentFailed(f"transaction {transaction['hash']}: {reason}")
        if int(receipt["status"], 16) != 1:
            raise DeploymentReverted(f"transaction {transaction['hash']} reverted")
        receipts.append(receipt)
    return receipts


def _broadcast(rpc: Rpc, transaction: Mapping[str, Any]) -> str | None:
    """Send a transaction; return what the node says against it, but nothing if it has it already."""
    try:
        rpc.call("eth_sendRawTransaction", transaction["raw"])
    except RpcRefused as refused:
        return None if "known" in str(refused) or "already" in str(refused) else str(refused)
    return None


def _receipt(rpc: Rpc, transaction: Mapping[str, Any]) -> dict[str, Any] | None:
    receipt: dict[str, Any] | None = rpc.call("eth_getTransactionReceipt", transaction["hash"])
    return receipt if receipt is not None and receipt.get("blockNumber") is not None else None


def _wait_for_receipt(rpc: Rpc, transaction: Mapping[str, Any], timeout_s: float) -> dict[str, Any] | None:
    deadline = time.monotonic() + timeout_s
    while True:
        receipt = _receipt(rpc, transaction)
        if receipt is not None or time.monotonic() >= deadline:
            return receipt
        time.sleep(POLL_INTERVAL_S)
