"""What net settlement may cost."""

from contracts.settlement_gas import measure_settlement

DELTAS_BAR, GROSS_BAR = 135, 400
# Twenty participants, spread over 1,000 payments.
LOOK_UP_BAR = 260


def test_a_net_cycle_of_1000_payments_among_20_banks_is_below_the_bars() -> None:
    measured = measure_settlement()
    assert 0 < measured["settlement_net_1000_deltas"] <= DELTAS_BAR
    assert 0 < measured["settlement_net_1000_gross"] <= GROSS_BAR


def test_the_first_cycle_after_a_change_of_standing_looks_all_participants_up() -> None:
    measured = measure_settlement()
    for way in ("deltas", "gross"):
        usual = measured[f"settlement_net_1000_{way}"]
        assert usual < measured[f"settlement_net_1000_{way}_after_change"] <= usual + LOOK_UP_BAR
