"""`make bench-signer`, very small: it runs, signs all that it asks for, and says which bars are met."""

import json
from pathlib import Path

import pytest

from scripts.bench import signer


def test_it_measures_every_figure_beside_its_bar_and_its_ceiling(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "signer.json"
    sizes = "--wallets 1000 --few-wallets 0 --rounds 1 --batches 2 --single-s 1 --tries 1"
    status = signer.main([*sizes.split(), "--output", str(output)])
    report = json.loads(output.read_text())
    lines = [line for home in report["lines"].values() for line in home]
    assert list(report["lines"]) == ["1,000 wallets"]
    assert status == (0 if report["is_met"] else 1)
    assert report["is_met"] == all(line["is_met"] is not False for line in lines)
    assert all(line["measured"] > 0 for line in lines)
    assert report["ceilings"]["bare_coincurve_per_s"] > report["ceilings"]["eth_account"]["digests_per_s"]
    for home in report["homes"]:
        assert home["single"][0]["requests"] == 500
        assert set(home["rates"]) == {"low_value", "cold_keys", "assertion", "mandate"}
    assert "bare coincurve" in capsys.readouterr().out
