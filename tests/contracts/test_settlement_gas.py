"""What net settlement may cost."""

from contracts.settlement_gas import measure_settlement

DELTAS_BAR, GROSS_BAR = 135, 400


def test_a_net_cycle_of_1000_payments_among_20_banks_is_below_the_bars() -> None:
    measured = measure_settlement()
    assert set(measured) == {"settlement_net_1000_deltas", "settlement_net_1000_gross"}
    assert 0 < measured["settlement_net_1000_deltas"] <= DELTAS_BAR
    assert 0 < measured["settlement_net_1000_gross"] <= GROSS_BAR
