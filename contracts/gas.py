"""What the token's transactions cost.

``python -m contracts.gas`` measures on an in-process EVM (no Node needed) and writes ``gas_snapshot.json``;
``--check`` fails if anything costs more than the snapshot says. ``--rpc URL`` measures a batch on a real
chain. All accounts, keys and amounts are fixed, so the figures are too. Beside its peers, the token is
measured by ``scripts.bench.gas``.
"""

import argparse
import json
import random
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from eth_hash.auto import keccak

from contracts import abi, notary
from contracts.abi import AccountFlag
from contracts.access_lists import access_list, accounts_to_list
from contracts.authorizations import TransferWithAuthorization, encode_transfer_with_authorization_of_key
from contracts.batch import Entry, Record, pack, pack_fan_out, pack_grouped
from contracts.gas_chains import GasChain, LocalGasChain, RpcGasChain
from contracts.grouping import group
from contracts.transactions import address_of
from contracts.typed_data import PaymentDomain, fan_out_digest, payment_digest

SNAPSHOT = Path(__file__).parent / "gas_snapshot.json"
BATCH = 500
NAME = "Sandbox koruna"
VALID_BEFORE_S = 2**40
NO_LIMIT = 2**64 - 1
INSTITUTIONS_TIER, RETAIL_TIER, FULL_TIER, SHOP_TIER = 0, 1, 2, 3
SUPPLY = 10**14
OPENING_BALANCE, FUNDING = 1_000, 10_000_000
FULL_HOLDING = 100_000
AMOUNT = 12_345
SALARY = 1_000
# A payroll that one transaction settles within EIP-7825's cap of 16,777,216 gas.
PAYROLL = 2_500

SHOPS = 500
SHOPPING_SHARE = 0.8
RETAIL_SEED = 2026


class Sandbox:
    """A currency with one bank and its customers, on a chain of its own."""

    def __init__(self, chain: GasChain, customers: int = BATCH, *, emits_transfers: bool = True) -> None:
        """Deploy and fund: ``customers`` payers and as many payees, all with a balance and a used nonce."""
        self.chain = chain
        self.gas: dict[str, int] = {}
        self._operator, self._bank = keccak(b"gas operator"), keccak(b"gas bank")
        self._payers = [keccak(f"gas payer {index}".encode()) for index in range(customers)]
        self.payees = _addresses("payee", customers)
        self.full = _addresses("merchant", 100)
        self.shops = _addresses("shop", SHOPS)

        administration = self._record("deploy_administration", b"", abi.administration_creation_code())
        implementation = self._record(
            "deploy_implementation",
            b"",
            abi.implementation_creation_code(administration, NAME, emits_transfers=emits_transfers),
        )
        roles = [address_of(self._operator)] * 6
        initialisation = abi.encode_initialize(NAME, "CZK", 2, roles, 172_800)
        creation = abi.proxy_creation_code(implementation, initialisation)
        self.currency = self._record("deploy_proxy", b"", creation)
        self._notary = self._record("deploy_notary", b"", notary.creation_code(self.currency))
        self._separator = PaymentDomain(NAME, chain.chain_id, self.currency).separator
        self._set_up()
        self.settle(self.payees, nonce=0)

    def _record(self, name: str, to: bytes, data: bytes) -> bytes:
        receipt = self.chain.send(self._operator, to, data)
        self.gas[name] = receipt.gas_used
        return receipt.created

    def _set_up(self) -> None:
        retail = abi.encode_set_tier(RETAIL_TIER, FUNDING, FUNDING, NO_LIMIT - 1)
        self._record("set_tier", self.currency, retail)
        unlimited = 2**96 - 1
        for tier, holding in (
            (INSTITUTIONS_TIER, unlimited),
            (FULL_TIER, FULL_HOLDING),
            (SHOP_TIER, unlimited),
        ):
            self._operate(abi.encode_set_tier(tier, holding, min(holding, NO_LIMIT), NO_LIMIT))
        tiers = 1 << RETAIL_TIER | 1 << FULL_TIER | 1 << SHOP_TIER
        self._record(
            "set_participant",
            self.currency,
            abi.encode_set_participant(1, address_of(self._bank), INSTITUTIONS_TIER, tiers),
        )
        self._operate(abi.encode_increase_mint_allowance(1, SUPPLY))
        self.gas["mint"] = self.act(abi.encode_mint(SUPPLY))
        payers = [address_of(key) for key in self._payers]
        self.gas["register_500"] = self._open(0, payers, RETAIL_TIER, FUNDING)
        self._open(1, self.payees, RETAIL_TIER, OPENING_BALANCE)
        self._open(2, self.full, FULL_TIER, FULL_HOLDING)
        self._open(3, self.shops, SHOP_TIER, OPENING_BALANCE)

    def _open(self, turn: int, accounts: Sequence[bytes], tier: int, amount: int) -> int:
        """Register and fund; return what registering used."""
        gas = self.act(abi.encode_register(accounts, tier, AccountFlag.LINKED))
        start = turn * BATCH
        records = [self._sign(self._bank, payee, amount, start + at) for at, payee in enumerate(accounts)]
        self.act(abi.encode_settle(pack(records), VALID_BEFORE_S))
        return gas

    def _operate(self, data: bytes) -> None:
        self.chain.send(self._operator, self.currency, data)

    def act(self, data: bytes, touched: Iterable[bytes] = ()) -> int:
        """Send as the bank, with the access list that pays for these accounts; return the gas used."""
        named = accounts_to_list(touched, len(data))
        listed = access_list(self.currency, address_of(self._bank), named)
        return self.chain.send(self._bank, self.currency, data, listed).gas_used

    def transfer(self, payee: bytes) -> int:
        """Send an ERC-20 transfer as the first payer; return the gas used."""
        return self.chain.send(self._payers[0], self.currency, abi.encode_transfer(payee, AMOUNT)).gas_used

    def settle(self, payees: Sequence[bytes], nonce: int = 1, *, is_listed: bool = False) -> int:
        """Settle one payment of a payer to each payee; return the gas used.

        ``is_listed``: with an access list, as the relay sends it.
        """
        payments = self._sign_each(payees, nonce)
        call = abi.encode_settle(pack(record for _, record in payments), VALID_BEFORE_S)
        return self.act(call, _touched(payments) if is_listed else ())

    def anchor(self, times: int) -> int:
        """Anchor the bank's ledger so many times; return the gas used by the last."""
        used = 0
        for size in range(1, times + 1):
            call = notary.encode_anchor(notary.LEDGER_LOG, size, keccak(bytes([size])))
            used = self.chain.send(self._bank, self._notary, call).gas_used
        return used

    def settle_grouped(self, payees: Sequence[bytes], nonce: int = 1, *, is_listed: bool = False) -> int:
        """Settle the same payments as ``settle``, each group's payee named once; return the gas used."""
        payments = self._sign_each(payees, nonce)
        grouping = group(payments)
        call = abi.encode_settle_grouped(pack_grouped(grouping.groups, grouping.flat), VALID_BEFORE_S)
        return self.act(call, _touched(payments) if is_listed else ())

    def fan_out(self, payees: Sequence[bytes], nonce: int = 1, *, is_listed: bool = False) -> int:
        """Pay many under one signature of the first payer; return the gas used."""
        return self._fan_out(self._payers[0], payees, nonce, is_listed=is_listed)

    def pay_salaries(self, count: int, *, is_listed: bool = False) -> int:
        """Open and fund so many accounts, then pay all under one signature; return what paying used."""
        employees = _addresses("employee", count)
        for start in range(0, count, BATCH):
            some = employees[start : start + BATCH]
            self.act(abi.encode_register(some, RETAIL_TIER, AccountFlag.LINKED))
        self._fan_out(self._bank, employees, 4 * BATCH)
        return self.fan_out(employees, is_listed=is_listed)

    def _fan_out(self, payer: bytes, payees: Sequence[bytes], nonce: int, *, is_listed: bool = False) -> int:
        payments = pack_fan_out([Entry(payee, SALARY) for payee in payees])
        digest = fan_out_digest(self._separator, payments, nonce, VALID_BEFORE_S)
        call = abi.encode_settle_fan_out(payments, nonce, VALID_BEFORE_S, *_compact(payer, digest))
        return self.act(call, [address_of(payer), *payees] if is_listed else ())

    def transfer_with_authorization(self, payee: bytes) -> int:
        """Let the bank submit an EIP-3009 authorisation of the first payer; return the gas used."""
        payer = self._payers[0]
        nonce = keccak(b"gas authorisation")
        message = TransferWithAuthorization(address_of(payer), payee, AMOUNT, 0, VALID_BEFORE_S, nonce)
        signature = _sign_recoverable(payer, message.digest(self._separator))
        call = encode_transfer_with_authorization_of_key(
            message, signature[:64] + bytes([27 + signature[64]])
        )
        return self.act(call)

    def draw_retail_mix(self) -> list[bytes]:
        """Return whom each payer pays: 80% pay a shop by a Zipf law, the others another of the payers."""
        # not for secrets: the same draw every time
        dice = random.Random(RETAIL_SEED)  # noqa: S311
        weights = [1 / rank for rank in range(1, len(self.shops) + 1)]
        shopping = round(SHOPPING_SHARE * len(self._payers))
        chosen = dice.choices(self.shops, weights, k=shopping)
        payers = [address_of(key) for key in self._payers]
        # the one after next: nobody pays himself, and each is paid once
        return chosen + [payers[(index + 2) % len(payers)] for index in range(shopping, len(payers))]

    def _sign_each(self, payees: Sequence[bytes], nonce: int) -> list[tuple[bytes, Record]]:
        return [
            (address_of(payer), self._sign(payer, payee, AMOUNT, nonce))
            for payer, payee in zip(self._payers, payees, strict=False)
        ]

    def _sign(self, key: bytes, payee: bytes, amount: int, nonce: int) -> Record:
        digest = payment_digest(self._separator, payee, amount, nonce, VALID_BEFORE_S)
        return Record(payee, amount, nonce, *_compact(key, digest))


def _touched(payments: Iterable[tuple[bytes, Record]]) -> list[bytes]:
    return [account for payer, record in payments for account in (payer, record.payee)]


def _sign_recoverable(key: bytes, digest: bytes) -> bytes:
    from coincurve import PrivateKey

    return PrivateKey(key).sign_recoverable(digest, hasher=None)


def _compact(key: bytes, digest: bytes) -> tuple[bytes, bytes]:
    """A signature as EIP-2098 has it: r, and s with the parity in its highest bit."""
    signature = _sign_recoverable(key, digest)
    return signature[:32], bytes([signature[32] | signature[64] << 7]) + signature[33:64]


def _addresses(kind: str, count: int) -> list[bytes]:
    return [address_of(keccak(f"gas {kind} {index}".encode())) for index in range(count)]


class Measure(NamedTuple):
    """One figure: its name in the snapshot, what it is, and the most that one of its payments may cost.

    ``run`` acts on a sandbox whose accounts all hold money and have paid today, and returns the gas used by
    ``payments`` payments.
    """

    name: str
    title: str
    payments: int
    bar: int | None
    run: Callable[[Sandbox], int]
    emits_transfers: bool = True


@cache
def _net_settlement() -> dict[str, int]:
    from contracts.settlement_gas import measure_settlement

    return measure_settlement()


# What is measured of the token. What is "listed" has the access list that the relay sends with it, and is
# held against its bar; the same without one says what the contract itself costs.
MEASURES = (
    Measure("settle_1", "packed payment, alone in its batch", 1, None, lambda it: it.settle(it.payees[:1])),
    Measure(
        "settle_500_listed",
        "packed payment, 500 in a batch",
        BATCH,
        17_300,
        lambda it: it.settle(it.payees, is_listed=True),
    ),
    Measure(
        "settle_500_batch_event_listed",
        "the same, one batch event",
        BATCH,
        15_700,
        lambda it: it.settle(it.payees, is_listed=True),
        emits_transfers=False,
    ),
    Measure(
        "retail_500_grouped_listed",
        "retail mix, grouped by payee",
        BATCH,
        13_600,
        lambda it: it.settle_grouped(it.draw_retail_mix(), is_listed=True),
    ),
    Measure(
        "retail_500_grouped_batch_event_listed",
        "the same, one batch event",
        BATCH,
        11_900,
        lambda it: it.settle_grouped(it.draw_retail_mix(), is_listed=True),
        emits_transfers=False,
    ),
    Measure(
        "fan_out_500_listed",
        "fan-out: one signature, 500 payees, Transfer events",
        BATCH,
        None,
        lambda it: it.fan_out(it.payees, is_listed=True),
    ),
    Measure(
        "fan_out_500_batch_event_listed",
        "the same, one batch event",
        BATCH,
        5_500,
        lambda it: it.fan_out(it.payees, is_listed=True),
        emits_transfers=False,
    ),
    Measure(
        "fan_out_2500_batch_event_listed",
        "fan-out to 2,500 payees, one batch event; its list names what fits 128 KiB",
        PAYROLL,
        None,
        lambda it: it.pay_salaries(PAYROLL, is_listed=True),
        emits_transfers=False,
    ),
    Measure(
        "settle_100_waterfalls_listed",
        "packed payment that waterfalls, 100 in a batch",
        100,
        22_000,
        lambda it: it.settle(it.full, is_listed=True),
    ),
    Measure(
        "settle_100",
        "packed payment, 100 in a batch, no access list",
        100,
        None,
        lambda it: it.settle(it.payees[:100]),
    ),
    Measure(
        "settle_500",
        "packed payment, 500 in a batch, no access list",
        BATCH,
        None,
        lambda it: it.settle(it.payees),
    ),
    Measure(
        "settle_500_batch_event",
        "the same, one batch event",
        BATCH,
        None,
        lambda it: it.settle(it.payees),
        emits_transfers=False,
    ),
    Measure(
        "retail_500",
        "retail mix, 500 in a batch, not grouped, no access list",
        BATCH,
        None,
        lambda it: it.settle(it.draw_retail_mix()),
    ),
    Measure(
        "retail_500_grouped",
        "retail mix, grouped by payee, no access list",
        BATCH,
        None,
        lambda it: it.settle_grouped(it.draw_retail_mix()),
    ),
    Measure(
        "retail_500_grouped_batch_event",
        "the same, one batch event",
        BATCH,
        None,
        lambda it: it.settle_grouped(it.draw_retail_mix()),
        emits_transfers=False,
    ),
    Measure(
        "fan_out_500",
        "fan-out: 500 payees, Transfer events, no access list",
        BATCH,
        None,
        lambda it: it.fan_out(it.payees),
    ),
    Measure(
        "fan_out_500_batch_event",
        "the same, one batch event",
        BATCH,
        None,
        lambda it: it.fan_out(it.payees),
        emits_transfers=False,
    ),
    Measure(
        "fan_out_2500_batch_event",
        "fan-out to 2,500 payees, one batch event, no access list",
        PAYROLL,
        None,
        lambda it: it.pay_salaries(PAYROLL),
        emits_transfers=False,
    ),
    Measure(
        "settle_100_waterfalls",
        "packed payment that waterfalls, 100 in a batch, no access list",
        100,
        None,
        lambda it: it.settle(it.full),
    ),
    Measure("transfer", "plain transfer", 1, 41_500, lambda it: it.transfer(it.payees[0])),
    Measure(
        "transfer_waterfall", "plain transfer that waterfalls", 1, None, lambda it: it.transfer(it.full[0])
    ),
    Measure(
        "transfer_with_authorization",
        "EIP-3009 transferWithAuthorization",
        1,
        72_000,
        lambda it: it.transfer_with_authorization(it.payees[0]),
    ),
    Measure(
        "net_1000_deltas",
        "net settlement, 1,000 among 20 banks, deltas (py-evm)",
        1_000,
        135,
        lambda _: 1_000 * _net_settlement()["settlement_net_1000_deltas"],
    ),
    Measure(
        "net_1000_gross",
        "net settlement, 1,000 among 20 banks, gross list (py-evm)",
        1_000,
        400,
        lambda _: 1_000 * _net_settlement()["settlement_net_1000_gross"],
    ),
    Measure("anchor_first", "first anchor of a log", 1, None, lambda it: it.anchor(1)),
    Measure("anchor", "anchor of a log", 1, None, lambda it: it.anchor(2)),
    Measure("burn", "redemption: burn", 1, None, lambda it: it.act(abi.encode_burn(AMOUNT))),
)


def measure_on(chain: GasChain) -> dict[str, int]:
    """Measure everything that the token can do; each figure from the same state."""
    sandboxes = {True: Sandbox(chain), False: Sandbox(chain, emits_transfers=False)}
    figures = dict(sandboxes[True].gas)
    for measure in MEASURES:
        figures[measure.name] = chain.trial(partial(measure.run, sandboxes[measure.emits_transfers]))
    return figures


def measure() -> dict[str, int]:
    """Measure everything on an in-process EVM, and the size of the code."""
    figures = measure_on(LocalGasChain())
    figures["settle_per_payment_at_500"] = -(-figures["settle_500_listed"] // BATCH)
    figures["code_bytes"] = len(abi.load_artifact("DigitalCurrency")["deployedBytecode"]) // 2 - 1
    return figures


def measure_settle(rpc_url: str, payments: int = BATCH) -> float:
    """Measure on a chain what one payment costs in a batch: the receipt's gasUsed / ``payments``.

    Through the proxy, distinct payers and payees, each payer's second payment of the day, every rule on, a
    standard Transfer for each, with the access list that the relay sends. It deploys a currency of its own,
    so it must be a development chain that gives ether and blocks on demand (anvil_setBalance, evm_mine).
    Raises RpcRefused, OSError, or RuntimeError for a transaction that fails.
    """
    sandbox = Sandbox(RpcGasChain(rpc_url), payments)
    return sandbox.settle(sandbox.payees, is_listed=True) / payments


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
