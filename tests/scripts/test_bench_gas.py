"""The report of `make bench-gas`: ours beside the bars, the peers' beside ours."""

from typing import Any

import pytest

from contracts.gas import MEASURES
from contracts.gas_peers import Figure
from scripts.bench.gas import compose

BARRED = next(measure for measure in MEASURES if measure.bar is not None and measure.payments > 1)


def report(gas: int, **peers: Figure) -> dict[str, Any]:
    florin = {"anvil": {BARRED.name: gas}, "py-evm": {BARRED.name: gas + BARRED.payments}}
    return compose(florin, {"Peer": peers})


@pytest.mark.parametrize(("above", "is_met"), [(0, True), (1, False)])
def test_a_bar_is_met_up_to_itself_and_missed_by_a_unit_of_gas(above: int, is_met: bool) -> None:
    assert BARRED.bar is not None
    row = report((BARRED.bar + above) * BARRED.payments)["florin"][BARRED.name]
    assert row["is_met"] is is_met
    assert row["gas_per_payment"] == {"anvil": BARRED.bar + above, "py-evm": BARRED.bar + above + 1}


def test_what_the_token_cannot_do_yet_is_neither_met_nor_missed() -> None:
    rows = report(1)["florin"]
    assert len(rows) == len(MEASURES)
    others = [row for name, row in rows.items() if name != BARRED.name]
    assert all(row["is_met"] is None and row["gas_per_payment"] == {} for row in others)


def test_a_peer_stands_beside_the_first_of_our_figures_that_there_is() -> None:
    unmeasured = next(measure.name for measure in MEASURES if measure.name != BARRED.name)
    figures = report(1_000 * BARRED.payments, swap=Figure(8_000, 2, (unmeasured, BARRED.name)))
    assert figures["peers"]["Peer"]["swap"] == {
        "payments": 2,
        "gas_per_payment": 4_000,
        "beside": BARRED.name,
        "florin_share": 0.25,
    }


def test_a_peer_with_nothing_beside_it_is_told_alone() -> None:
    unmeasured = next(measure.name for measure in MEASURES if measure.name != BARRED.name)
    row = report(1, swap=Figure(10, 1, (unmeasured,)))["peers"]["Peer"]["swap"]
    assert row["beside"] is None
    assert row["florin_share"] is None
