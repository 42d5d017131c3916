"""What the token's transactions cost.

``python -m contracts.gas`` measures on an in-process EVM (no Node needed) and writes ``gas_snapshot.json``;
``--check`` fails if anything costs more than the snapshot says. ``--rpc URL`` measures a batch on a real
chain. All accounts, keys and amounts are fixed, so the figures are too.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from eth_hash.auto import keccak

from contracts import abi
from contracts.abi import AccountFlag
from contracts.batch import Record, pack
from contracts.transactions import Transaction, address_of
from contracts.typed_data import PaymentDomain, payment_digest

SNAPSHOT = Path(__file__).parent / "gas_snapshot.json"
BATCH = 500
NAME = "Sandbox koruna"
VALID_BEFORE_S = 2**40
NO_LIMIT = 2**64 - 1
INSTITUTIONS_TIER, RETAIL_TIER, MERCHANT_TIER = 0, 1, 2
SUPPLY = 10**14
OPENING_BALANCE, FUNDING = 1_000, 10_000_000
MERCHANT_HOLDING = 100_000
TRANSACTION_GAS = 30_000_000
RECEIPT_TIMEOUT_S = 120


class Receipt(NamedTuple):
    """What a transaction used, and the contract that it created, if any."""

    gas_used: int
    created: bytes


Send = Callable[[bytes, bytes, bytes], Receipt]


class Sandbox:
    """A currency with one bank and its customers, set up through ``send(private key, to, data)``."""

    def __init__(self, send: Send, chain_id: int, customers: int = BATCH) -> None:
        """Deploy and fund: ``customers`` payers and as many payees, all with a balance."""
        self._send = send
        self.gas: dict[str, int] = {}
        self._operator, self._bank = keccak(b"gas operator"), keccak(b"gas bank")
        self._payers = [keccak(f"gas payer {index}".encode()) for index in range(customers)]
        self.payees = [address_of(keccak(f"gas payee {index}".encode())) for index in range(customers)]
        self.merchants = [address_of(keccak(f"gas merchant {index}".encode())) for index in range(100)]

        administration = self._record("deploy_administration", b"", abi.administration_creation_code())
        implementation = self._record(
            "deploy_implementation", b"", abi.implementation_creation_code(administration, NAME)
        )
        roles = [address_of(self._operator)] * 6
        initialisation = abi.encode_initialize(NAME, "CZK", 2, roles, 172_800)
        creation = abi.proxy_creation_code(implementation, initialisation)
        self.currency = self._record("deploy_proxy", b"", creation)
        self._separator = PaymentDomain(NAME, chain_id, self.currency).separator
        self._set_up()

    def _record(self, name: str, to: bytes, data: bytes) -> bytes:
        receipt = self._send(self._operator, to, data)
        self.gas[name] = receipt.gas_used
        return receipt.created

    def _set_up(self) -> None:
        retail = abi.encode_set_tier(RETAIL_TIER, FUNDING, FUNDING, NO_LIMIT - 1)
        self._record("set_tier", self.currency, retail)
        for tier, holding in ((INSTITUTIONS_TIER, 2**96 - 1), (MERCHANT_TIER, MERCHANT_HOLDING)):
            per_payment = min(holding, NO_LIMIT)
            self._operate(abi.encode_set_tier(tier, holding, per_payment, NO_LIMIT))
        bank = address_of(self._bank)
        tiers = 1 << RETAIL_TIER | 1 << MERCHANT_TIER
        self._record(
            "set_participant",
            self.currency,
            abi.encode_set_participant(1, bank, INSTITUTIONS_TIER, tiers),
        )
        self._operate(abi.encode_increase_mint_allowance(1, SUPPLY))
        self.gas["mint"] = self.act(abi.encode_mint(SUPPLY))
        payers = [address_of(key) for key in self._payers]
        self.gas["register_500"] = self.act(abi.encode_register(payers, RETAIL_TIER, AccountFlag.LINKED))
        self.act(abi.encode_register(self.payees, RETAIL_TIER, AccountFlag.LINKED))
        self.act(abi.encode_register(self.merchants, MERCHANT_TIER, AccountFlag.LINKED))
        for nonce, (accounts, amount) in enumerate(
            ((payers, FUNDING), (self.payees, OPENING_BALANCE), (self.merchants, MERCHANT_HOLDING))
        ):
            start = nonce * BATCH
            records = [self._sign(self._bank, payee, amount, start + at) for at, payee in enumerate(accounts)]
            self.act(abi.encode_settle(pack(records), VALID_BEFORE_S))

    def _operate(self, data: bytes) -> None:
        self._send(self._operator, self.currency, data)

    def act(self, data: bytes) -> int:
        """Send as the bank; return the gas used."""
        return self._send(self._bank, self.currency, data).gas_used

    def transfer(self, payee: bytes, amount: int) -> int:
        """Send an ERC-20 transfer as the first payer; return the gas used."""
        return self._send(self._payers[0], self.currency, abi.encode_transfer(payee, amount)).gas_used

    def settle(self, payees: Sequence[bytes], amount: int, nonce: int) -> int:
        """Settle one payment of a payer to each payee; return the gas used."""
        records = [
            self._sign(payer, payee, amount, nonce)
            for payer, payee in zip(self._payers, payees, strict=False)
        ]
        return self.act(abi.encode_settle(pack(records), VALID_BEFORE_S))

    def _sign(self, key: bytes, payee: bytes, amount: int, nonce: int) -> Record:
        from coincurve import PrivateKey

        digest = payment_digest(self._separator, payee, amount, nonce, VALID_BEFORE_S)
        signature = PrivateKey(key).sign_recoverable(digest, hasher=None)
        vs = bytes([signature[32] | signature[64] << 7]) + signature[33:64]
        return Record(payee, amount, nonce, signature[:32], vs)


def measure() -> dict[str, int]:
    """Measure everything on an in-process EVM."""
    from contracts.local_evm import CHAIN_ID, LocalEvm

    evm = LocalEvm()

    def send(key: bytes, to: bytes, data: bytes) -> Receipt:
        outcome = evm.send(address_of(key), to, data, gas=200_000_000)
        if not outcome.is_success:
            raise RuntimeError(f"reverted: {abi.decode_revert(outcome.returned)}")
        return Receipt(outcome.gas_used, outcome.created)

    sandbox = Sandbox(send, CHAIN_ID)
    sandbox.settle(sandbox.payees, 12_345, 0)
    funded = evm.snapshot()
    figures = dict(sandbox.gas)
    for count in (1, 100, 500):
        evm.revert(funded)
        figures[f"settle_{count}"] = sandbox.settle(sandbox.payees[:count], 12_345, 1)
    figures["settle_per_payment_at_500"] = -(-figures["settle_500"] // BATCH)
    evm.revert(funded)
    figures["settle_100_waterfalls"] = sandbox.settle(sandbox.merchants, 12_345, 1)
    figures["transfer"] = sandbox.transfer(sandbox.payees[0], 12_345)
    figures["transfer_waterfall"] = sandbox.transfer(sandbox.merchants[0], 12_345)
    figures["burn"] = sandbox.act(abi.encode_burn(12_345))
    figures["code_bytes"] = len(abi.load_artifact("DigitalCurrency")["deployedBytecode"]) // 2 - 1
    return figures


def measure_settle(rpc_url: str, payments: int = BATCH) -> float:
    """Measure on a chain what one payment costs in a batch: the receipt's gasUsed / ``payments``.

    Through the proxy, distinct payers and payees, each payer's second payment of the day, every rule on, a
    standard Transfer for each. It deploys a currency of its own, so it must be a development chain that gives
    ether and blocks on demand (anvil_setBalance, evm_mine). Raises RpcRefused, OSError, or RuntimeError for a
    transaction that fails.
    """
    from contracts.rpc import Rpc

    rpc = Rpc(rpc_url)
    chain_id = rpc.quantity("eth_chainId")

    def send(key: bytes, to: bytes, data: bytes) -> Receipt:
        sender = "0x" + address_of(key).hex()
        rpc.call("anvil_setBalance", sender, hex(10**21))
        nonce = rpc.quantity("eth_getTransactionCount", sender, "latest")
        base_fee = int(rpc.call("eth_getBlockByNumber", "latest", False).get("baseFeePerGas") or "0x0", 16)
        transaction = Transaction(chain_id, nonce, 0, 2 * base_fee, TRANSACTION_GAS, to, 0, data)
        transaction_hash = rpc.call("eth_sendRawTransaction", "0x" + transaction.sign(key).hex())
        rpc.call("evm_mine")
        deadline = time.monotonic() + RECEIPT_TIMEOUT_S
        while (receipt := rpc.call("eth_getTransactionReceipt", transaction_hash)) is None:
            if time.monotonic() > deadline:
                raise RuntimeError(f"transaction {transaction_hash} was not included")
            time.sleep(0.05)
        if int(receipt["status"], 16) != 1:
            raise RuntimeError(f"transaction {transaction_hash} reverted")
        return Receipt(int(receipt["gasUsed"], 16), bytes.fromhex((receipt["contractAddress"] or "0x")[2:]))

    sandbox = Sandbox(send, chain_id, payments)
    sandbox.settle(sandbox.payees, 12_345, 0)
    return sandbox.settle(sandbox.payees, 12_345, 1) / payments


def compare(measured: dict[str, int], snapshot: dict[str, int]) -> tuple[list[str], list[str]]:
    """Say what costs more than the snapshot (or is missing from it), and what costs less."""
    dearer = [
        f"{name}: {snapshot.get(name)} -> {gas}"
        for name, gas in measured.items()
        if gas > snapshot.get(name, -1)
    ]
    gone = [f"{name}: {gas} -> not measured" for name, gas in snapshot.items() if name not in measured]
    cheaper = [
        f"{name}: {snapshot[name]} -> {gas}" for name, gas in measured.items() if gas < snapshot.get(name, -1)
    ]
    return dearer + gone, cheaper


def main() -> int:
    """Write the snapshot, compare with it, or measure a chain."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the snapshot, write nothing")
    parser.add_argument("--rpc", help="measure a batch on this chain instead")
    arguments = parser.parse_args()
    if arguments.rpc is not None:
        print(f"gas: {measure_settle(arguments.rpc):,.1f} a payment in a batch of {BATCH}")
        return 0
    measured = measure()
    if not arguments.check:
        SNAPSHOT.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
        for name, gas in measured.items():
            print(f"{name:28} {gas:>12,}")
        return 0
    dearer, cheaper = compare(measured, json.loads(SNAPSHOT.read_text(encoding="utf-8")))
    for line in dearer:
        print(f"gas: costs more than the snapshot: {line}")
    for line in cheaper:
        print(f"gas: costs less (python -m contracts.gas records it): {line}")
    print(f"gas: {measured['settle_per_payment_at_500']:,} a payment in a batch of {BATCH}")
    return 1 if dearer else 0


if __name__ == "__main__":
    raise SystemExit(main())
