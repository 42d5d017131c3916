"""What the token's transactions cost.

``python -m contracts.gas`` measures on an in-process EVM (no Node needed) and writes ``gas_snapshot.json``;
``--check`` fails if anything costs more than the snapshot says. ``--rpc URL`` measures a batch on a real
chain. All accounts, keys and amounts are fixed, so the figures are too. Beside its peers, the token is
measured by ``scripts.bench.gas``.
"""

import argparse
import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from contracts import abi
from contracts.gas_chains import GasChain, LocalGasChain, RpcGasChain
from contracts.gas_sandbox import AMOUNT, BATCH, PAYROLL, Sandbox

SNAPSHOT = Path(__file__).parent / "gas_snapshot.json"


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


def _with_and_without_list(
    name: str,
    title: str,
    payments: int,
    bar: int | None,
    run: Callable[[Sandbox, bool], int],
    *,
    emits_transfers: bool = True,
) -> tuple[Measure, Measure]:
    """The same batch twice: with the access list that goes with it, held against its bar; and without one,
    which says what the contract itself costs.
    """
    bare = f"{title}, no access list"
    return (
        Measure(f"{name}_listed", title, payments, bar, lambda it: run(it, True), emits_transfers),
        Measure(name, bare, payments, None, lambda it: run(it, False), emits_transfers),
    )


def _settle(it: Sandbox, is_listed: bool) -> int:
    return it.settle(it.payees, is_listed=is_listed)


def _settle_retail(it: Sandbox, is_listed: bool) -> int:
    return it.settle_grouped(it.draw_retail_mix(), is_listed=is_listed)


def _fan_out(it: Sandbox, is_listed: bool) -> int:
    return it.fan_out(it.payees, is_listed=is_listed)


# What is measured of the token.
MEASURES = (
    Measure("settle_1", "packed payment, alone in its batch", 1, None, lambda it: it.settle(it.payees[:1])),
    Measure(
        "settle_100",
        "packed payment, 100 in a batch, no access list",
        100,
        None,
        lambda it: it.settle(it.payees[:100]),
    ),
    *_with_and_without_list("settle_500", "packed payment, 500 in a batch", BATCH, 17_300, _settle),
    *_with_and_without_list(
        "settle_500_batch_event",
        "packed payment, one batch event",
        BATCH,
        15_700,
        _settle,
        emits_transfers=False,
    ),
    Measure(
        "retail_500",
        "retail mix, 500 in a batch, not grouped, no access list",
        BATCH,
        None,
        lambda it: it.settle(it.draw_retail_mix()),
    ),
    *_with_and_without_list(
        "retail_500_grouped", "retail mix, grouped by payee", BATCH, 13_600, _settle_retail
    ),
    *_with_and_without_list(
        "retail_500_grouped_batch_event",
        "retail mix, grouped, one batch event",
        BATCH,
        11_900,
        _settle_retail,
        emits_transfers=False,
    ),
    *_with_and_without_list("fan_out_500", "fan-out: one signature, 500 payees", BATCH, None, _fan_out),
    *_with_and_without_list(
        "fan_out_500_batch_event",
        "fan-out, one batch event",
        BATCH,
        5_500,
        _fan_out,
        emits_transfers=False,
    ),
    *_with_and_without_list(
        "fan_out_2500_batch_event",
        "fan-out to 2,500, one batch event (its list: what fits 128 KiB)",
        PAYROLL,
        None,
        lambda it, is_listed: it.pay_salaries(PAYROLL, is_listed=is_listed),
        emits_transfers=False,
    ),
    *_with_and_without_list(
        "settle_100_waterfalls",
        "packed payment that waterfalls, 100 in a batch",
        100,
        22_000,
        lambda it, is_listed: it.settle(it.full, is_listed=is_listed),
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
